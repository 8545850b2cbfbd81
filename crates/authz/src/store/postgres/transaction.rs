//! A transaction that writes: begun and dated, done again where others got in its way, committed, applied, and only then answered.
//!
//! The commit and a look into the log are sent together: the answer to the second is applied here, so that a write waits for no poll.

use std::sync::Arc;
use std::time::Duration;

use cache_core::Revision;
use futures_util::future::{join, join3};
use pg_log::tokio_postgres::{self, Row};
use pg_log::{Exclusive, LogReader, Pg, PgError, PgErrorKind};

use super::super::{Committed, StoreError, UnixMillis};
use super::failure::{connecting, failed, running};
use super::job::Job;

/// How often a transaction is done that others get in the way of.
const ATTEMPTS: u32 = 4;
/// The pause before it is done again, at most; doubled each time.
const PAUSE: Duration = Duration::from_millis(10);
/// The time limit of statements whose work has no bound: the deletion of a store, a part of a load.
pub(super) const LONG_STATEMENT: Duration = Duration::from_secs(600);

/// The number of the transaction, if it has written, and one that its state contains.
const NUMBERS: &str =
    "SELECT pg_current_xact_id_if_assigned()::text::bigint, pg_snapshot_xmax(pg_current_snapshot())::text::bigint";

/// What a transaction is done with.
#[derive(Clone)]
pub(super) struct Desk {
    pub(super) pg: Pg,
    pub(super) reader: Arc<LogReader>,
    pub(super) now: UnixMillis,
}

/// Why a transaction ended without a commit.
pub(super) enum Refusal {
    /// For good.
    Final(StoreError),
    /// Others got in the way: done again it may succeed.
    Again(StoreError),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Final(error)
    }
}

impl Refusal {
    /// A failed statement.
    pub(super) fn of(operation: &'static str) -> impl Fn(tokio_postgres::Error) -> Self {
        move |error| {
            let error = PgError::from_postgres(operation, &error);
            let refusal = running(operation, &error);
            if error.kind() == PgErrorKind::Conflict { Self::Again(refusal) } else { Self::Final(refusal) }
        }
    }
}

impl Desk {
    /// Does a job in a transaction, and answers when it is in force here.
    ///
    /// # Errors
    /// Those of the job; and where the outcome of the commit is unknown, which the words say.
    pub(super) async fn transact(&self, job: &Job) -> Result<(usize, Committed), StoreError> {
        let operation = job.operation();
        let mut attempt = 1;
        loop {
            let connection = self.pg.exclusive().await.map_err(connecting(operation))?;
            let refusal = match self.attempt(&connection, job).await {
                Ok(done) => {
                    self.reader.wake();
                    return Ok(done);
                }
                Err(Refusal::Final(error)) => return Err(error),
                Err(Refusal::Again(error)) => error,
            };
            drop(connection);
            if attempt == ATTEMPTS {
                return Err(refusal);
            }
            let most = PAUSE * 2_u32.pow(attempt);
            tokio::time::sleep(most.mul_f64(fastrand::f64())).await;
            attempt += 1;
        }
    }

    async fn attempt(&self, connection: &Exclusive, job: &Job) -> Result<(usize, Committed), Refusal> {
        let operation = job.operation();
        let begin = format!("BEGIN; SELECT set_config('tiergate.now', '{}', true)", self.now);
        // Sent together: what the work asks first waits for no answer of ours.
        let (begun, done) =
            join(connection.batch_execute(&begin), job.run(connection, self.pg.schema(), self.now)).await;
        begun.map_err(Refusal::of(operation))?;
        let done = done?;
        let numbers = connection.prepared(NUMBERS).await.map_err(connecting(operation))?;
        let poll = self.reader.poll_statement();
        let statement = match &poll {
            Some(poll) => Some(connection.prepared(poll.sql()).await.map_err(connecting(operation))?),
            None => None,
        };
        let look = async {
            match (&poll, &statement) {
                (Some(poll), Some(statement)) => connection.query(statement, &poll.params()).await.map(Some),
                _ => Ok(None),
            }
        };
        let (numbers, committed, seen) =
            join3(connection.query_one(&numbers, &[]), connection.batch_execute("COMMIT"), look).await;
        let numbers = numbers.map_err(Refusal::of(operation))?;
        committed.map_err(|error| Refusal::Final(unknown(operation, &error)))?;
        let (written, newest): (Option<i64>, i64) = (numbers.get(0), numbers.get(1));
        let number = |number: i64| u64::try_from(number).unwrap_or_default();
        let Some(xid) = written.map(number) else {
            // Nothing was to be done: whatever the state contains is a true answer.
            return Ok((done, Committed { revision: Revision::new(number(newest).saturating_sub(1)) }));
        };
        self.in_force(operation, xid, seen).await?;
        Ok((done, Committed { revision: Revision::new(xid) }))
    }

    /// Waits until a change that is committed is applied here.
    async fn in_force(
        &self,
        operation: &'static str,
        xid: u64,
        seen: Result<Option<Vec<Row>>, tokio_postgres::Error>,
    ) -> Result<(), StoreError> {
        if let Ok(Some(rows)) = &seen
            && self.reader.apply_polled(rows).is_ok_and(|polled| polled.snapshot.sees(xid))
        {
            return Ok(());
        }
        self.reader.wake();
        self.reader.applied(xid).await.map_err(|error| StoreError::Unavailable {
            operation,
            cause: Arc::from(error.to_string()),
            remedy: "it is written, and will be in force here when the log can be read again",
        })
    }
}

/// PostgreSQL was lost in the middle of a commit, or refused it.
fn unknown(operation: &'static str, error: &tokio_postgres::Error) -> StoreError {
    if error.as_db_error().is_some() {
        return failed_commit(operation, error);
    }
    StoreError::FateUnknown { operation, cause: Arc::from(error.to_string()) }
}

fn failed_commit(operation: &'static str, error: &tokio_postgres::Error) -> StoreError {
    running(operation, &PgError::from_postgres(operation, error))
}

/// Lets the statements of a transaction take their time.
pub(super) async fn take_time(connection: &Exclusive, operation: &'static str) -> Result<(), Refusal> {
    let sql = format!("SET LOCAL statement_timeout = {}", LONG_STATEMENT.as_millis());
    connection.batch_execute(&sql).await.map_err(failed(operation)).map_err(Refusal::from)
}
