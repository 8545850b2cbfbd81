//! Connections that are lent to one user each: callers are served in the order they came, wait for a bounded time, and can leave nothing behind.

use std::ops::{Deref, DerefMut};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tokio_postgres::{Client, Statement};

use super::link::{Link, lock};
use super::open::Opener;
use crate::{PgConfig, PgError, PgErrorKind};

const LENDING: &str = "lend a connection";
/// How often whoever waits because the server has no place looks whether it has one by now.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// Connections that nobody uses, the last used one on top.
pub(crate) struct Idle {
    links: Mutex<Vec<Link>>,
    timeout: Duration,
    /// Tells one of those who wait for a connection because the server has no place for another.
    returned: Notify,
}

impl Idle {
    fn new(timeout: Duration) -> Self {
        Self { links: Mutex::default(), timeout, returned: Notify::new() }
    }

    pub(crate) fn put(&self, link: Link) {
        let mut links = lock(&self.links);
        links.push(link);
        // The one that has been unused for longest lies at the bottom; one at a time is enough.
        let stale = links.first().is_some_and(|oldest| oldest.idle_since.elapsed() > self.timeout);
        let closed = stale.then(|| links.remove(0));
        drop(links);
        drop(closed);
        self.returned.notify_one();
    }

    fn take(&self) -> Option<Link> {
        loop {
            let link = lock(&self.links).pop()?;
            if !link.client.is_closed() {
                return Some(link);
            }
        }
    }
}

/// Lends connections.
pub(crate) struct Lender {
    semaphore: Arc<Semaphore>,
    max: usize,
    waiting: AtomicUsize,
    max_waiting: usize,
    wait: Duration,
    idle: Arc<Idle>,
    /// Each connection that was opened here and has not ended holds one of it.
    alive: Arc<()>,
}

impl Lender {
    pub(crate) fn new(settings: &PgConfig) -> Self {
        let max = settings.exclusive_max.clamp(1, Semaphore::MAX_PERMITS);
        Self {
            semaphore: Arc::new(Semaphore::new(max)),
            max,
            waiting: AtomicUsize::new(0),
            max_waiting: settings.max_waiting,
            wait: settings.wait,
            idle: Arc::new(Idle::new(settings.idle_timeout)),
            alive: Arc::default(),
        }
    }

    pub(crate) async fn lend(&self, opener: &Opener) -> Result<Exclusive, PgError> {
        // For both together: a place among ours, and a connection.
        let until = Instant::now() + self.wait;
        let permit = self.permit(opener, until).await?;
        let link = match self.idle.take() {
            Some(link) => link,
            None => self.another(opener, until).await?,
        };
        opener.counters.lent.add(1);
        opener.counters.most_in_use.raise(self.in_use() as u64);
        Ok(Exclusive { link: Some((link, permit)), pool: Arc::downgrade(&self.idle), single_use: false })
    }

    /// One more connection. Where the server has no place for it, the next one of ours that is given back will do, or the place of one that has ended.
    async fn another(&self, opener: &Opener, until: Instant) -> Result<Link, PgError> {
        let error = match self.open(opener).await {
            Err(error) if self.may_wait(&error) => error,
            result => return result,
        };
        let since = Instant::now();
        let next = async {
            loop {
                // What was given back before anybody waited is remembered; of one that has ended nobody tells.
                let _ = tokio::time::timeout(LOOK_AGAIN, self.idle.returned.notified()).await;
                if let Some(link) = self.idle.take() {
                    return Ok(link);
                }
                match self.open(opener).await {
                    Err(error) if self.may_wait(&error) => {}
                    result => return result,
                }
            }
        };
        let next = tokio::time::timeout_at(until, next).await;
        opener.counters.note_wait(since.elapsed());
        next.unwrap_or_else(|_| {
            opener.counters.refused.add(1);
            Err(error)
        })
    }

    async fn open(&self, opener: &Opener) -> Result<Link, PgError> {
        let mut link = opener.open(None).await?;
        link.lent_by = Some(Arc::clone(&self.alive));
        Ok(link)
    }

