//! A TCP proxy for tests that does on order what networks do by themselves.
//!
//! ```no_run
//! use std::time::Duration;
//! use fault_proxy::{Direction, Fault, Proxy};
//!
//! # async fn example(server: std::net::SocketAddr) -> std::io::Result<()> {
//! let proxy = Proxy::start(server)?;
//! let client = tokio::net::TcpStream::connect(proxy.address()).await?;
//!
//! proxy.set(Fault::Latency { fixed: Duration::from_millis(100), jitter: Duration::ZERO }); // both directions, all connections
//! proxy.set_in(Direction::Replies, Fault::Hold);             // one direction: replies wait at the gate
//! proxy.until(|seen| seen.replies.read > 0).await;           // the server has answered, and the client does not know
//! proxy.reset();                                             // and never will: RST to both sides
//! proxy.set(Fault::None);
//! proxy.refuse();                                            // nobody listens any more
//! proxy.accept()?;                                           // on the same port again
//! # Ok(()) }
//! ```
//!
//! A fault can be changed at any time. What was on its way when it changes is delivered under the new one, in its order:
//! changing from [`Fault::Latency`] to [`Fault::None`] delivers at once what still waited.
//!
//! The proxy runs on a thread of its own: a test may block, pause tokio's time, or have no runtime at all.
//! [`Proxy::counters`] says what has happened, so that a test can show that its fault did, and [`Proxy::until`] waits for it.
#![allow(clippy::disallowed_methods, reason = "a network is late in real time")]

mod connection;
mod counters;
mod fault;
mod line;
mod proxy;
mod resp;

pub use connection::Connection;
pub use counters::{Counters, Flow};
pub use fault::{Direction, End, Fault};
pub use proxy::Proxy;
