//! A row of the log, and who applies it.

use cache_core::{Identity, Revision, Stamp};
use tokio_postgres::Row;

use crate::{PgContext, PgError, PgErrorKind};

/// The kind of a row that kills everything.
pub const KIND_ALL: &str = "all";
/// The kind of a row that [`PgLog`](crate::PgLog) writes.
pub const KIND_KILL: &str = "kill";

/// What happened to a row of an attached table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Operation {
    /// It was inserted.
    Insert,
    /// It was deleted.
    Delete,
    /// It was updated, and this is how it was before. Left out where none of the fields changed.
    Before,
    /// It was updated, and this is how it is now.
    After,
}

/// One change, as its transaction wrote it down.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LogRow {
    /// The transaction that made it.
    pub revision: Revision,
    /// What kind of change: [`KIND_ALL`], [`KIND_KILL`], or what a table was attached as.
    pub kind: String,
    /// What happened to the row of the table; none where the row of the log is of no table.
    pub operation: Option<Operation>,
    /// The columns that the table was attached with.
    pub fields: Vec<Option<String>>,
    /// When it was written, in milliseconds since 1970. Its transaction may have ended much later.
    pub at: u64,
}

impl LogRow {
    /// Reads the columns of [`COLUMNS`] that follow the kind.
    pub(super) fn read(kind: String, row: &Row) -> Result<Self, PgError> {
        const READING: &str = "read a row of the log";
        let number = |column: usize| -> Result<u64, PgError> {
            let number: i64 = row.try_get(column).during(READING)?;
            u64::try_from(number).map_err(|_| PgError::new(PgErrorKind::Unexpected, READING, "a number is negative"))
        };
        let operation: Option<&str> = row.try_get(2).during(READING)?;
        Ok(Self {
            revision: Revision::new(number(1)?),
            kind,
            operation: match operation {
                Some("+") => Some(Operation::Insert),
                Some("-") => Some(Operation::Delete),
                Some("<") => Some(Operation::Before),
                Some(">") => Some(Operation::After),
                _ => None,
            },
            fields: row.try_get(3).during(READING)?,
            at: number(4)?,
        })
    }
}

/// The columns of a row in a statement of this crate.
pub(super) const COLUMNS: &str =
    "l.kind, l.xid::text::bigint, l.op::text, l.fields, (extract(epoch FROM l.at) * 1000)::bigint";

/// Who applies what the log says. All calls are idempotent and may come from several tasks at once and in any order: each takes the maximum.
///
/// Before [`LogSink::joined`] nothing that was cached by anybody may be used: the past is still being told.
pub trait LogSink: Send + Sync + 'static {
    /// The whole retained log has been told; what is cached under this identity may be used from now on. `stamp` is the first lower bound for
    /// reads that begin now.
    fn joined(&self, identity: Identity, stamp: Stamp);

    /// Applies changes. When this returns they are in force here.
    fn apply(&self, rows: &[LogRow]);

    /// Whatever does not contain this revision is unusable: the log up to it is not whole here.
    fn forget(&self, through: Revision);

    /// A read that begins now sees every change below `stamp`.
    fn advance(&self, stamp: Stamp);

    /// The log can't be followed any more: it is of another history now. Everything has been forgotten, and what is cached outside of this process
    /// under the identity of [`LogSink::joined`] means nothing either.
    fn lost(&self) {}
}
