//! A transaction that writes: begun and dated, done again where others got in its way, committed, applied, and only then answered.
//!
//! The commit and a look into the log are sent together: the answer to the second is applied here, so that a write waits for no poll.

use std::sync::Arc;
use std::time::Duration;

use cache_core::Revision;
use futures_util::future::join3;
use pg_log::tokio_postgres::error::SqlState;
use pg_log::tokio_postgres::types::ToSql;
use pg_log::tokio_postgres::{self, Row};
use pg_log::{Exclusive, LogReader, Pg, PgError, PgErrorKind};

use super::super::columns::unsigned;
use super::super::{Committed, StoreError, UnixMillis};
use super::failure::{connecting, failed, running};
use super::fate;
use super::job::Job;

/// How often a transaction is done that others get in the way of.
const ATTEMPTS: u32 = 4;
/// The pause before it is done again, at most; doubled each time.
const PAUSE: Duration = Duration::from_millis(10);
/// The time limit of statements whose work has no bound: the deletion of a store, a part of a load.
pub(super) const LONG_STATEMENT: Duration = Duration::from_secs(600);

const UNCONFIRMED: &str = "the server warned that its replicas have not confirmed the commit; look whether they follow";

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
            // Statements of a transaction are on their way together. This one only says that another one failed, whose answer is on its way as well.
            let is_consequence = error.code() == Some(&SqlState::IN_FAILED_SQL_TRANSACTION);
            let error = PgError::from_postgres(operation, &error);
            let refusal = running(operation, &error);
            if is_consequence || error.kind() == PgErrorKind::Conflict {
                Self::Again(refusal)
            } else {
                Self::Final(refusal)
            }
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
                Err(Refusal::Final(error)) => {
                    // Also where nobody can tell whether it is stored: if it is, the others need not wait for their polls.
                    if matches!(error, StoreError::FateUnknown { .. }) {
                        self.reader.wake();
                    }
                    return Err(error);
                }
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
        // Sent together: what the work asks first waits for no answer of ours.
        let (begun, prepared, done) = join3(
            connection.batch_execute("BEGIN"),
            self.prepare(connection, job),
            job.run(connection, self.pg.schema(), self.now),
        )
        .await;
        begun.map_err(Refusal::of(operation))?;
        prepared?;
        let done = done?;
        let (schema, retold) = (self.pg.schema(), job.retold());
        let sql = if retold.is_some() { retelling_sql(schema) } else { numbers_sql(schema) };
        let numbers = connection.prepared(&sql).await.map_err(connecting(operation))?;
        let poll = self.reader.poll_statement();
        let statement = match &poll {
            Some(poll) => Some(connection.prepared(poll.sql()).await.map_err(connecting(operation))?),
            None => None,
        };
        // Its own change is applied here before it is answered.
        let own = self.reader.incarnation();
        let own = own.as_deref();
        let params: Vec<&(dyn ToSql + Sync)> =
            retold.iter().flat_map(|(kind, fields)| [kind as _, fields as _, &own as _]).collect();
        let look = async {
            match (&poll, &statement) {
                (Some(poll), Some(statement)) => connection.query(statement, &poll.params()).await.map(Some),
                _ => Ok(None),
            }
        };
        let warnings = connection.warnings();
        let (numbers, committed, seen) =
            join3(connection.query_one(&numbers, &params), connection.batch_execute("COMMIT"), look).await;
        let numbers = match numbers {
            Ok(row) => Numbers::read(&row),
            // Answers come in order: where PostgreSQL refused this, the commit was a rollback.
            Err(error) if error.as_db_error().is_some() => return Err(Refusal::of(operation)(error)),
            Err(error) => return Err(Refusal::Final(fate::unknown(operation, &error))),
        };
        if let Err(error) = committed {
            if fate::is_settled(&error) {
                return Err(Refusal::of(operation)(error));
            }
            fate::ask(&self.pg, operation, &numbers, &error).await?;
        } else if connection.warnings() != warnings {
            // Cancelled while it waited for its replicas: it is stored here, and may be gone after a failover.
            return Err(Refusal::Final(fate::unknown(operation, &UNCONFIRMED)));
        }
        self.in_force(operation, numbers.revision, seen).await?;
        Ok((done, Committed { revision: Revision::new(numbers.revision) }))
    }

    /// What holds for this transaction alone.
    async fn prepare(&self, connection: &Exclusive, job: &Job) -> Result<(), Refusal> {
        let operation = job.operation();
        let statement = connection.prepared(SETTINGS).await.map_err(connecting(operation))?;
        let now = self.now.to_string();
        connection.query(&statement, &[&now, &job.keeps_books()]).await.map(drop).map_err(Refusal::of(operation))
    }

    /// Sees to it that a change that is committed is applied here.
    ///
    /// By a poll that was sent after the commit, and not by the position of the reader: that may be from before a crash of the server, and then
    /// claims to have seen numbers that were given again since. The one that came with the commit mostly does.
    async fn in_force(
        &self,
        operation: &'static str,
        xid: u64,
        seen: Result<Option<Vec<Row>>, tokio_postgres::Error>,
    ) -> Result<(), StoreError> {
        if let Ok(Some(rows)) = seen
            && self.reader.apply_polled(&rows).is_ok_and(|polled| polled.snapshot.sees(xid))
        {
            return Ok(());
        }
        // The others first: how long it takes here is nothing to them.
        self.reader.wake();
        let applied = self.reader.applied(xid).await;
        applied.map_err(|error| StoreError::NotApplied { operation, cause: Arc::from(error.to_string()) })
    }
}

