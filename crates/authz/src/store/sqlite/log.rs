//! The log, and how far this process has applied it.
//!
//! Invariant: every row up to `applied` was applied by the sink. Revisions are dense in commit order, so one number is enough;
//! whoever moves it on has read *all* rows between its old value and the new one, in one transaction.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use cache_core::Revision;
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use super::super::{Change, ChangeSink, InvalidationScope, LoggedChange, StoreId};
use super::row::{id_of, signed, tuple_of, unsigned};
use super::schema::changes;

/// How many rows are read and applied at once while catching up, which bounds the memory that a flood of foreign writes takes.
const CATCH_UP_ROWS: i64 = 10_000;
/// Rows that are covered by a `replaced` row of the same transaction, and so say nothing new to a sink.
const LOADED: &str = "loaded";

/// Who applies changes, and what has been applied.
#[derive(Default)]
pub(super) struct Log {
    sink: OnceLock<Arc<dyn ChangeSink>>,
    applied: AtomicU64,
}

impl Log {
    /// Tells the sink what the log says of the past, in the read transaction that is open. False where there is a sink already.
    pub(super) fn attach(
        &self,
        sink: Arc<dyn ChangeSink>,
        connection: &mut SqliteConnection,
        replay: usize,
    ) -> QueryResult<bool> {
        if self.sink.get().is_some() {
            return Ok(false);
        }
        let through = head(connection)?;
        let (floor, past) = newest(connection, replay)?;
        sink.joined(floor, &past, through);
        self.applied.store(through.get(), Ordering::Release);
        Ok(self.sink.set(sink).is_ok())
    }

    /// Applies what the open transaction sees and nobody has applied yet. Returns the newest revision that it sees.
    ///
    /// Two threads may apply the same rows at once: applying is idempotent, and each finishes before it moves `applied`.
    pub(super) fn catch_up(&self, connection: &mut SqliteConnection) -> QueryResult<Revision> {
        let through = head(connection)?;
        let Some(sink) = self.sink.get() else { return Ok(through) };
        let mut from = self.applied.load(Ordering::Acquire);
        while from < through.get() {
            let rows = rows_after(connection, Revision::new(from), CATCH_UP_ROWS)?;
            let whole = rows.len() < usize::try_from(CATCH_UP_ROWS).unwrap_or(usize::MAX);
            from = match rows.last() {
                Some(last) if !whole => last.revision.get(),
                _ => through.get(),
            };
            if !rows.is_empty() {
                sink.apply(&rows);
            }
            self.applied.fetch_max(from, Ordering::Release);
        }
        Ok(through)
    }

    /// Applies the rows of a transaction that began at `begin`, where everything up to `begin` has been applied.
    pub(super) fn apply(&self, begin: Revision, rows: &[LoggedChange], through: Revision) {
        let Some(sink) = self.sink.get() else { return };
        if !rows.is_empty() {
            sink.apply(rows);
        }
        // Where the sink came between begin and here it may not know what lies before: then leave that to the next catch-up.
        if self.applied.load(Ordering::Acquire) >= begin.get() {
            self.applied.fetch_max(through.get(), Ordering::Release);
        }
    }
}

/// The newest revision that the open transaction sees.
pub(super) fn head(connection: &mut SqliteConnection) -> QueryResult<Revision> {
    let newest = changes::table
        .select(changes::revision)
        .order(changes::revision.desc())
        .limit(1)
        .get_result::<i64>(connection)
        .optional()?;
    Ok(Revision::new(newest.map_or(0, unsigned)))
}

/// All rows after a revision that a sink must know, oldest first.
pub(super) fn rows_after(
    connection: &mut SqliteConnection,
    after: Revision,
    limit: i64,
) -> QueryResult<Vec<LoggedChange>> {
    let rows = changes::table
        .filter(changes::revision.gt(signed(after.get())))
        .filter(changes::kind.ne(LOADED))
        .order(changes::revision)
        .limit(limit)
        .load::<ChangeRow>(connection)?;
    Ok(rows.into_iter().map(LoggedChange::from).collect())
}

/// The newest rows of the log, oldest first, with the floor that lies under them.
fn newest(connection: &mut SqliteConnection, limit: usize) -> QueryResult<(Revision, Vec<LoggedChange>)> {
    let asked = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut rows = changes::table.order(changes::revision.desc()).limit(asked).load::<ChangeRow>(connection)?;
    rows.reverse();
    let floor = match rows.first() {
        Some(oldest) if rows.len() >= limit => unsigned(oldest.revision).saturating_sub(1),
        Some(_) => 0,
        // Nothing was asked for: all of the past is unknown.
        None => head(connection)?.get(),
    };
    let told = rows.into_iter().filter(|row| row.kind != LOADED).map(LoggedChange::from).collect();
    Ok((Revision::new(floor), told))
}

/// A row of the log as it was read.
#[derive(Queryable)]
struct ChangeRow {
    revision: i64,
    kind: String,
    store: Option<String>,
    object_type: Option<String>,
    object_id: Option<String>,
    relation: Option<String>,
    subject_type: Option<String>,
    subject_relation: Option<String>,
    subject_id: Option<String>,
    scope: Option<String>,
    _at: i64,
}

impl From<ChangeRow> for LoggedChange {
    /// A row that cannot be read (a shell wrote it, or a newer version) could mean anything, and so it counts as everything.
    fn from(row: ChangeRow) -> Self {
        let revision = Revision::new(unsigned(row.revision));
        let change = row.read().unwrap_or(Change::Invalidated(InvalidationScope::All));
        Self { revision, change }
    }
}

impl ChangeRow {
    fn read(self) -> Option<Change> {
        let store = self.store.map(|id| StoreId(id_of(&id)));
        Some(match self.kind.as_str() {
            "invalidated" => Change::Invalidated(serde_json::from_str(&self.scope?).ok()?),
            "model" => Change::ModelWritten(store?),
            "replaced" => Change::StoreReplaced(store?),
            kind @ ("inserted" | "deleted") => {
                let tuple = tuple_of(
                    self.object_type?,
                    self.object_id?,
                    self.relation?,
                    self.subject_type?,
                    self.subject_relation?,
                    self.subject_id?,
                );
                if kind == "inserted" { Change::Inserted(store?, tuple) } else { Change::Deleted(store?, tuple) }
            }
            _ => return None,
        })
    }
}
