//! A stub in place of Redis, for what a real server can't be brought to say at will: it answers handshakes, and everything else with one line.

use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The stub. It ends when it is dropped.
pub struct Stub {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Stub {
    /// Answers every command with this line, such as `-MOVED 1 127.0.0.1:7000`.
    pub async fn saying(line: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(answer(client, line));
            }
        });
        Self { address, task }
    }

    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }
}

impl Drop for Stub {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(client: TcpStream, line: &str) -> Option<()> {
    let mut client = BufReader::new(client);
    loop {
        let words = number(&mut client, '*').await?;
        for _ in 0..words {
            let length = number(&mut client, '$').await?;
            let mut word = vec![0; length + 2];
            client.read_exact(&mut word).await.ok()?;
        }
        client.write_all(format!("{line}\r\n").as_bytes()).await.ok()?;
    }
}

async fn number(client: &mut BufReader<TcpStream>, kind: char) -> Option<usize> {
    let mut line = String::new();
    client.read_line(&mut line).await.ok()?;
    line.trim_end().strip_prefix(kind)?.parse().ok()
}
