//! A few lines of Redis' protocol, enough to ask a server whether it is there and to set up several that belong together.
//!
//! It is not a client: one command, one connection, one bounded wait.

use std::io::{BufRead, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::error::Error;

/// How long connecting, writing and reading may take, each.
const LIMIT: Duration = Duration::from_secs(5);
/// Longest text and longest list that is read; a server of ours says nothing longer.
const MOST: usize = 64 << 20;

/// What a server replied.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reply {
    /// A simple or a bulk string.
    Text(String),
    /// An error, such as `NOAUTH Authentication required.`
    Error(String),
    /// A number.
    Integer(i64),
    /// Several replies.
    List(Vec<Reply>),
    /// Nothing.
    Nil,
}

impl Reply {
    /// The text, where it is one.
    pub fn text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }
}

/// Sends one command on a connection of its own, as the user with this password.
pub(crate) fn ask(address: SocketAddr, password: Option<&str>, words: &[&str]) -> std::io::Result<Reply> {
    let mut stream = TcpStream::connect_timeout(&address, LIMIT)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    let mut request = password.map(|password| encode(&["AUTH", password])).unwrap_or_default();
    request.extend(encode(words));
    stream.write_all(&request)?;
    let mut reader = BufReader::new(stream);
    if password.is_some()
        && let Reply::Error(why) = read(&mut reader)?
    {
        return Ok(Reply::Error(why));
    }
    read(&mut reader)
}

/// As `ask`, where an error as reply is an error.
pub(crate) fn command(address: SocketAddr, password: Option<&str>, words: &[&str]) -> Result<Reply, Error> {
    let what = || format!("redis at {address}, asked for {}", words.join(" "));
    match ask(address, password, words) {
        Ok(Reply::Error(why)) => Err(Error::failed(format!("{}: {why}", what()))),
        Ok(reply) => Ok(reply),
        Err(error) => Err(Error::failed(format!("{}: {error}", what()))),
    }
}

fn encode(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n{word}\r\n", word.len()).into_bytes());
    }
    bytes
}

fn read(from: &mut impl BufRead) -> std::io::Result<Reply> {
    let mut line = String::new();
    from.read_line(&mut line)?;
    let odd = || std::io::Error::other(format!("a reply begins with {line:?}"));
    let mut characters = line.trim_end().chars();
    let kind = characters.next().ok_or_else(odd)?;
    let rest = characters.as_str();
    let number = || rest.parse::<i64>().map_err(|_| odd());
    let length = || match number()? {
        -1 => Ok(None),
        length => usize::try_from(length).ok().filter(|length| *length <= MOST).map(Some).ok_or_else(odd),
    };
    match kind {
        '+' => Ok(Reply::Text(rest.to_owned())),
        '-' => Ok(Reply::Error(rest.to_owned())),
        ':' => Ok(Reply::Integer(number()?)),
        '$' => {
            let Some(length) = length()? else { return Ok(Reply::Nil) };
            let mut bytes = vec![0; length + 2];
            from.read_exact(&mut bytes)?;
            bytes.truncate(length);
            Ok(Reply::Text(String::from_utf8_lossy(&bytes).into_owned()))
        }
        '*' => {
            let Some(length) = length()? else { return Ok(Reply::Nil) };
            (0..length).map(|_| read(from)).collect::<Result<_, _>>().map(Reply::List)
        }
        _ => Err(odd()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_of_every_kind_are_read() {
        let mut bytes: &[u8] = b"*5\r\n+OK\r\n-ERR no\r\n:-3\r\n$3\r\na\nb\r\n$-1\r\n";
        let all = [
            Reply::Text("OK".to_owned()),
            Reply::Error("ERR no".to_owned()),
            Reply::Integer(-3),
            Reply::Text("a\nb".to_owned()),
            Reply::Nil,
        ];
        assert_eq!(read(&mut bytes).expect("it is whole"), Reply::List(all.into()));
        assert!(read(&mut &b"$5\r\nab"[..]).is_err(), "it is cut");
        assert!(read(&mut &b""[..]).is_err(), "the connection is closed");
    }
}
