//! The log, and how far this process has applied it.
//!
//! Invariant: every row up to `applied` was applied by the sink. Revisions are dense in commit order, so one number is enough;
//! whoever moves it on has read *all* rows between its old value and the new one, in one transaction.
//!
//! This holds for one history. A file that is set back, or put in the place of another, has a different one: revisions that caches
//! know come again with other meanings. Hence the last row that was applied is kept, and each transaction finds it again before
//! anything else is believed of the log. Where it does not, nothing is served until a restart, which begins with empty caches.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use cache_core::{Identity, Revision};
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use super::super::{Change, ChangeSink, InvalidationScope, LoggedChange, Past, StoreError, StoreId};
use super::failure::{is_lasting, running, unusable};
use super::row::{id_of, signed, tuple_of, unsigned};
use super::schema::{changes, meta};
use crate::relation::Object;

/// How many rows are read and applied at once while catching up, which bounds the memory that a flood of foreign writes takes.
const CATCH_UP_ROWS: i64 = 10_000;
/// Rows that are covered by a `replaced` row of the same transaction, and so say nothing new to a sink.
const LOADED: &str = "loaded";

/// Above every revision that a log reaches, so that a kill with it ends whatever was cached under any stamp.
const AFTER_ALL: Revision = Revision::new(u64::MAX / 2);

/// Who applies changes, and what has been applied.
pub(super) struct Log {
    /// Who the log is that was opened.
    epoch: String,
    /// What caches that outlive the process know this history by: another one at each start. The file may have been set back while nobody looked,
    /// and nothing in it would tell.
    identity: Identity,
    sink: OnceLock<Arc<dyn ChangeSink>>,
    /// The last row that was applied; none where the log was empty.
    applied: Mutex<Option<Arc<ChangeRow>>>,
    /// The last row of what our own writer commits or has committed last: it shows our history as well as an applied one does.
    announced: Mutex<Option<Arc<ChangeRow>>>,
    /// The first failure of the disk, or damage of the file. Stays.
    unsound: OnceLock<StoreError>,
    /// Whether the file was found with another history. Stays so.
    replaced: AtomicBool,
}

/// What the open transaction says of the rows that were applied.
enum History {
    /// They are in it.
    Same,
    /// The last of them went with its store, so that nothing shows whether the others are in it.
    Unknown,
    /// They are not.
    Other,
}

impl Log {
    pub(super) fn new(epoch: String, identity: Identity) -> Self {
        Self {
            epoch,
            identity,
            sink: OnceLock::new(),
            applied: Mutex::default(),
            announced: Mutex::default(),
            replaced: AtomicBool::new(false),
            unsound: OnceLock::new(),
        }
    }

    /// Remembers a failure that speaks of damage, wherever it was met.
    pub(super) fn note<T>(&self, answer: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(error) = &answer
            && is_lasting(error)
        {
            let _ = self.unsound.set(error.clone());
        }
        answer
    }

    /// As [`Self::check`], and also fails forever after damage was met: what still can be read says nothing about the rest.
    pub(super) fn health(&self) -> Result<(), StoreError> {
        self.check()?;
        self.unsound.get().map_or(Ok(()), |error| Err(error.clone()))
    }

