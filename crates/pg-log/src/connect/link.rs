//! One connection: its client, its prepared statements, and the task that drives it, which alone gives it back once it is clean.
//!
//! Who drops an [`Exclusive`](super::Exclusive) leaves it here, in whatever state. The driver first writes what is still queued, then looks:
//! idle, and it goes back to the pool; in a transaction, and it is rolled back; with an answer outstanding, and it gets a moment for
//! it. When that is over it is closed. So a future that is dropped anywhere leaves no statement, transaction or answer to the next user.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::task::AtomicWaker;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::{Instant, Sleep};
use tokio_postgres::error::Severity;
use tokio_postgres::{AsyncMessage, CancelToken, Client, Connection, Statement};

use super::exclusive::Idle;
use super::statistics::Counters;
use super::wire::WireState;
use crate::{PgContext, PgError};

/// The most prepared statements that a connection keeps. The tiers have a few dozen; more means that somebody builds statements from values.
const MAX_PREPARED: usize = 512;
/// How long a connection that came back dirty has to become clean.
const PARTING_PATIENCE: Duration = Duration::from_millis(500);

/// A mutex whose holder panicked is still as good as before: nothing here leaves a half-done change.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An open connection.
pub(crate) struct Link {
    /// No other link of this process has it.
    pub(crate) number: u64,
    pub(crate) client: Client,
    prepared: Mutex<HashMap<Box<str>, Statement>>,
    pub(crate) wire: Arc<WireState>,
    home: Arc<Home>,
    pub(crate) idle_since: Instant,
    /// Counts it among those that are lent, as long as it lives.
    pub(crate) lent_by: Option<Arc<()>>,
    counters: Arc<Counters>,
}

impl Link {
    pub(crate) fn new(client: Client, wire: Arc<WireState>, home: Arc<Home>, counters: Arc<Counters>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        counters.opened.add(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let idle_since = Instant::now();
        Self { number, client, prepared: Mutex::default(), wire, home, idle_since, lent_by: None, counters }
    }

    /// The statement, prepared now or by an earlier call on this connection.
    pub(crate) async fn prepared(&self, sql: &str) -> Result<Statement, PgError> {
        if let Some(statement) = lock(&self.prepared).get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql).await.during("prepare a statement")?;
        let mut prepared = lock(&self.prepared);
        if prepared.len() >= MAX_PREPARED {
            prepared.clear();
        }
        prepared.insert(sql.into(), statement.clone());
        Ok(statement)
    }

    /// Leaves the connection to its driver.
    pub(crate) fn part(self, permit: OwnedSemaphorePermit, pool: Weak<Idle>) {
        if self.client.is_closed() {
            return;
        }
        let home = Arc::clone(&self.home);
        let parting = Parting { link: self, _permit: permit, pool, rolled_back: false, deadline: None };
        // Where the driver has ended meanwhile the connection is dropped.
        drop(home.leave(parting));
    }

    /// How many warnings have come over it: those of a statement are counted before its answer is handed out.
    pub(crate) fn warnings(&self) -> u64 {
        self.home.warnings.load(Ordering::Acquire)
    }

    /// Ends the connection now: whatever waits for an answer gets an error.
    pub(crate) fn close(&self) {
        self.home.close();
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.counters.closed.add(1);
    }
}

/// A connection that belongs to one task: closed when it is dropped, with whatever is in flight on it.
pub(crate) struct OwnLink(pub(crate) Link);

impl std::ops::Deref for OwnLink {
    type Target = Link;

    fn deref(&self) -> &Link {
        &self.0
    }
}

impl Drop for OwnLink {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Who is told when the server notifies, and when the connection has ended.
pub(crate) type Heard = Option<Arc<Notify>>;

/// What a driver and the users of its connection share.
pub(crate) struct Home {
    waker: AtomicWaker,
    state: Mutex<HomeState>,
    heard: Heard,
    /// Warnings of the server so far. One that comes with a commit says that it was not waited for as it should have been.
    warnings: AtomicU64,
}

#[derive(Default)]
struct HomeState {
    left: Option<Parting>,
    closed: bool,
}

impl Home {
    pub(crate) fn new(heard: Heard) -> Self {
        Self { waker: AtomicWaker::new(), state: Mutex::default(), heard, warnings: AtomicU64::new(0) }
    }

