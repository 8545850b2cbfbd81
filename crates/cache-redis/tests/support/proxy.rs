//! A TCP proxy that misbehaves as a test tells it to: it delays what comes back, swallows it, swaps neighbouring replies, or cuts
//! connections.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// How the proxy behaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Fault {
    /// As if it were not there.
    #[default]
    None,
    /// What comes back comes this much later.
    Delay(Duration),
    /// Nothing goes through in either direction, and no connection ends: a peer that vanished.
    Blackhole,
    /// Of two bulk strings of one length that come back together, each takes the other's place.
    Swap,
    /// Every connection ends, and new ones as soon as they are made.
    Cut,
}

/// The proxy. It ends when it is dropped.
pub struct Proxy {
    address: SocketAddr,
    fault: Arc<watch::Sender<Fault>>,
    task: JoinHandle<()>,
}

impl Proxy {
    pub async fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let fault = Arc::new(watch::Sender::new(Fault::None));
        let told = Arc::clone(&fault);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(carry(client, server, told.subscribe()));
            }
        });
        Self { address, fault, task }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn carry(client: TcpStream, server: SocketAddr, fault: watch::Receiver<Fault>) {
    let Ok(server) = TcpStream::connect(server).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let cut = async {
        let mut fault = fault.clone();
        let _ = fault.wait_for(|fault| *fault == Fault::Cut).await;
    };
    tokio::select! {
        () = copy(from_client, to_server, fault.clone(), false) => {}
        () = copy(from_server, to_client, fault.clone(), true) => {}
        () = cut => {}
    }
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut fault: watch::Receiver<Fault>, is_reply: bool) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let Ok(read @ 1..) = from.read(&mut buffer).await else { return };
        let bytes = &mut buffer[..read];
        let told = *fault.borrow_and_update();
        match told {
            Fault::Blackhole => {
                // What was read meanwhile is lost with the peer.
                if fault.wait_for(|fault| *fault != Fault::Blackhole).await.is_err() {
                    return;
                }
                continue;
            }
            Fault::Delay(by) if is_reply => tokio::time::sleep(by).await,
            Fault::Swap if is_reply => swap(bytes),
            _ => {}
        }
        if to.write_all(bytes).await.is_err() {
            return;
        }
    }
}

/// Swaps the first two bulk strings of one length.
fn swap(bytes: &mut [u8]) {
    let mut strings: Vec<(usize, usize)> = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let Some(end) = bytes[at..].windows(2).position(|pair| pair == b"\r\n").map(|end| at + end) else { break };
        let length = std::str::from_utf8(&bytes[at..end]).ok().and_then(|line| line.strip_prefix('$')?.parse().ok());
        at = end + 2;
        let Some(length) = length else { continue };
        if at + length > bytes.len() {
            break;
        }
        if let Some((first, _)) = strings.iter().find(|(_, other)| *other == length && length > 0).copied() {
            let (left, right) = bytes.split_at_mut(at);
            left[first..first + length].swap_with_slice(&mut right[..length]);
            return;
        }
        strings.push((at, length));
        at += length + 2;
    }
}
