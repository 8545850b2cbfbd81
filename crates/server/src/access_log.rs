//! The access log: who asks for what, by sample, for the view `access_patterns`. No decision rests on it, and none waits for it.
//!
//! Bounds: a queue of [`QUEUE`] accesses, beyond which they are dropped and counted; one statement of at most [`BATCH`] of them under way. What PostgreSQL does
//! not take is lost and counted: the log gets a little less accurate, and nothing else.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use authz::decide::CheckRequest;
use authz::store::postgres::PostgresStore;
use authz::views::access_patterns::{self, Access};
use cache_core::Entropy;
use cache_pg::pg_log::{Pg, PgConfig, PgError};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

/// Accesses that wait to be written.
pub(crate) const QUEUE: usize = 4_096;
/// Accesses of one statement.
const BATCH: usize = 512;
/// How long the first access of a batch waits for others.
const GATHER: Duration = Duration::from_secs(1);
/// How often what is too old is deleted, and how long after the start for the first time.
const TRIM_EVERY: Duration = Duration::from_secs(3_600);
const FIRST_TRIM: Duration = Duration::from_secs(60);
/// How long one statement may take.
const STATEMENT: Duration = Duration::from_secs(30);
/// How long the end waits for what is still in the queue.
const CLOSE_WAIT: Duration = Duration::from_secs(2);
/// The least time between two complaints about PostgreSQL.
const COMPLAIN_EVERY: Duration = Duration::from_secs(60);

/// What became of accesses.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct AccessCounts {
    /// Rows that were written.
    pub written: u64,
    /// Accesses for which there was no room in the queue.
    pub dropped: u64,
    /// Accesses that PostgreSQL did not take.
    pub failed: u64,
}

#[derive(Default)]
struct Counts {
    written: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
}

/// Takes notes of accesses.
pub struct AccessLog {
    /// One of so many is written.
    one_in: u64,
    entropy: Arc<dyn Entropy>,
    queue: Mutex<Option<mpsc::Sender<Access>>>,
    counts: Arc<Counts>,
    task: Mutex<Option<JoinHandle<()>>>,
    is_on: bool,
}

/// Where accesses go.
#[async_trait]
pub(crate) trait AccessWriter: Send + Sync + 'static {
    /// Waits until it can be written to; false where it never will.
    async fn ready(&self) -> bool;
    async fn append(&self, accesses: &[Access]) -> Result<(), PgError>;
    /// Deletes what is too old.
    async fn trim(&self) -> Result<(), PgError>;
}

impl AccessLog {
    /// One that takes no notes.
    pub(crate) fn off(entropy: Arc<dyn Entropy>) -> Self {
        Self {
            one_in: 0,
            entropy,
            queue: Mutex::default(),
            counts: Arc::default(),
            task: Mutex::default(),
            is_on: false,
        }
    }

    /// One access in `one_in`, written by a task of its own.
    pub(crate) fn start(one_in: u32, entropy: Arc<dyn Entropy>, writer: impl AccessWriter) -> Self {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let counts = Arc::<Counts>::default();
        let task = tokio::spawn(run(waiting, Arc::clone(&counts), writer));
        Self {
            one_in: u64::from(one_in.max(1)),
            entropy,
            queue: Mutex::new(Some(queue)),
            counts,
            task: Mutex::new(Some(task)),
            is_on: true,
        }
    }

    /// Notes a decision, if it is drawn. Otherwise it costs a drawing and nothing else.
    pub(crate) fn note(&self, request: &CheckRequest, allowed: bool) {
        if !self.is_on || (self.one_in > 1 && !self.entropy.next().is_multiple_of(self.one_in)) {
            return;
        }
        let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        match queue.as_ref().map(mpsc::Sender::try_reserve) {
            Some(Ok(room)) => room.send(Access {
                store: request.store,
                subject: request.subject.clone(),
                relation: request.relation.clone(),
                object: request.object.clone(),
                allowed,
                weight: u32::try_from(self.one_in).unwrap_or(u32::MAX),
            }),
            _ => _ = self.counts.dropped.fetch_add(1, Ordering::Relaxed),
        }
    }

