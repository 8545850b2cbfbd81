//! One connection: two pumps, which share its end.

use std::future::pending;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::counters::Meter;
use crate::fault::{Direction, End, Fault};
use crate::line::{Ended, Line};

/// What is read at once.
const CHUNK: usize = 64 << 10;

/// A connection through the proxy, to give it faults of its own.
#[derive(Clone, Debug)]
pub struct Connection {
    pub(crate) client: SocketAddr,
    pub(crate) requests: Arc<watch::Sender<Fault>>,
    pub(crate) replies: Arc<watch::Sender<Fault>>,
    pub(crate) end: Arc<watch::Sender<Option<End>>>,
}

impl Connection {
    pub(crate) fn new(client: SocketAddr, requests: Fault, replies: Fault) -> Self {
        let fault = |fault| Arc::new(watch::Sender::new(fault));
        Self { client, requests: fault(requests), replies: fault(replies), end: Arc::default() }
    }

    /// The client's end.
    pub fn client(&self) -> SocketAddr {
        self.client
    }

    /// From now on this happens to it, in both directions, until the proxy is told something else.
    pub fn set(&self, fault: Fault) {
        self.set_in(Direction::Requests, fault);
        self.set_in(Direction::Replies, fault);
    }

    /// From now on this happens to it in one direction, until the proxy is told something else.
    pub fn set_in(&self, direction: Direction, fault: Fault) {
        self.faults(direction).send_replace(fault);
    }

    /// Ends it.
    pub fn end(&self, end: End) {
        self.end.send_replace(Some(end));
    }

    fn faults(&self, direction: Direction) -> &watch::Sender<Fault> {
        match direction {
            Direction::Requests => &self.requests,
            Direction::Replies => &self.replies,
        }
    }

    /// Moves bytes until the connection has ended in both directions.
    pub(crate) async fn run(self, client: TcpStream, server: SocketAddr, meter: Meter, random: [fastrand::Rng; 2]) {
        let Ok(server) = TcpStream::connect(server).await else {
            // Whoever is connected to nobody learns it.
            let _ = client.set_zero_linger();
            return;
        };
        for stream in [&client, &server] {
            let _ = stream.set_nodelay(true);
        }
        let (from_client, to_client) = client.into_split();
        let (from_server, to_server) = server.into_split();
        let [requests, replies] = random.map(Line::new);
        tokio::join!(
            self.pump(Direction::Requests, from_client, to_server, requests, &meter),
            self.pump(Direction::Replies, from_server, to_client, replies, &meter),
        );
    }

    /// Moves the bytes of one direction. Returns its halves when that alone has ended: they are half of the other's, too.
    async fn pump(
        &self,
        direction: Direction,
        mut from: OwnedReadHalf,
        mut to: OwnedWriteHalf,
        mut line: Line,
        meter: &Meter,
    ) -> Option<(OwnedReadHalf, OwnedWriteHalf)> {
        let mut faults = self.faults(direction).subscribe();
        let mut end = self.end.subscribe();
        let mut buffer = vec![0; CHUNK];
        let mut open = true;
        line.change(*faults.borrow_and_update(), Instant::now());
        loop {
            if let Some(end) = *end.borrow_and_update() {
                close(end, from, to);
                return None;
            }
            match line.ended() {
                Some(Ended::Connection(end)) => _ = self.end.send_replace(Some(end)),
                // The other direction goes on, so the halves are kept; what still comes in this one is not read.
                Some(Ended::Direction) if to.shutdown().await.is_ok() => return Some((from, to)),
                Some(Ended::Direction) => _ = self.end.send_replace(Some(End::Reset)),
                None => {}
            }
            let now = Instant::now();
            let next = line.next_due();
            let room = open && line.has_room();
            let due = line.due(now);
            let waits = due.is_none();
            tokio::select! {
                biased;
                _ = end.changed() => {}
                _ = faults.changed() => line.change(*faults.borrow_and_update(), Instant::now()),
                written = write(&mut to, due) => match written {
                    Ok(bytes) => line.advance(bytes),
                    Err(_) => _ = self.end.send_replace(Some(End::Reset)),
                },
                () = until(next), if waits => {}
                read = from.read(&mut buffer), if room => match read {
                    Ok(0) => {
                        open = false;
                        line.end(Instant::now());
                    }
                    Ok(bytes) => line.take(&buffer[..bytes], Instant::now()),
                    Err(_) => _ = self.end.send_replace(Some(End::Reset)),
                },
            }
            let done = line.done();
            if done != Default::default() {
                meter.flow(direction, |flow| {
                    flow.read += done.read;
                    flow.written += done.written;
                    flow.swallowed += done.swallowed;
                    flow.corrupted += done.corrupted;
                    flow.swapped += done.swapped;
                });
            }
        }
    }
}

async fn write(to: &mut OwnedWriteHalf, due: Option<&[u8]>) -> std::io::Result<usize> {
    match due {
        Some(bytes) => to.write(bytes).await,
        None => pending().await,
    }
}

async fn until(next: Option<Instant>) {
    match next {
        Some(next) => sleep_until(next).await,
        None => pending().await,
    }
}

fn close(end: End, from: OwnedReadHalf, to: OwnedWriteHalf) {
    if end == End::Reset {
        for stream in [from.as_ref(), to.as_ref()] {
            let _ = stream.set_zero_linger();
        }
        // Dropped alone it would say that the stream has ended properly.
        to.forget();
    }
}
