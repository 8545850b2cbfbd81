//! One statement tells the log's identity, its floor, its own snapshot, and every row that an earlier snapshot did not see: what is read in one
//! snapshot can't contradict itself.
//!
//! "Not seen in P" is `xid >= xmax(P) OR xid = ANY(xip(P))`, both as parameters. Two writers may commit against the order of their numbers, so
//! that no maximum of anything is a cursor. The statement is a function of the migration, `poll`.

use std::sync::Arc;

use cache_core::{Identity, Mistake, Tag, planted};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::row::{COLUMNS, LogRow};
use crate::{PgContext, PgError, PgErrorKind, PgSnapshot};

const READING: &str = "read the log";

/// The statements of one log.
#[derive(Debug)]
pub(super) struct Statements {
    pub(super) poll: Arc<str>,
    pub(super) join: Arc<str>,
}

impl Statements {
    /// `schema` in quotes.
    pub(super) fn new(schema: &str, max_poll_rows: usize, max_join_rows: usize) -> Self {
        Self {
            poll: format!("SELECT kind, xid, op, fields, at FROM {schema}.poll($1, $2, $3, {max_poll_rows})").into(),
            // The same without a base, for once: its rows come as they are read.
            join: format!(
                "SELECT NULL::text, NULL::bigint, NULL::text,
                     ARRAY[pg_catalog.pg_current_snapshot()::text, pg_catalog.pg_current_xact_id_if_assigned()::text]
                     || {schema}.identity()
                     || ARRAY[s.trimmed_below::text, s.incarnation, {schema}.incarnation(), NULL, NULL, NULL],
                     NULL::bigint
                 FROM {schema}.log_state s
                 UNION ALL (SELECT {COLUMNS} FROM {schema}.log l
                     WHERE NOT l.loaded AND l.xid >= (SELECT trimmed_below FROM {schema}.log_state)
                     ORDER BY l.xid LIMIT {})",
                max_join_rows.saturating_add(1)
            )
            .into(),
        }
    }
}

/// A poll, ready to be sent: by the reader itself, or as the first statement of a transaction that reads.
#[derive(Clone, Debug)]
pub struct PollStatement {
    sql: Arc<str>,
    xmax: String,
    xip: String,
    incarnation: String,
}

impl PollStatement {
    pub(super) fn new(sql: Arc<str>, base: &PgSnapshot, incarnation: &str) -> Self {
        let xip = if planted(Mistake::CursorByTheHighest) { "{}".to_owned() } else { base.xip_text() };
        Self { sql, xmax: base.xmax().to_string(), xip, incarnation: incarnation.to_owned() }
    }

    /// The statement, the same each time: prepare it once for each connection.
    #[must_use]
    pub fn sql(&self) -> &str {
        &self.sql
    }

    /// Its parameters.
    #[must_use]
    pub fn params(&self) -> [&(dyn ToSql + Sync); 3] {
        [&self.xmax, &self.xip, &self.incarnation]
    }
}

/// What the first row of an answer says.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) snapshot: PgSnapshot,
    pub(super) identity: Identity,
    /// The same, as the database writes it.
    pub(super) history: String,
    pub(super) trimmed_below: u64,
    /// The incarnation of the server, which the floor has been settled for.
    pub(super) incarnation: Arc<str>,
    /// What the poll was asked relative to.
    pub(super) base: Option<Base>,
}

/// What a poll is asked relative to.
#[derive(Debug)]
pub(super) struct Base {
    pub(super) snapshot: PgSnapshot,
    pub(super) incarnation: String,
}

/// A row of an answer.
pub(super) enum Line {
    Header(Box<Header>),
    Row(LogRow),
}

impl Line {
    pub(super) fn read(row: &Row) -> Result<Self, PgError> {
        let kind: Option<String> = row.try_get(0).during(READING)?;
        match kind {
            Some(kind) => Ok(Self::Row(LogRow::read(kind, row)?)),
            None => Ok(Self::Header(Box::new(Header::read(row.try_get(3).during(READING)?)?))),
        }
    }
}

/// An answer, read.
pub(super) struct Answer {
    pub(super) header: Header,
    pub(super) rows: Vec<LogRow>,
}

impl Answer {
    pub(super) fn read(answer: &[Row]) -> Result<Self, PgError> {
        let mut header = None;
        let mut rows = Vec::with_capacity(answer.len().saturating_sub(1));
        for row in answer {
            match Line::read(row)? {
                Line::Header(found) => header = Some(*found),
                Line::Row(row) => rows.push(row),
            }
        }
        Ok(Self { header: header.ok_or_else(no_header)?, rows })
    }
}

pub(super) fn no_header() -> PgError {
    PgError::new(
        PgErrorKind::Schema,
        READING,
        "the answer to a poll has no first row: the table log_state is empty; its one row is made by the migration and must stay",
    )
}

