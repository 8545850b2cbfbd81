//! A stream that knows, at every moment, whether its connection is idle: counted from the bytes themselves, because neither the client nor
//! a dropped future can tell.
//!
//! PostgreSQL answers each request that ends a series (a simple query, a Sync) by one ReadyForQuery, which carries the state of the
//! transaction. So a connection is clean where as many were received as are due, and the last one said "idle". The one exception is COPY:
//! a Sync that arrives while PostgreSQL waits for the data is skipped without an answer.
//! (PostgreSQL documentation, "Message Flow" and "Message Formats".)
//!
//! The parser looks at the headers of messages only; bodies are skipped by their length.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsStream};

const READY_FOR_QUERY: u8 = b'Z';
const COPY_IN_RESPONSE: u8 = b'G';
const QUERY: u8 = b'Q';
const SYNC: u8 = b'S';
const IDLE: u8 = b'I';

/// What was seen on one connection. Written by its driver only, so that relaxed reads elsewhere are a moment old at worst; the driver
/// itself decides with them.
#[derive(Debug, Default)]
pub(crate) struct WireState {
    due: AtomicU64,
    answered: AtomicU64,
    status: AtomicU8,
    copying: AtomicBool,
    blocked: AtomicBool,
    trips: AtomicU64,
}

impl WireState {
    /// Nothing is due, nothing lies in a buffer.
    fn quiet(&self) -> bool {
        self.due.load(Ordering::Acquire) == self.answered.load(Ordering::Acquire)
            && !self.copying.load(Ordering::Acquire)
            && !self.blocked.load(Ordering::Acquire)
    }

    /// Quiet, and in no transaction.
    pub(crate) fn is_idle(&self) -> bool {
        self.quiet() && self.status.load(Ordering::Acquire) == IDLE
    }

    /// Quiet, but in a transaction, be it a failed one.
    pub(crate) fn lingers_in_transaction(&self) -> bool {
        self.quiet() && self.status.load(Ordering::Acquire) != IDLE
    }

    /// How often something was sent while nothing was due: round trips, where requests are pipelined.
    pub(crate) fn trips(&self) -> u64 {
        self.trips.load(Ordering::Relaxed)
    }

    fn sent(&self, kind: u8) {
        if matches!(kind, QUERY | SYNC) {
            if self.due.load(Ordering::Relaxed) == self.answered.load(Ordering::Relaxed) {
                self.trips.fetch_add(1, Ordering::Relaxed);
            }
            self.due.fetch_add(1, Ordering::Release);
        }
    }

    fn received(&self, kind: u8, first: u8) {
        match kind {
            READY_FOR_QUERY => {
                self.status.store(first, Ordering::Release);
                self.copying.store(false, Ordering::Release);
                self.answered.fetch_add(1, Ordering::Release);
            }
            // tokio-postgres sends the Sync together with the Execute that begins the COPY: it is skipped.
            COPY_IN_RESPONSE => {
                self.copying.store(true, Ordering::Release);
                self.answered.fetch_add(1, Ordering::Release);
            }
            _ => {}
        }
    }
}

/// Finds the messages in a stream of bytes: one byte of kind, four of length (which counts itself), a body.
#[derive(Debug)]
struct Frames {
    header: [u8; 6],
    have: usize,
    skip: usize,
}

impl Frames {
    const fn new() -> Self {
        Self { header: [0; 6], have: 0, skip: 0 }
    }

    /// Calls `visit` with the kind and the first byte of the body (0 where it is empty) of each message that is seen to that point.
    fn feed(&mut self, mut bytes: &[u8], mut visit: impl FnMut(u8, u8)) {
        while !bytes.is_empty() {
            if self.skip > 0 {
                let skipped = self.skip.min(bytes.len());
                self.skip -= skipped;
                bytes = &bytes[skipped..];
                continue;
            }
            self.header[self.have] = bytes[0];
            self.have += 1;
            bytes = &bytes[1..];
            if self.have < 5 {
                continue;
            }
            let [kind, a, b, c, d, first] = self.header;
            let body = (u32::from_be_bytes([a, b, c, d]) as usize).saturating_sub(4);
            if self.have == 5 {
                if body == 0 {
                    self.have = 0;
                    visit(kind, 0);
                }
                // Otherwise the first byte of the body is read as part of the header.
                continue;
            }
            self.have = 0;
            self.skip = body - 1;
            visit(kind, first);
        }
    }
}

/// A stream of the protocol, watched.
pub(crate) struct Watched<T> {
    stream: T,
    state: Arc<WireState>,
    incoming: Frames,
    outgoing: Frames,
    /// The first packet has a length but no kind.
    greeted: bool,
}