    fn leave(&self, parting: Parting) -> Option<Parting> {
        let mut state = lock(&self.state);
        if state.closed {
            return Some(parting);
        }
        state.left = Some(parting);
        drop(state);
        self.waker.wake();
        None
    }

    fn close(&self) {
        let left = {
            let mut state = lock(&self.state);
            state.closed = true;
            state.left.take()
        };
        drop(left);
        self.waker.wake();
    }
}

/// A connection that was given back and has not been looked at.
struct Parting {
    link: Link,
    pool: Weak<Idle>,
    rolled_back: bool,
    deadline: Option<Pin<Box<Sleep>>>,
    /// Held until the connection is in the pool or gone, so that there are never more of them than allowed.
    _permit: OwnedSemaphorePermit,
}

/// Cancels what still runs on a connection that is given up. It may come too late, and that does no harm: the connection is not used again.
pub(crate) type Cancel = Box<dyn Fn(CancelToken) + Send + Sync>;

/// Drives a connection until it ends.
pub(crate) async fn drive<S, T>(mut connection: Connection<S, T>, home: Arc<Home>, wire: Arc<WireState>, cancel: Cancel)
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    let home = Ended(home);
    let home = &home.0;
    let mut parting: Option<Parting> = None;
    std::future::poll_fn(|cx| {
        home.waker.register(cx.waker());
        {
            let mut state = lock(&home.state);
            if state.closed {
                return Poll::Ready(());
            }
            if parting.is_none() {
                parting = state.left.take();
            }
        }
        // A second round writes what the first one made necessary: the ROLLBACK.
        loop {
            if poll_messages(&mut connection, home, cx).is_ready() {
                return Poll::Ready(());
            }
            let Some(known) = &mut parting else { return Poll::Pending };
            match known.poll(&wire, cx) {
                Next::Idle => {
                    if let Some(Parting { mut link, pool, .. }) = parting.take()
                        && let Some(pool) = pool.upgrade()
                    {
                        link.idle_since = Instant::now();
                        pool.put(link);
                    }
                    // Without a pool the client is dropped, which ends the connection at the next round.
                }
                Next::Wait => return Poll::Pending,
                Next::Again => {}
                Next::Close => {
                    if let Some(parting) = parting.take() {
                        parting.link.counters.discarded.add(1);
                        cancel(parting.link.client.cancel_token());
                    }
                    return Poll::Ready(());
                }
            }
        }
    })
    .await;
}

/// Closes the home however its driver ends, also with the runtime: what is left there later would never be looked at.
struct Ended(Arc<Home>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.close();
        // Whoever waits to be told something is told that nothing will come.
        if let Some(heard) = &self.0.heard {
            heard.notify_one();
        }
    }
}

fn poll_messages<S, T>(connection: &mut Connection<S, T>, home: &Home, cx: &mut Context<'_>) -> Poll<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
    T: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        match connection.poll_message(cx) {
            Poll::Ready(Some(Ok(AsyncMessage::Notice(notice)))) => {
                tracing::debug!(severity = notice.severity(), message = notice.message(), "postgres notice");
                if notice.parsed_severity() == Some(Severity::Warning) {
                    home.warnings.fetch_add(1, Ordering::AcqRel);
                }
            }
            Poll::Ready(Some(Ok(AsyncMessage::Notification(_)))) => {
                if let Some(heard) = &home.heard {
                    heard.notify_one();
                }
            }
            Poll::Ready(Some(Ok(_))) => {}
            Poll::Ready(Some(Err(error))) => {
                tracing::debug!(%error, "a connection to postgres ended");
                return Poll::Ready(());
            }
            Poll::Ready(None) => return Poll::Ready(()),
            Poll::Pending => return Poll::Pending,
        }
    }
}

enum Next {
    Idle,
    Wait,
    Again,
    Close,
}

impl Parting {
    fn poll(&mut self, wire: &WireState, cx: &mut Context<'_>) -> Next {
        if wire.is_idle() {
            return Next::Idle;
        }
        if wire.lingers_in_transaction() {
            if self.rolled_back {
                return Next::Close;
            }
            self.rolled_back = true;
            // The first poll queues the statement; its answer is seen on the wire.
            let _ = self.link.client.batch_execute("ROLLBACK").now_or_never();
            return Next::Again;
        }
        let deadline = self.deadline.get_or_insert_with(|| Box::pin(tokio::time::sleep(PARTING_PATIENCE)));
        if deadline.as_mut().poll(cx).is_ready() { Next::Close } else { Next::Wait }
    }
}