    /// What became of accesses so far.
    #[must_use]
    pub fn counts(&self) -> AccessCounts {
        let Counts { written, dropped, failed } = &*self.counts;
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        AccessCounts { written: read(written), dropped: read(dropped), failed: read(failed) }
    }

    /// Takes no more notes, and writes what is in the queue, within a bound.
    pub(crate) async fn close(&self) {
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut task) = task
            && tokio::time::timeout(CLOSE_WAIT, &mut task).await.is_err()
        {
            task.abort();
            tracing::warn!("what was left of the access log could not be written in time");
        }
    }
}

/// Writes batch after batch until nobody takes notes any more.
async fn run(mut waiting: mpsc::Receiver<Access>, counts: Arc<Counts>, writer: impl AccessWriter) {
    if !writer.ready().await {
        return;
    }
    let mut complained: Option<Instant> = None;
    let mut complain = |error: &PgError| {
        let due = complained.is_none_or(|at| at.elapsed() >= COMPLAIN_EVERY);
        if due {
            complained = Some(Instant::now());
            tracing::warn!(%error, "accesses could not be noted; answers are not concerned");
        }
    };
    let mut next_trim = Instant::now() + FIRST_TRIM;
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        tokio::select! {
            biased;
            () = tokio::time::sleep_until(next_trim) => {
                next_trim = Instant::now() + TRIM_EVERY;
                if let Err(error) = writer.trim().await {
                    complain(&error);
                }
                continue;
            }
            taken = waiting.recv_many(&mut batch, BATCH) => if taken == 0 { return },
        }
        let full = Instant::now() + GATHER;
        while batch.len() < BATCH {
            let room = BATCH - batch.len();
            tokio::select! {
                biased;
                taken = waiting.recv_many(&mut batch, room) => if taken == 0 { break },
                () = tokio::time::sleep_until(full) => break,
            }
        }
        let count = match writer.append(&batch).await {
            Ok(()) => &counts.written,
            Err(error) => {
                complain(&error);
                &counts.failed
            }
        };
        count.fetch_add(batch.len() as u64, Ordering::Relaxed);
        batch.clear();
    }
}

/// The table beside the origin, over connections of its own: a long statement here holds up nobody who looks something up.
pub(crate) struct PostgresAccesses {
    pg: Pg,
    origin: Arc<PostgresStore>,
    keep: Duration,
}

impl PostgresAccesses {
    pub(crate) fn new(connections: PgConfig, origin: Arc<PostgresStore>, keep: Duration) -> Result<Self, PgError> {
        let mut connections = connections;
        (connections.exclusive_max, connections.shared_connections) = (1, 1);
        connections.statement_timeout = STATEMENT;
        Ok(Self { pg: Pg::new(connections)?, origin, keep })
    }
}

#[async_trait]
impl AccessWriter for PostgresAccesses {
    async fn ready(&self) -> bool {
        self.origin.joined().await
    }

    async fn append(&self, accesses: &[Access]) -> Result<(), PgError> {
        access_patterns::append(&self.pg, accesses).await
    }