impl<T> Watched<T> {
    pub(crate) fn new(stream: T, state: Arc<WireState>) -> Self {
        Self { stream, state, incoming: Frames::new(), outgoing: Frames::new(), greeted: false }
    }

    fn note_sent(&mut self, bytes: &[u8]) {
        if !self.greeted && !bytes.is_empty() {
            self.greeted = true;
            // The start of a session is answered like a request.
            self.state.sent(SYNC);
            // As if a byte of kind had come before the length.
            self.outgoing.feed(&[0], |_, _| {});
        }
        let state = &self.state;
        self.outgoing.feed(bytes, |kind, _| state.sent(kind));
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let result = Pin::new(&mut this.stream).poll_read(cx, buffer);
        let state = &this.state;
        this.incoming.feed(&buffer.filled()[before..], |kind, first| state.received(kind, first));
        result
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_write(cx, bytes);
        this.state.blocked.store(result.is_pending(), Ordering::Release);
        if let Poll::Ready(Ok(written)) = result {
            this.note_sent(&bytes[..written]);
        }
        result
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.stream).poll_flush(cx);
        this.state.blocked.store(result.is_pending(), Ordering::Release);
        result
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

impl<T: TlsStream + Unpin> TlsStream for Watched<T> {
    fn channel_binding(&self) -> ChannelBinding {
        self.stream.channel_binding()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = vec![kind];
        bytes.extend((body.len() as u32 + 4).to_be_bytes());
        bytes.extend(body);
        bytes
    }

    fn state_after(exchange: &[(bool, Vec<u8>)], pieces: usize) -> WireState {
        let state = Arc::new(WireState::default());
        let mut watched = Watched::new((), Arc::clone(&state));
        for (sent, bytes) in exchange {
            for piece in bytes.chunks(pieces) {
                if *sent {
                    watched.note_sent(piece);
                } else {
                    let state = &watched.state;
                    watched.incoming.feed(piece, |kind, first| state.received(kind, first));
                }
            }
        }
        drop(watched);
        Arc::into_inner(state).unwrap()
    }

    fn greeting() -> Vec<(bool, Vec<u8>)> {
        vec![
            (true, message(b'?', b"\0\x03\0\0user\0ann\0\0")[1..].to_vec()),
            (false, message(b'R', &[0; 8])),
            (false, message(b'Z', b"I")),
        ]
    }

    #[test]
    fn a_connection_is_idle_once_everything_is_answered_however_the_bytes_are_cut() {
        for pieces in [1, 2, 3, 7, 64] {
            let mut exchange = greeting();
            assert!(state_after(&exchange, pieces).is_idle(), "after the greeting");
            exchange.push((true, message(b'Q', b"SELECT 'Z'\0")));
            assert!(!state_after(&exchange, pieces).is_idle(), "with a query in flight");
            exchange.push((false, message(b'D', b"ZZZZZZ")));
            exchange.push((false, message(b'C', b"")));
            assert!(!state_after(&exchange, pieces).is_idle(), "before the end of the answer");
            exchange.push((false, message(b'Z', b"I")));
            let state = state_after(&exchange, pieces);
            assert!(state.is_idle());
            assert_eq!(state.trips(), 2, "the greeting and the query");
        }
    }

    #[test]
    fn an_open_transaction_is_told_from_an_idle_connection() {
        let mut exchange = greeting();
        exchange.push((true, message(b'Q', b"BEGIN\0")));
        exchange.push((false, message(b'Z', b"T")));
        let state = state_after(&exchange, 5);
        assert!(!state.is_idle() && state.lingers_in_transaction());
        exchange.push((true, message(b'S', b"")));
        exchange.push((false, message(b'Z', b"E")));
        assert!(state_after(&exchange, 5).lingers_in_transaction());
    }

    #[test]
    fn the_sync_that_copy_skips_is_not_waited_for() {
        let mut exchange = greeting();
        exchange.push((true, [message(b'B', b"x"), message(b'E', b"x"), message(b'S', b"")].concat()));
        exchange.push((false, message(b'G', &[0; 3])));
        assert!(!state_after(&exchange, 4).is_idle(), "data is expected");
        exchange.push((true, [message(b'd', b"row"), message(b'c', b""), message(b'S', b"")].concat()));
        assert!(!state_after(&exchange, 4).is_idle());
        exchange.push((false, message(b'Z', b"I")));
        assert!(state_after(&exchange, 4).is_idle());
    }
}