    /// Fails forever after the file was found with another history.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        if self.replaced.load(Ordering::Acquire) {
            return Err(unusable(
                "the data file was replaced or set back while it was in use; restart the server".to_owned(),
            ));
        }
        Ok(())
    }

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
        let last = head_row(connection)?;
        let (floor, past) = newest(connection, replay)?;
        let stamp = revision_of(last.as_ref()).stamp_after();
        sink.joined(Past { identity: self.identity, floor, changes: &past, stamp });
        self.advance(last);
        Ok(self.sink.set(sink).is_ok())
    }

    /// Applies what the open transaction sees and nobody has applied yet. Returns the newest revision that it sees.
    ///
    /// Two threads may apply the same rows at once: applying is idempotent, and each finishes before it moves `applied`.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] where the history of the file is not the one that was applied. The sink was told to forget everything.
    pub(super) fn catch_up(&self, connection: &mut SqliteConnection) -> Result<Revision, StoreError> {
        self.check()?;
        // Before the transaction reads anything: what was applied by now is in its state, or was taken out of the file.
        let applied = self.applied();
        let (through, history) = match self.compare(connection, applied.as_deref()) {
            Ok(seen) => seen,
            // Not even our tables are there.
            Err(error) if error.to_string().contains("no such table") => (None, History::Other),
            Err(error) => return Err(running("reading the log", &error)),
        };
        let newest = revision_of(through.as_ref());
        let Some(sink) = self.sink.get() else { return Ok(newest) };
        match history {
            History::Same => {}
            // A foreign deletion of a store is rare, and forgetting all that was cached is always right.
            History::Unknown => sink.apply(&[everything(newest)]),
            History::Other => {
                // First no more snapshots, and then the end of what is cached.
                self.replaced.store(true, Ordering::Release);
                sink.apply(&[everything(AFTER_ALL)]);
                return self.check().map(|()| newest);
            }
        }
        self.follow(connection, sink.as_ref(), applied.as_deref(), through)
            .map_err(|error| running("reading the log", &error))?;
        Ok(newest)
    }

    /// Applies the rows between two, and remembers how far that came.
    fn follow(
        &self,
        connection: &mut SqliteConnection,
        sink: &dyn ChangeSink,
        applied: Option<&ChangeRow>,
        through: Option<ChangeRow>,
    ) -> QueryResult<()> {
        let mut from = revision_of(applied);
        loop {
            let mut rows = if from < revision_of(through.as_ref()) {
                raw_rows_after(connection, from, CATCH_UP_ROWS)?
            } else {
                Vec::new()
            };
            let whole = rows.len() < usize::try_from(CATCH_UP_ROWS).unwrap_or(usize::MAX);
            let last = if whole { None } else { rows.last().cloned() };
            if !rows.is_empty() {
                let told: Vec<LoggedChange> = rows.drain(..).map(LoggedChange::from).collect();
                sink.apply(&told);
            }
            let Some(last) = last else {
                self.advance(through);
                return Ok(());
            };
            from = revision_of(Some(&last));
            self.advance(Some(last));
        }
    }

    /// Whether what was applied is in the state of the open transaction, whose newest row it returns.
    fn compare(
        &self,
        connection: &mut SqliteConnection,
        applied: Option<&ChangeRow>,
    ) -> QueryResult<(Option<ChangeRow>, History)> {
        let newest = head_row(connection)?;
        let epoch = meta::table.select(meta::log_epoch).get_result::<String>(connection).optional()?;
        if epoch.as_ref() != Some(&self.epoch) {
            return Ok((newest, History::Other));
        }
        let Some(applied) = applied else { return Ok((newest, History::Same)) };
        let history = match &newest {
            Some(row) if row.revision == applied.revision => History::of(row == applied),
            Some(row) if row.revision > applied.revision => {
                match changes::table.find(applied.revision).get_result::<ChangeRow>(connection).optional()? {
                    Some(row) => History::of(row == *applied),
                    None if went_with_its_store(connection, applied)? => {
                        if self.has_own_later_row(connection, applied)? { History::Same } else { History::Unknown }
                    }
                    None => History::Other,
                }
            }
            _ => History::Other,
        };
        Ok((newest, history))
    }

    /// Applies the rows of a transaction that began at `begin`, where everything up to `begin` has been applied.
    pub(super) fn apply(&self, begin: Revision, rows: &[LoggedChange], through: Option<ChangeRow>) {
        let Some(sink) = self.sink.get() else { return };
        if !rows.is_empty() {
            sink.apply(rows);
        }
        // Where the sink came between begin and here it may not know what lies before: then leave that to the next catch-up.
        if revision_of(self.applied().as_deref()) >= begin {
            self.advance(through);
        }
    }

    /// Our own writer may have deleted the store just now: then its last row is there.
    fn has_own_later_row(&self, connection: &mut SqliteConnection, applied: &ChangeRow) -> QueryResult<bool> {
        let announced = self.announced.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for own in [announced, self.applied()].into_iter().flatten().filter(|own| own.revision > applied.revision) {
            let found = changes::table.find(own.revision).get_result::<ChangeRow>(connection).optional()?;
            if found.as_ref() == Some(own.as_ref()) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Says what is about to be committed, so that a reader who sees it before it was applied knows it for ours.
    pub(super) fn announce(&self, through: Option<&ChangeRow>) {
        *self.announced.lock().unwrap_or_else(PoisonError::into_inner) = through.cloned().map(Arc::new);
    }

    /// Everything up to this revision is applied.
    pub(super) fn applied_through(&self) -> Revision {
        revision_of(self.applied().as_deref())
    }

    fn applied(&self) -> Option<Arc<ChangeRow>> {
        self.applied.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Never goes back: a slower thread may have applied less.
    fn advance(&self, to: Option<ChangeRow>) {
        let mut applied = self.applied.lock().unwrap_or_else(PoisonError::into_inner);
        if revision_of(to.as_ref()) > revision_of(applied.as_deref()) {
            let stamp = revision_of(to.as_ref()).stamp_after();
            *applied = to.map(Arc::new);
            if let Some(sink) = self.sink.get() {
                sink.advance(stamp);
            }
        }
    }
}

impl History {
    const fn of(same: bool) -> Self {
        if same { Self::Same } else { Self::Other }
    }
}

const fn everything(revision: Revision) -> LoggedChange {
    LoggedChange { revision, change: Change::Invalidated(InvalidationScope::All) }
}

/// The deletion of a store takes its rows out of the log, and leaves one that says so.
fn went_with_its_store(connection: &mut SqliteConnection, row: &ChangeRow) -> QueryResult<bool> {
    let Some(store) = &row.store else { return Ok(false) };
    let told = changes::table
        .filter(changes::store.eq(store))
        .filter(changes::kind.eq("replaced"))
        .filter(changes::revision.gt(row.revision));
    diesel::select(diesel::dsl::exists(told)).get_result(connection)
}

fn revision_of(row: Option<&ChangeRow>) -> Revision {
    Revision::new(row.map_or(0, |row| unsigned(row.revision)))
}

/// The newest row that the open transaction sees.
pub(super) fn head_row(connection: &mut SqliteConnection) -> QueryResult<Option<ChangeRow>> {
    changes::table.order(changes::revision.desc()).limit(1).get_result(connection).optional()
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
    Ok(raw_rows_after(connection, after, limit)?.into_iter().map(LoggedChange::from).collect())
}

fn raw_rows_after(connection: &mut SqliteConnection, after: Revision, limit: i64) -> QueryResult<Vec<ChangeRow>> {
    changes::table
        .filter(changes::revision.gt(signed(after.get())))
        .filter(changes::kind.ne(LOADED))
        .order(changes::revision)
        .limit(limit)
        .load(connection)
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
#[derive(Queryable, Clone, PartialEq, Eq)]
pub(super) struct ChangeRow {
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
    at: i64,
    condition: Option<String>,
    condition_context: Option<String>,
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
            "properties" => Change::PropertiesChanged(
                store?,
                Object { type_name: self.object_type?.into(), id: self.object_id?.into() },
            ),
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
