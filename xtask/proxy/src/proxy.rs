//! The proxy: one thread that listens and moves bytes, and the handle that tells it how.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::connection::Connection;
use crate::counters::{Counters, Meter};
use crate::fault::{Direction, End, Fault};

/// Ports below those that systems give to outgoing connections: one that is left for a while must be free again.
const PORTS: Range<u16> = 12_000..32_000;
/// How many of them are tried.
const TRIES: usize = 200;
/// How long [`Proxy::until`] waits.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running proxy. When it is dropped, its connections are closed and nobody listens any more.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    orders: UnboundedSender<Order>,
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    server: SocketAddr,
    meter: Meter,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    random: fastrand::Rng,
    requests: Fault,
    replies: Fault,
    open: Vec<(u64, Connection)>,
}

enum Order {
    Refuse(mpsc::Sender<io::Result<()>>),
    Accept(mpsc::Sender<io::Result<()>>),
}

impl Proxy {
    /// A proxy on a free port of 127.0.0.1 before this server. Chance begins at another point in each run.
    ///
    /// # Errors
    ///
    /// When no port is free.
    pub fn start(server: SocketAddr) -> io::Result<Self> {
        Self::start_with(server, fastrand::u64(..))
    }

    /// As [`start`](Self::start), with the beginning of chance.
    ///
    /// # Errors
    ///
    /// When no port is free.
    pub fn start_with(server: SocketAddr, seed: u64) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let listener = {
            let _inside = runtime.enter();
            bind_anywhere()?
        };
        let address = listener.local_addr()?;
        let random = fastrand::Rng::with_seed(seed);
        let state = State { random, requests: Fault::None, replies: Fault::None, open: Vec::new() };
        let shared = Arc::new(Shared { server, meter: Meter::default(), state: Mutex::new(state) });
        let (orders, received) = unbounded_channel();
        let handle = runtime.handle().clone();
        let of = Arc::clone(&shared);
        let thread = std::thread::Builder::new().name("fault-proxy".to_owned());
        let thread = thread.spawn(move || runtime.block_on(listen(of, listener, received)))?;
        Ok(Self { address, shared, orders, handle, thread: Some(thread) })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on this happens to all connections in both directions, also to those that will be made.
    pub fn set(&self, fault: Fault) {
        self.set_in(Direction::Requests, fault);
        self.set_in(Direction::Replies, fault);
    }

    /// From now on this happens to all connections in one direction, also to those that will be made.
    pub fn set_in(&self, direction: Direction, fault: Fault) {
        let mut state = self.shared.state();
        *match direction {
            Direction::Requests => &mut state.requests,
            Direction::Replies => &mut state.replies,
        } = fault;
        state.open.iter().for_each(|(_, connection)| connection.set_in(direction, fault));
    }

    /// The open connections, the oldest first, to give one of them a fault of its own.
    pub fn connections(&self) -> Vec<Connection> {
        self.shared.state().open.iter().map(|(_, connection)| connection.clone()).collect()
    }

    /// Breaks all open connections (RST to both sides). New ones are accepted.
    pub fn reset(&self) {
        self.connections().iter().for_each(|connection| connection.end(End::Reset));
    }

    /// Closes all open connections (FIN to both sides). New ones are accepted.
    pub fn close(&self) {
        self.connections().iter().for_each(|connection| connection.end(End::Close));
    }

    /// Stops listening: the system refuses new connections. Open ones stay.
    ///
    /// # Panics
    ///
    /// When the proxy's thread has ended.
    pub fn refuse(&self) {
        self.order(Order::Refuse).expect("to stop listening does not fail");
    }

    /// Listens again, on the same port.
    ///
    /// # Errors
    ///
    /// When somebody else has taken the port.
    ///
    /// # Panics
    ///
    /// When the proxy's thread has ended.
    pub fn accept(&self) -> io::Result<()> {
        self.order(Order::Accept)
    }

    /// What has happened so far.
    pub fn counters(&self) -> Counters {
        self.shared.meter.seen()
    }

    /// Waits until the counters are as wanted, and returns them. It may be awaited on any runtime.
    ///
    /// # Panics
    ///
    /// When that does not happen within 30 seconds; the message says what has happened instead.
    pub async fn until(&self, wanted: impl Fn(&Counters) -> bool + Send + 'static) -> Counters {
        let mut counters = self.shared.meter.watch();
        let waiting = self.handle.spawn(async move {
            tokio::time::timeout(PATIENCE, counters.wait_for(wanted)).await.map(|found| found.map(|found| *found))
        });
        match waiting.await {
            Ok(Ok(Ok(counters))) => counters,
            _ => panic!("what was waited for at the proxy did not happen in {PATIENCE:?}: {:?}", self.counters()),
        }
    }

    fn order(&self, order: impl FnOnce(mpsc::Sender<io::Result<()>>) -> Order) -> io::Result<()> {
        let (done, wait) = mpsc::channel();
        assert!(self.orders.send(order(done)).is_ok(), "the proxy's thread runs");
        wait.recv().expect("the proxy's thread answers")
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // The thread ends when nobody can order anything any more.
        self.orders = unbounded_channel().0;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn listen(shared: Arc<Shared>, listener: TcpListener, mut orders: UnboundedReceiver<Order>) {
    let address = listener.local_addr();
    let mut listener = Some(listener);
    let mut number = 0;
    loop {
        tokio::select! {
            biased;
            order = orders.recv() => match order {
                None => return,
                Some(Order::Refuse(done)) => {
                    listener = None;
                    let _ = done.send(Ok(()));
                }
                Some(Order::Accept(done)) => {
                    let result = if listener.is_some() { Ok(()) } else { again(&address).await.map(|new| listener = Some(new)) };
                    let _ = done.send(result);
                }
            },
            accepted = accept(listener.as_ref()) => if let Ok((client, from)) = accepted {
                number += 1;
                serve(Arc::clone(&shared), number, client, from);
            },
        }
    }
}

async fn again(address: &io::Result<SocketAddr>) -> io::Result<TcpListener> {
    match address {
        Ok(address) => TcpListener::bind(address).await,
        Err(error) => Err(io::Error::other(error.to_string())),
    }
}

async fn accept(listener: Option<&TcpListener>) -> io::Result<(tokio::net::TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}

fn serve(shared: Arc<Shared>, number: u64, client: tokio::net::TcpStream, from: SocketAddr) {
    let (connection, random) = {
        let mut state = shared.state();
        let connection = Connection::new(from, state.requests, state.replies);
        state.open.push((number, connection.clone()));
        (connection, [state.random.fork(), state.random.fork()])
    };
    shared.meter.count(|counters| {
        counters.accepted += 1;
        counters.open += 1;
    });
    tokio::spawn(async move {
        connection.run(client, shared.server, shared.meter.clone(), random).await;
        shared.state().open.retain(|(of, _)| *of != number);
        shared.meter.count(|counters| counters.open -= 1);
    });
}

fn bind_anywhere() -> io::Result<TcpListener> {
    let mut result = Err(io::Error::other("no port was tried"));
    for _ in 0..TRIES {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, fastrand::u16(PORTS)));
        result = std::net::TcpListener::bind(address);
        if result.is_ok() {
            break;
        }
    }
    let listener = result?;
    listener.set_nonblocking(true)?;
    TcpListener::from_std(listener)
}
