//! Group commit: the thread that owns the writing connection, and the bounded queue before it.
//!
//! One flush of the disk costs as much as thousands of inserts, so all writes that wait share one transaction. Each has a savepoint
//! of its own, so that a conflict undoes one write and no other. What they share is the end: where the commit fails, nobody
//! is told that anything was written.
//!
//! The order is: commit, apply to the sink, answer. Whether a caller still listens is only noticed in the last step.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use diesel::connection::SimpleConnection;
use diesel::sqlite::SqliteConnection;
use tokio::sync::{mpsc, oneshot};

use super::super::{StoreError, UnixMillis, WallClock};
use super::failure::{broken, running};
use super::job::Work;
use super::log::{Log, head_row, rows_after};
use super::open::LockFile;

const OPERATION: &str = "writing";

/// Where writes wait for the writer.
pub(super) struct Writer {
    queue: Mutex<Option<mpsc::Sender<Box<dyn Job>>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    trouble: Arc<Mutex<Option<StoreError>>>,
}

/// What the thread owns.
pub(super) struct Desk {
    /// The only connection that writes.
    pub(super) connection: SqliteConnection,
    /// The right to do so.
    pub(super) lock: LockFile,
    /// Who applies what was committed.
    pub(super) log: Arc<Log>,
    /// Dates the records.
    pub(super) clock: Arc<dyn WallClock>,
    /// The most jobs in one commit.
    pub(super) max_group: usize,
    /// What went wrong in the last group for one of its jobs only.
    pub(super) trouble: Option<StoreError>,
    /// Where SQLite keeps what it needs to take a part of a transaction back; none before the first.
    pub(super) undo: Option<Undo>,
}

/// Where SQLite keeps the pages as they were before a part of a transaction.
///
/// By itself it writes them to a temporary file, many times as much as to the write-ahead log. That is only worth it where nobody knows how many they
/// are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Undo {
    /// What an ordinary job touches: some pages for each of its rows, of which it has a bounded number.
    InMemory,
    /// What a job touches that is done alone: maybe every page there is.
    OnDisk,
}

impl Writer {
    /// Starts the thread.
    pub(super) fn start(desk: Desk, max_queued: usize) -> Result<Self, StoreError> {
        let (queue, jobs) = mpsc::channel(max_queued.max(1));
        let trouble = Arc::new(Mutex::new(None));
        let reports = Arc::clone(&trouble);
        let thread = std::thread::Builder::new()
            .name("origin-writer".to_owned())
            .spawn(move || desk.serve(jobs, &reports))
            .map_err(|error| broken("starting the writer", error))?;
        Ok(Self { queue: Mutex::new(Some(queue)), thread: Mutex::new(Some(thread)), trouble })
    }