    async fn trim(&self) -> Result<(), PgError> {
        access_patterns::trim(&self.pg, self.keep).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use authz::relation::{Object, Subject};
    use authz::store::StoreId;
    use cache_pg::pg_log::PgErrorKind;
    use tokio::sync::Semaphore;

    use super::*;

    /// Numbers in the order of a list, and then the last one again and again.
    struct Numbers(Mutex<VecDeque<u64>>);

    impl Entropy for Numbers {
        fn next(&self) -> u64 {
            let mut numbers = self.0.lock().unwrap();
            if numbers.len() > 1 { numbers.pop_front().unwrap() } else { numbers[0] }
        }
    }

    /// Writes what it is allowed to, and remembers it.
    #[derive(Clone)]
    struct Memory {
        permits: Arc<Semaphore>,
        rows: Arc<Mutex<Vec<Access>>>,
        fails: bool,
    }

    impl Memory {
        fn new(permits: usize, fails: bool) -> Self {
            Self { permits: Arc::new(Semaphore::new(permits)), rows: Arc::default(), fails }
        }
    }

    #[async_trait]
    impl AccessWriter for Memory {
        async fn ready(&self) -> bool {
            true
        }

        async fn append(&self, accesses: &[Access]) -> Result<(), PgError> {
            self.permits.acquire().await.unwrap().forget();
            if self.fails {
                return Err(PgError::new(PgErrorKind::Unavailable, "append", "it is gone".to_owned()));
            }
            self.rows.lock().unwrap().extend_from_slice(accesses);
            Ok(())
        }

        async fn trim(&self) -> Result<(), PgError> {
            Ok(())
        }
    }

    fn numbers(all: &[u64]) -> Arc<dyn Entropy> {
        Arc::new(Numbers(Mutex::new(all.iter().copied().collect())))
    }

    fn question(object: &str) -> CheckRequest {
        CheckRequest::new(
            StoreId(ulid::Ulid(7)),
            Subject::parse("user:ann").unwrap(),
            "viewer",
            Object::parse(object).unwrap(),
        )
    }

    #[tokio::test(start_paused = true)]
    async fn one_in_so_many_is_written_and_stands_for_all_of_them() {
        let memory = Memory::new(100, false);
        let log = AccessLog::start(10, numbers(&[3, 20, 7, 11, 40, 9]), memory.clone());
        for n in 0..6 {
            log.note(&question(&format!("doc:{n}")), n == 1);
        }
        log.close().await;
        let rows = memory.rows.lock().unwrap();
        let seen: Vec<_> = rows.iter().map(|row| (row.object.to_string(), row.allowed, row.weight)).collect();
        assert_eq!(seen, [("doc:1".to_owned(), true, 10), ("doc:4".to_owned(), false, 10)]);
        assert_eq!(log.counts(), AccessCounts { written: 2, dropped: 0, failed: 0 });
    }

    #[tokio::test(start_paused = true)]
    async fn what_finds_no_room_is_dropped_and_counted_and_waits_for_nobody() {
        let memory = Memory::new(0, false);
        let log = AccessLog::start(1, numbers(&[0]), memory.clone());
        let sent = QUEUE + 3 * BATCH;
        for n in 0..sent {
            log.note(&question(&format!("doc:{n}")), true);
        }
        let dropped = log.counts().dropped;
        assert_eq!(dropped as usize, sent - QUEUE, "the task has not run yet");
        memory.permits.add_permits(1_000);
        log.close().await;
        assert_eq!(log.counts(), AccessCounts { written: QUEUE as u64, dropped, failed: 0 });
    }

    #[tokio::test(start_paused = true)]
    async fn what_can_not_be_written_is_counted_and_the_next_is_tried() {
        let log = AccessLog::start(1, numbers(&[0]), Memory::new(1_000, true));
        for n in 0..3 {
            log.note(&question(&format!("doc:{n}")), true);
        }
        log.close().await;
        assert_eq!(log.counts(), AccessCounts { written: 0, dropped: 0, failed: 3 });
        log.note(&question("doc:later"), true);
        assert_eq!(log.counts().dropped, 1, "after the end there is no room");
    }

    #[tokio::test(start_paused = true)]
    async fn an_end_does_not_wait_for_a_writer_that_hangs() {
        let log = AccessLog::start(1, numbers(&[0]), Memory::new(0, false));
        log.note(&question("doc:1"), true);
        log.close().await;
        assert_eq!(log.counts(), AccessCounts::default());
    }

    #[test]
    fn one_that_is_off_draws_nothing() {
        struct Never;
        impl Entropy for Never {
            fn next(&self) -> u64 {
                panic!("nothing is drawn")
            }
        }
        let log = AccessLog::off(Arc::new(Never));
        log.note(&question("doc:1"), true);
        assert_eq!(log.counts(), AccessCounts::default());
    }
}
