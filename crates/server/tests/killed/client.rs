//! As much of HTTP as the test needs, over one connection, so that it is known which answer came whole.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;

pub(crate) struct Client(BufReader<TcpStream>);

impl Client {
    pub(crate) fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        Ok(Self(BufReader::new(stream)))
    }

    /// Status and body, once all of it has come.
    pub(crate) fn post(&mut self, path: &str, body: &str) -> io::Result<(u16, String)> {
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        self.0.get_mut().write_all(request.as_bytes())?;
        let broken = || io::Error::from(io::ErrorKind::UnexpectedEof);
        let (mut status, mut length) = (None, None);
        loop {
            let mut line = String::new();
            if self.0.read_line(&mut line)? == 0 {
                return Err(broken());
            }
            let line = line.trim_end();
            if line.is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(": ") {
                if name.eq_ignore_ascii_case("content-length") {
                    length = value.parse().ok();
                }
            } else {
                status = line.split(' ').nth(1).and_then(|code| code.parse().ok());
            }
        }
        let mut answer = vec![0; length.ok_or_else(broken)?];
        self.0.read_exact(&mut answer)?;
        Ok((status.ok_or_else(broken)?, String::from_utf8(answer).map_err(|_| broken())?))
    }

    /// The relationships of one object, as `object#relation@user`.
    pub(crate) fn read_object(&mut self, store: &str, object: &str) -> Vec<String> {
        self.read(store, &format!(r#"{{"tuple_key":{{"object":"{object}"}},"page_size":50}}"#)).0
    }

    /// All relationships.
    pub(crate) fn read_all(&mut self, store: &str) -> std::collections::HashSet<String> {
        let mut all = std::collections::HashSet::new();
        let mut token = String::new();
        loop {
            let (tuples, next) = self.read(store, &format!(r#"{{"page_size":100,"continuation_token":"{token}"}}"#));
            all.extend(tuples);
            if next.is_empty() {
                return all;
            }
            token = next;
        }
    }

    fn read(&mut self, store: &str, body: &str) -> (Vec<String>, String) {
        let (status, answer) = self.post(&format!("/stores/{store}/read"), body).unwrap();
        assert_eq!(status, 200, "{answer}");
        let answer: Value = serde_json::from_str(&answer).unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let tuples = answer["tuples"].as_array().unwrap().iter().map(|tuple| {
            let key = &tuple["key"];
            format!("{}#{}@{}", text(&key["object"]), text(&key["relation"]), text(&key["user"]))
        });
        (tuples.collect(), text(&answer["continuation_token"]))
    }
}
