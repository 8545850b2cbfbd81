//! Just enough of HTTP/1.1 to ask a server and know when the question left and the answer came.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

const CONNECT: Duration = Duration::from_secs(1);
/// Longer than anything that a server is stopped for.
const ANSWER: Duration = Duration::from_secs(10);
const MAX_BODY: usize = 8 << 20;

/// One connection, made anew where the last one broke.
#[derive(Default)]
pub(crate) struct Client {
    open: Option<(SocketAddr, BufReader<TcpStream>)>,
}

/// What came back.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Client {
    /// Asks once. Nothing is ever sent twice: whoever sends a change must know how often.
    pub(crate) fn post(&mut self, to: SocketAddr, path: &str, body: &str) -> io::Result<Answer> {
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: {to}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        self.exchange(to, format!("{head}{body}").as_bytes())
    }

    pub(crate) fn get(&mut self, to: SocketAddr, path: &str) -> io::Result<Answer> {
        self.exchange(to, format!("GET {path} HTTP/1.1\r\nhost: {to}\r\n\r\n").as_bytes())
    }

    fn exchange(&mut self, to: SocketAddr, request: &[u8]) -> io::Result<Answer> {
        let (_, mut stream) = match self.open.take().filter(|(at, stream)| *at == to && is_open(stream)) {
            Some(open) => open,
            None => {
                let stream = TcpStream::connect_timeout(&to, CONNECT)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(ANSWER))?;
                (to, BufReader::new(stream))
            }
        };
        stream.get_mut().write_all(request)?;
        let (answer, keep) = read(&mut stream)?;
        self.open = keep.then_some((to, stream));
        Ok(answer)
    }
}

/// Whether the other side has not closed it meanwhile.
fn is_open(stream: &BufReader<TcpStream>) -> bool {
    let stream = stream.get_ref();
    let mut byte = [0];
    let closed = stream.set_nonblocking(true).is_ok()
        && !matches!(stream.peek(&mut byte), Err(error) if error.kind() == io::ErrorKind::WouldBlock);
    !closed && stream.set_nonblocking(false).is_ok()
}

fn read(stream: &mut BufReader<TcpStream>) -> io::Result<(Answer, bool)> {
    let broken = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(|| broken("no status"))?;
    let (mut length, mut keep) = (None, true);
    loop {
        line.clear();
        if stream.read_line(&mut line)? == 0 {
            return Err(broken("the head has no end"));
        }
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse::<usize>().ok(),
            "connection" => keep = !value.trim().eq_ignore_ascii_case("close"),
            _ => {}
        }
    }
    let length = length.filter(|length| *length <= MAX_BODY).ok_or_else(|| broken("no length"))?;
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok((Answer { status, body: serde_json::from_slice(&body).unwrap_or_default() }, keep))
}