    /// Has one piece of work done in the next group, and waits until it is durable and applied.
    pub(super) async fn submit<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Work<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        self.queue(work, false).await
    }

    /// As [`Self::submit`], in a commit of its own: for work that takes long enough to make others wait.
    pub(super) async fn submit_alone<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Work<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        self.queue(work, true).await
    }

    async fn queue<T, F>(&self, work: F, alone: bool) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Work<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        let (to, answer) = oneshot::channel();
        let job = Box::new(Pending { work: Some(work), result: None, alone, to });
        {
            let queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(queue) = queue.as_ref() else { return Err(StoreError::Closed) };
            queue.try_send(job).map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => StoreError::Busy { what: "the queue of writes is full" },
                mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
            })?;
        }
        answer.await.unwrap_or_else(|_| {
            // It may have gone after its commit.
            Err(StoreError::FateUnknown { operation: OPERATION, cause: Arc::from("the writer is gone") })
        })
    }

    /// The failure of the last group, if it failed.
    pub(super) fn trouble(&self) -> Option<StoreError> {
        let gone =
            self.thread.lock().unwrap_or_else(PoisonError::into_inner).as_ref().is_none_or(JoinHandle::is_finished);
        if gone {
            return Some(broken(OPERATION, "the writer is gone"));
        }
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes no more work. The thread ends after what is queued; the caller joins it.
    pub(super) fn close(&self) -> Option<JoinHandle<()>> {
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.thread.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Desk {
    fn serve(mut self, mut queue: mpsc::Receiver<Box<dyn Job>>, trouble: &Mutex<Option<StoreError>>) {
        let mut left_over = None;
        while let Some(first) = left_over.take().or_else(|| queue.blocking_recv()) {
            let mut group = vec![first];
            while group.len() < self.max_group && !group[0].alone() {
                match queue.try_recv() {
                    Ok(job) if job.alone() => {
                        left_over = Some(job);
                        break;
                    }
                    Ok(job) => group.push(job),
                    Err(_) => break,
                }
            }
            let outcome = catch_unwind(AssertUnwindSafe(|| self.commit(&mut group))).unwrap_or_else(|_| {
                let _ = self.connection.batch_execute("ROLLBACK");
                Err(StoreError::FateUnknown { operation: OPERATION, cause: Arc::from("a change could not be applied") })
            });
            let outcome = self.log.note(outcome);
            if let Some(error) = &self.trouble {
                let _ = self.log.note::<()>(Err(error.clone()));
            }
            *trouble.lock().unwrap_or_else(PoisonError::into_inner) =
                outcome.as_ref().err().cloned().or_else(|| self.trouble.take());
            for job in group {
                job.answer(&outcome);
            }
        }
        // Best effort: without it the next start reads the write-ahead log, and finds the same.
        let _ = self.connection.batch_execute("PRAGMA wal_checkpoint(TRUNCATE)");
        drop(self.connection);
        drop(self.lock);
    }

    /// All jobs of a group in one transaction. An error means that nothing of it is stored.
    fn commit(&mut self, group: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
        self.keep_undo(if group.iter().any(|job| job.alone()) { Undo::OnDisk } else { Undo::InMemory })?;
        self.execute("BEGIN IMMEDIATE")?;
        let outcome = self.work_and_commit(group);
        if outcome.is_err() {
            // After some errors SQLite has rolled back by itself, and says so here.
            let _ = self.connection.batch_execute("ROLLBACK");
        }
        outcome
    }

    fn work_and_commit(&mut self, group: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
        let reading = |error: diesel::result::Error| running("reading the log", &error);
        // Nobody else commits while this transaction is open, so what is found of the history here still holds at its end.
        let begin = self.log.catch_up(&mut self.connection)?;
        let now = self.clock.unix_millis();
        if let [job] = group {
            // Alone, its savepoint is the transaction. SQLite keeps a copy of each page that changes inside of a savepoint, and for a
            // bulk load that would be all of them.
            let done = job.run(&mut Work { connection: &mut self.connection, now });
            if let Err(error) = done {
                if is_refusal(&error) {
                    self.execute("ROLLBACK")?;
                    return Ok(());
                }
                return Err(error);
            }
        } else {
            self.share(group, now)?;
        }
        let through = head_row(&mut self.connection).map_err(reading)?;
        let rows = rows_after(&mut self.connection, begin, i64::MAX).map_err(reading)?;
        self.log.announce(through.as_ref());
        self.execute("COMMIT")?;
        self.log.apply(begin, &rows, through);
        Ok(())
    }

    fn share(&mut self, group: &mut [Box<dyn Job>], now: UnixMillis) -> Result<(), StoreError> {
        for job in group {
            self.execute("SAVEPOINT job")?;
            match job.run(&mut Work { connection: &mut self.connection, now }) {
                Ok(()) => self.execute("RELEASE job")?,
                Err(error) => {
                    if !is_refusal(&error) {
                        self.trouble = Some(error.clone());
                    }
                    // Where even that fails, the job's error took the whole transaction with it, and tells more.
                    self.execute("ROLLBACK TO job; RELEASE job").map_err(|_| error)?;
                }
            }
        }
        Ok(())
    }

    /// Only between two transactions.
    fn keep_undo(&mut self, undo: Undo) -> Result<(), StoreError> {
        if self.undo != Some(undo) {
            self.execute(match undo {
                Undo::InMemory => "PRAGMA temp_store = MEMORY",
                Undo::OnDisk => "PRAGMA temp_store = FILE",
            })?;
            self.undo = Some(undo);
        }
        Ok(())
    }

    fn execute(&mut self, sql: &str) -> Result<(), StoreError> {
        self.connection.batch_execute(sql).map_err(|error| running(OPERATION, &error))
    }
}

/// Whether a write was refused for what it asks, and not for the state of the file.
fn is_refusal(error: &StoreError) -> bool {
    matches!(error, StoreError::Conflict(_) | StoreError::UnknownStore(_) | StoreError::UnknownModel(_))
}

/// A write that waits, is being done, or waits for its group's commit.
trait Job: Send {
    /// Does the work. Its savepoint is rolled back after an error.
    fn run(&mut self, work: &mut Work<'_>) -> Result<(), StoreError>;
    /// Whether it wants a commit of its own.
    fn alone(&self) -> bool;
    /// Tells the caller, who may be gone: its own result where the group was committed.
    fn answer(self: Box<Self>, group: &Result<(), StoreError>);
}

struct Pending<T, F> {
    work: Option<F>,
    result: Option<Result<T, StoreError>>,
    alone: bool,
    to: oneshot::Sender<Result<T, StoreError>>,
}

impl<T, F> Job for Pending<T, F>
where
    T: Send + 'static,
    F: FnOnce(&mut Work<'_>) -> Result<T, StoreError> + Send + 'static,
{
    fn run(&mut self, work: &mut Work<'_>) -> Result<(), StoreError> {
        let Some(todo) = self.work.take() else { return Ok(()) };
        let result = todo(work);
        let outcome = result.as_ref().map(|_| ()).map_err(StoreError::clone);
        self.result = Some(result);
        outcome
    }

    fn alone(&self) -> bool {
        self.alone
    }

    fn answer(self: Box<Self>, group: &Result<(), StoreError>) {
        let answer = match (group, self.result) {
            (Err(error), _) => Err(error.clone()),
            (Ok(()), Some(result)) => result,
            (Ok(()), None) => Err(broken(OPERATION, "the write was not tried")),
        };
        let _ = self.to.send(answer);
    }
}

#[cfg(test)]
mod tests {
    use diesel::dsl::sql;
    use diesel::prelude::*;
    use diesel::sql_types::BigInt;

    use super::super::super::SystemWallClock;
    use super::super::{SqliteConfig, SqliteStore};
    use super::*;

    /// What SQLite calls it.
    const FILE: i64 = 1;
    const MEMORY: i64 = 2;

    fn kept(work: &mut Work<'_>) -> Result<i64, StoreError> {
        sql::<BigInt>("SELECT temp_store FROM pragma_temp_store")
            .get_result(work.connection)
            .map_err(|error| running("asking", &error))
    }

    #[tokio::test]
    async fn ordinary_writes_need_no_temporary_file_and_unbounded_ones_no_memory() {
        let directory = tempfile::tempdir().unwrap();
        let config = SqliteConfig::new(directory.path().join("data.sqlite"));
        let store = SqliteStore::open(config, Arc::new(SystemWallClock)).unwrap();
        for _ in 0..2 {
            assert_eq!(store.writer().submit(kept).await.unwrap(), MEMORY);
            assert_eq!(store.writer().submit_alone(kept).await.unwrap(), FILE);
        }
    }
}