    /// Only the number of connections is used up, and some of them are ours.
    fn may_wait(&self, error: &PgError) -> bool {
        error.kind() == PgErrorKind::TooManyConnections && Arc::strong_count(&self.alive) > 1
    }

    async fn permit(&self, opener: &Opener, until: Instant) -> Result<OwnedSemaphorePermit, PgError> {
        if let Ok(permit) = Arc::clone(&self.semaphore).try_acquire_owned() {
            return Ok(permit);
        }
        let Some(_turn) = Turn::take(&self.waiting, self.max_waiting) else {
            opener.counters.refused.add(1);
            return Err(self.busy(format!("{} callers wait already", self.max_waiting)));
        };
        let since = Instant::now();
        match tokio::time::timeout_at(until, Arc::clone(&self.semaphore).acquire_owned()).await {
            Ok(Ok(permit)) => {
                opener.counters.note_wait(since.elapsed());
                Ok(permit)
            }
            Ok(Err(_)) => Err(PgError::new(PgErrorKind::Unavailable, LENDING, "closing")),
            Err(_) => {
                opener.counters.note_wait(since.elapsed());
                opener.counters.refused.add(1);
                Err(self.busy(format!("none was given back within {} ms", self.wait.as_millis())))
            }
        }
    }

    fn busy(&self, why: String) -> PgError {
        let message =
            format!("all {} exclusive connections are in use, and {why}; raise exclusive_max, or try again", self.max);
        PgError::new(PgErrorKind::Busy, LENDING, message)
    }

    pub(crate) fn max(&self) -> usize {
        self.max
    }

    pub(crate) fn in_use(&self) -> usize {
        self.max - self.semaphore.available_permits()
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }
}

/// A place in the queue, given up however the wait ends.
struct Turn<'a>(&'a AtomicUsize);

impl<'a> Turn<'a> {
    fn take(waiting: &'a AtomicUsize, max: usize) -> Option<Self> {
        waiting.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |count| (count < max).then_some(count + 1)).ok()?;
        Some(Self(waiting))
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection of one's own, for transactions.
///
/// It may be dropped at any moment: in a transaction it is rolled back, with a statement in flight it is waited for briefly and closed
/// then, and only an idle connection is lent again. What a *session* keeps is not undone, though: who sets a parameter, listens, or takes an
/// advisory lock of the session says [`Exclusive::single_use`] first.
pub struct Exclusive {
    /// Taken when it is dropped.
    link: Option<(Link, OwnedSemaphorePermit)>,
    pool: Weak<Idle>,
    single_use: bool,
}

impl Exclusive {
    /// The connection is closed when it is dropped, and everything that the session held with it.
    pub fn single_use(&mut self) {
        self.single_use = true;
    }

    /// A statement that is prepared once for each connection.
    ///
    /// # Errors
    /// Where PostgreSQL refuses it, or can't be reached.
    pub async fn prepared(&self, sql: &str) -> Result<Statement, PgError> {
        self.link().prepared(sql).await
    }

    /// How many round trips this connection has made so far: requests that were sent while an answer was due count as one.
    #[must_use]
    pub fn round_trips(&self) -> u64 {
        self.link().wire.trips()
    }

    /// How many warnings have come over this connection so far: those of a statement are counted before its answer is handed out. One that comes
    /// with a commit may say that the replicas that it waits for have not confirmed it.
    #[must_use]
    pub fn warnings(&self) -> u64 {
        self.link().warnings()
    }

    fn link(&self) -> &Link {
        match &self.link {
            Some((link, _)) => link,
            None => unreachable!("it is taken in drop alone"),
        }
    }
}

impl Deref for Exclusive {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.link().client
    }
}

impl DerefMut for Exclusive {
    fn deref_mut(&mut self) -> &mut Client {
        match &mut self.link {
            Some((link, _)) => &mut link.client,
            None => unreachable!("it is taken in drop alone"),
        }
    }
}

impl Drop for Exclusive {
    fn drop(&mut self) {
        if let Some((link, permit)) = self.link.take() {
            if self.single_use {
                link.close();
            } else {
                link.part(permit, self.pool.clone());
            }
        }
    }
}

impl std::fmt::Debug for Exclusive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Exclusive")
    }
}