/// The time of the records; plans that stay right when a table grows under them; a commit that is on the disk before it is answered, where
/// the server would answer earlier; and whether this transaction keeps the history and the log by itself, for which its triggers don't fire.
const SETTINGS: &str = "SELECT set_config('tiergate.now', $1, true), set_config('enable_seqscan', 'off', true),
    set_config('enable_hashjoin', 'off', true), set_config('enable_mergejoin', 'off', true),
    set_config('synchronous_commit', CASE current_setting('synchronous_commit') WHEN 'off' THEN 'on'
                                     ELSE current_setting('synchronous_commit') END, true),
    CASE WHEN $2 THEN set_config('tiergate.bulk', pg_current_xact_id()::text, true) END";

/// What a transaction asks before it ends.
pub(super) struct Numbers {
    /// Its own number, where it has one.
    pub(super) xid: Option<u64>,
    /// The number of the change: its own, or the newest one of its state where it has logged nothing.
    revision: u64,
    /// Which life of the server gave these numbers.
    pub(super) incarnation: String,
}

fn numbers_sql(schema: &str) -> String {
    format!(
        "SELECT pg_current_xact_id_if_assigned()::text::bigint, coalesce({}), {schema}.incarnation()",
        revision_sql(schema)
    )
}

/// What was found changed already may have been changed by a transaction that is not the newest one by its number: who has applied the newest one need not
/// have applied that. So where somebody is behind, it is told once more, if nothing else is: who has applied this transaction has applied all that it saw.
/// So too where all that the log has is older than what it is whole for: nobody reports that he has applied what is told no more, and a token that names it
/// would be too old at once.
fn retelling_sql(schema: &str) -> String {
    format!(
        "WITH retold AS (
             INSERT INTO {schema}.log (kind, fields) SELECT $1::text, $2::text[]
             WHERE NOT EXISTS (SELECT FROM {schema}.log WHERE NOT loaded AND xid = pg_current_xact_id_if_assigned())
                 AND (NOT EXISTS (SELECT FROM {schema}.log l, {schema}.log_state s WHERE NOT l.loaded AND l.xid >= s.trimmed_below)
                     OR EXISTS (SELECT FROM {schema}.members m LEFT JOIN {schema}.positions p USING (incarnation)
                     WHERE NOT m.fenced AND m.incarnation::text IS DISTINCT FROM $3
                         AND (p.seen IS NULL OR p.seen_in IS DISTINCT FROM {schema}.incarnation()
                             OR EXISTS (SELECT FROM {schema}.log l
                                 WHERE NOT l.loaded AND l.xid >= pg_snapshot_xmin(p.seen::pg_snapshot)
                                     AND NOT pg_visible_in_snapshot(l.xid, p.seen::pg_snapshot)))))
             RETURNING xid)
         SELECT coalesce((SELECT xid FROM retold), pg_current_xact_id_if_assigned())::text::bigint,
                coalesce((SELECT xid FROM retold)::text::bigint, {}), {schema}.incarnation()",
        revision_sql(schema)
    )
}

/// What was told by this transaction; else the newest row of the log, or what was trimmed of it.
fn revision_sql(schema: &str) -> String {
    format!(
        "(SELECT xid FROM {schema}.log WHERE NOT loaded AND xid = pg_current_xact_id_if_assigned() LIMIT 1)::text::bigint,
         (SELECT xid FROM {schema}.log WHERE NOT loaded ORDER BY xid DESC LIMIT 1)::text::bigint,
         (SELECT greatest(trimmed_below::text::bigint - 1, 0) FROM {schema}.log_state)"
    )
}

impl Numbers {
    fn read(row: &Row) -> Self {
        let (xid, revision): (Option<i64>, Option<i64>) = (row.get(0), row.get(1));
        Self { xid: xid.map(unsigned), revision: unsigned(revision.unwrap_or(0)), incarnation: row.get(2) }
    }
}

/// Lets the statements of a transaction take their time.
pub(super) async fn take_time(connection: &Exclusive, operation: &'static str) -> Result<(), Refusal> {
    let sql = format!("SET LOCAL statement_timeout = {}", LONG_STATEMENT.as_millis());
    connection.batch_execute(&sql).await.map_err(failed(operation)).map_err(Refusal::from)
}
