//! Waiting for PostgreSQL, migrating our tables, and following its log on behalf of the sink.
//!
//! PostgreSQL that is down is no error at the start: it is asked again, with growing pauses, until it is there.

use std::sync::Arc;
use std::time::Duration;

use cache_core::{Identity, Lease, Revision, Stamp};
use pg_log::{LogReader, LogRow, LogSink, Pg, PgError, PgErrorKind};

use super::super::columns::{NO_RELATION, id_of, tuple_of};
use super::super::{Change, ChangeSink, InvalidationScope, LoggedChange, Past, StoreId};
use super::origin::{COMPONENT, MIGRATIONS};
use crate::relation::Object;
use crate::views::access_patterns;

/// The pauses between two attempts to reach PostgreSQL at the start.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_LAST: Duration = Duration::from_secs(2);

/// Brings our tables up to this release.
pub(super) async fn migrate(pg: &Pg) -> Result<(), PgError> {
    let mut connection = pg.exclusive().await?;
    let schema = &pg.config().schema;
    pg_log::migrate(&mut connection, schema, pg_log::COMPONENT, pg_log::migrations()).await?;
    pg_log::migrate(&mut connection, schema, COMPONENT, MIGRATIONS).await?;
    pg_log::migrate(&mut connection, schema, access_patterns::COMPONENT, access_patterns::MIGRATIONS).await
}

/// Migrates and begins to follow the log, as soon as PostgreSQL lets us.
pub(super) async fn follow(
    pg: Pg,
    sink: Arc<dyn ChangeSink>,
    lease: Arc<Lease>,
    trouble: impl Fn(Option<PgError>),
) -> Arc<LogReader> {
    let mut pause = RETRY_FIRST;
    loop {
        match migrate(&pg).await {
            Ok(()) => {
                trouble(None);
                return LogReader::start_under(pg, Arc::new(Teller(sink)), lease);
            }
            Err(error) => {
                // Somebody has to act, or another release does: it may happen while we wait.
                if matches!(error.kind(), PgErrorKind::Config | PgErrorKind::Refused | PgErrorKind::Schema) {
                    tracing::error!(%error, "postgres can't be used as the origin");
                } else {
                    tracing::warn!(%error, "postgres can't be reached; trying again");
                }
                trouble(Some(error));
            }
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RETRY_LAST);
    }
}

/// Tells the sink of the origin what the log says.
struct Teller(Arc<dyn ChangeSink>);

impl LogSink for Teller {
    fn joined(&self, identity: Identity, stamp: Stamp) {
        // The past was told and forgotten through the other methods.
        self.0.joined(Past { identity, floor: Revision::ZERO, changes: &[], stamp });
    }

    fn apply(&self, rows: &[LogRow]) {
        let changes: Vec<LoggedChange> =
            rows.iter().map(|row| LoggedChange { revision: row.revision, change: change(row) }).collect();
        self.0.apply(&changes);
    }

    fn forget(&self, through: Revision) {
        self.0.forget(through);
    }

    fn advance(&self, stamp: Stamp) {
        self.0.advance(stamp);
    }

    fn lost(&self) {
        self.0.lost();
    }
}

/// What a row says. One that can't be read, by a release that does not know its kind or because somebody else wrote it, ends everything.
fn change(row: &LogRow) -> Change {
    read(row).unwrap_or(Change::Invalidated(InvalidationScope::All))
}

fn read(row: &LogRow) -> Option<Change> {
    let field = |at: usize| row.fields.get(at)?.as_deref();
    let store = || Some(StoreId(id_of(field(0)?)));
    let tuple =
        || Some(tuple_of(field(1)?, field(2)?, field(3)?, field(4)?, field(5).unwrap_or(NO_RELATION), field(6)?));
    Some(match row.kind.as_str() {
        "inserted" => Change::Inserted(store()?, tuple()?),
        "deleted" => Change::Deleted(store()?, tuple()?),
        "properties" => {
            Change::PropertiesChanged(store()?, Object { type_name: field(1)?.into(), id: field(2)?.into() })
        }
        "model" => Change::ModelWritten(store()?),
        "replaced" => Change::StoreReplaced(store()?),
        "invalidated" => Change::Invalidated(serde_json::from_str(field(0)?).ok()?),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(kind: &str, fields: &[&str]) -> LogRow {
        LogRow {
            revision: Revision::new(7),
            kind: kind.to_owned(),
            operation: None,
            fields: fields.iter().map(|field| Some((*field).to_owned())).collect(),
            at: 0,
        }
    }

    #[test]
    fn what_cannot_be_read_ends_everything() {
        let everything = Change::Invalidated(InvalidationScope::All);
        for row in [
            row("all", &[]),
            row("of a later release", &["x"]),
            row("inserted", &["x", "doc"]),
            row("invalidated", &["{"]),
        ] {
            assert_eq!(change(&row), everything, "{row:?}");
        }
        assert_ne!(change(&row("replaced", &["01ARZ3NDEKTSV4RRFFQ69G5FAV"])), everything);
    }
}