impl Header {
    fn read(fields: Vec<Option<String>>) -> Result<Self, PgError> {
        let unexpected = |what: &str| PgError::new(PgErrorKind::Unexpected, READING, what.to_owned());
        let Ok([snapshot, own, timeline, system, database, epoch, trimmed, settled, live, xmax, xip, incarnation]) =
            <[_; 12]>::try_from(fields)
        else {
            return Err(unexpected("the answer to a poll has another form"));
        };
        let (Some(snapshot), Some(system), Some(database), Some(epoch), Some(trimmed), Some(live)) =
            (snapshot, system, database, epoch, trimmed, live)
        else {
            return Err(unexpected("the answer to a poll lacks something"));
        };
        let Some(timeline) = timeline else { return Err(standby(READING)) };
        if let Some(own) = own {
            // Rows of its own are seen before it has ended, and those that it writes later would never be.
            return Err(unexpected(&format!(
                "it was polled in a transaction that has written ({own}); poll first, in a transaction that only reads"
            )));
        }
        if settled.as_deref() != Some(&live) {
            return Err(unsettled());
        }
        let base = match (xmax, xip, incarnation) {
            (Some(xmax), Some(xip), Some(incarnation)) => {
                let snapshot = base(&xmax, &xip).ok_or_else(|| unexpected("the answer lacks its question"))?;
                Some(Base { snapshot, incarnation })
            }
            _ => None,
        };
        Ok(Self {
            snapshot: snapshot.parse()?,
            identity: identity_of(&system, &timeline, &database, &epoch),
            history: history_of(&system, &timeline, &database, &epoch),
            trimmed_below: trimmed.parse().map_err(|_| unexpected("the floor is no number"))?,
            incarnation: live.into(),
            base,
        })
    }
}

/// Only the part of a base that a poll is asked with; whatever is below `xmax` and not in the list was seen.
fn base(xmax: &str, xip: &str) -> Option<PgSnapshot> {
    let xmax = xmax.parse().ok()?;
    let xip: Vec<u64> = xip
        .strip_prefix('{')?
        .strip_suffix('}')?
        .split(',')
        .filter(|xid| !xid.is_empty())
        .map(|xid| xid.parse().ok())
        .collect::<Option<_>>()?;
    let xmin = xip.iter().copied().min().unwrap_or(xmax);
    PgSnapshot::new(xmin, xmax, xip).ok()
}

/// The server crashed, and nobody has settled that yet: the reader does so at its next poll.
fn unsettled() -> PgError {
    PgError::new(
        PgErrorKind::Unsettled,
        READING,
        "the server came up from a crash, and what was seen before has to be settled first; try again",
    )
}

pub(super) fn standby(operation: &'static str) -> PgError {
    PgError::new(
        PgErrorKind::Refused,
        operation,
        "this server is a standby, whose snapshots mean something else; name the primary in the URL (target_session_attrs=read-write \
         finds it among several)",
    )
}

/// The same, as `history()` in the database has it.
fn history_of(system: &str, timeline: &str, database: &str, epoch: &str) -> String {
    if planted(Mistake::IdentityMissing) {
        return String::new();
    }
    [timeline, system, database, epoch].join("/")
}

/// Which history: a copy in another cluster, database or timeline is another one, and so is one that was given a new epoch.
pub(super) fn identity_of(system: &str, timeline: &str, database: &str, epoch: &str) -> Identity {
    if planted(Mistake::IdentityMissing) {
        return Identity([0; 16]);
    }
    let half = |domain: &str| {
        let fields = [system, timeline, database, epoch];
        fields.iter().fold(Tag::of(domain), |tag, field| tag.field(field.as_bytes())).finish().hash().to_be_bytes()
    };
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&half("postgres-log-identity-1"));
    bytes[8..].copy_from_slice(&half("postgres-log-identity-2"));
    Identity(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(change: impl Fn(&mut [Option<String>])) -> Result<Header, PgError> {
        let mut fields: Vec<_> =
            ["10:20:10", "", "00000001", "7", "16384", "e", "5", "1.5", "1.5", "15", "{10,12}", "1.5"]
                .iter()
                .map(|field| (!field.is_empty()).then(|| (*field).to_owned()))
                .collect();
        change(&mut fields);
        Header::read(fields)
    }

    #[test]
    fn a_header_is_read() {
        let header = header(|_| ()).unwrap();
        assert_eq!(header.snapshot.to_string(), "10:20:10");
        assert_eq!(header.base.unwrap().snapshot.to_string(), "10:15:10,12");
        assert_eq!(header.trimmed_below, 5);
    }

    #[test]
    fn each_part_makes_another_identity() {
        let original = header(|_| ()).unwrap().identity;
        for part in [2, 3, 4, 5] {
            assert_ne!(header(|fields| fields[part] = Some("9".to_owned())).unwrap().identity, original, "part {part}");
        }
    }

    #[test]
    fn a_standby_a_transaction_that_wrote_and_a_server_after_a_crash_are_refused() {
        let standby = header(|fields| fields[2] = None).unwrap_err();
        assert_eq!(standby.kind(), PgErrorKind::Refused);
        let wrote = header(|fields| fields[1] = Some("17".to_owned())).unwrap_err();
        let crashed = header(|fields| fields[8] = Some("1.6".to_owned())).unwrap_err();
        assert_eq!(crashed.kind(), PgErrorKind::Unsettled);
        assert!(wrote.to_string().contains("poll first, in a transaction that only reads"), "{wrote}");
    }
}
