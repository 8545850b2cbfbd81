//! The log for whoever has a chain and a PostgreSQL, and no more than that: kills are rows, and so are changes of one's own tables.
//!
//! A kill is appended after the origin has committed the change, in a transaction of its own, whose number is therefore higher than the stamp of
//! every read that began before. Changes of attached tables need no append: their rows are written with them, by whoever makes them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use async_trait::async_trait;
use cache_core::{CacheType, Delta, Error, ErrorKind, Identity, Kill, KillSink, Lease, Log, Position, Revision, Stamp};

use super::poll::{Answer, PollStatement};
use super::reader::LogReader;
use super::row::{KIND_ALL, KIND_KILL, LogRow, LogSink};
use crate::connect::lock;
use crate::{Pg, PgContext, PgError, PgErrorKind, PgSnapshot};

const PLACE: &str = "postgres log";
const APPENDING: &str = "append to the log";
const READING: &str = "read the log";

/// What the changes of one's own tables kill.
pub type RowKills = dyn Fn(&LogRow) -> Vec<Kill> + Send + Sync;

/// An invalidation log on PostgreSQL. Its tables are made by [`migrations`](crate::migrations()).
pub struct PgLog {
    pg: Pg,
    reader: Arc<LogReader>,
    sinks: Arc<Sinks>,
    append: String,
}

/// The horizons of this process.
struct Sinks {
    types: Vec<CacheType>,
    rows: Box<RowKills>,
    stamp: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    sinks: Vec<Weak<dyn KillSink>>,
    /// Once joined; one that nobody has once the log is lost.
    identity: Option<Identity>,
    /// The highest revision that anybody was told of.
    told: Revision,
}

impl PgLog {
    /// Starts following the log. `types` are the cache types of the chains that attach; a kill of a type that is not among them kills
    /// everything, and so does a row of a table.
    #[must_use]
    pub fn start(pg: Pg, types: Vec<CacheType>) -> Arc<Self> {
        Self::start_with(pg, types, |_| vec![Kill::All])
    }

    /// The same; `rows` says what the change of an attached table kills. It is asked for both sides of an update, and has to name the tag of
    /// every predicate that the change could alter, found or not.
    #[must_use]
    pub fn start_with(
        pg: Pg,
        types: Vec<CacheType>,
        rows: impl Fn(&LogRow) -> Vec<Kill> + Send + Sync + 'static,
    ) -> Arc<Self> {
        let sinks = Arc::new(Sinks {
            types,
            rows: Box::new(rows),
            stamp: AtomicU64::new(Stamp::OLDEST.get()),
            state: Mutex::default(),
        });
        let reader = LogReader::start(pg.clone(), Arc::clone(&sinks) as Arc<dyn LogSink>);
        let append = format!(
            "INSERT INTO {}.log (kind, fields) VALUES ('{KIND_KILL}', ARRAY[$1::text]) RETURNING xid::text::bigint",
            pg.schema()
        );
        Arc::new(Self { pg, reader, sinks, append })
    }

    /// Its reader: to wait until it has joined and holds a lease (before that a chain uses nothing that is cached), for its position, and to wake it after changes of attached tables.
    #[must_use]
    pub fn reader(&self) -> &Arc<LogReader> {
        &self.reader
    }

    async fn write(&self, kills: &[Kill]) -> Result<u64, PgError> {
        let shared = self.pg.shared().await?;
        let statement = shared.prepared(&self.append).await?;
        let row = shared.query_one(&statement, &[&hex(&Kill::encode_all(kills))]).await.during(APPENDING)?;
        number(row.try_get(0).during(APPENDING)?)
    }

    async fn changes_after(&self, after: Option<&Place>) -> Result<Delta, PgError> {
        if self.reader.identity().is_none() {
            let message = "the log has not been joined yet; try again";
            return Err(self
                .reader
                .trouble()
                .unwrap_or_else(|| PgError::new(PgErrorKind::Unavailable, READING, message)));
        }
        let statements = self.reader.statements();
        let shared = self.pg.shared().await?;
        let limits = &self.pg.config().log;
        let (rows, max) = match after {
            Some(place) => {
                let poll = PollStatement::new(Arc::clone(&statements.poll), &place.snapshot, &place.incarnation);
                let statement = shared.prepared(poll.sql()).await?;
                (shared.query(&statement, &poll.params()).await.during(READING)?, limits.max_poll_rows)
            }
            None => {
                let statement = shared.prepared(&statements.join).await?;
                (shared.query(&statement, &[]).await.during(READING)?, limits.max_join_rows)
            }
        };
        let Answer { header, rows } = Answer::read(&rows)?;
        if after.is_some_and(|place| place.identity != header.identity) {
            return Err(PgError::new(PgErrorKind::Refused, READING, "the position is of another history of this log"));
        }
        // What a poll left out is below the end of its snapshot.
        let cut = if rows.len() > max { header.snapshot.xmax() } else { 0 };
        Ok(Delta {
            changes: rows.iter().map(|row| (row.revision, self.sinks.kills(row).into())).collect(),
            floor: header.trimmed_below.max(cut).checked_sub(1).map(Revision::new),
            position: Place { identity: header.identity, incarnation: header.incarnation, snapshot: header.snapshot }
                .write(),
        })
    }
}

#[async_trait]
impl Log for PgLog {
    fn identity(&self) -> Option<Identity> {
        lock(&self.sinks.state).identity
    }

    fn stamp(&self) -> Stamp {
        Stamp::new(self.sinks.stamp.load(Ordering::Acquire))
    }

    fn attach(&self, sink: Weak<dyn KillSink>) {
        let Some(newcomer) = sink.upgrade() else { return };
        let (told, identity) = {
            let mut state = lock(&self.sinks.state);
            state.sinks.retain(|sink| sink.strong_count() > 0);
            state.sinks.push(sink);
            (state.told, state.identity)
        };
        // What was told before is not kept: everything up to it may be dead.
        if told > Revision::ZERO {
            newcomer.apply(told, &[Kill::All]);
        }
        if let Some(identity) = identity {
            newcomer.bind(identity);
        }
    }

    async fn append(&self, kills: Vec<Kill>) -> Result<Revision, Error> {
        let xid = self.write(&kills).await.map_err(|error| error.into_cache(PLACE))?;
        self.reader.wake();
        self.reader.applied(xid).await.map_err(|error| error.into_cache(PLACE))?;
        Ok(Revision::new(xid))
    }

    async fn read(&self, after: Option<&Position>) -> Result<Delta, Error> {
        let after = after.map(Place::read).transpose()?;
        self.changes_after(after.as_ref()).await.map_err(|error| error.into_cache(PLACE))
    }

    fn lease(&self) -> Arc<Lease> {
        Arc::clone(self.reader.lease())
    }

    fn covers(&self, position: &Position, revision: Revision) -> bool {
        Place::read(position).is_ok_and(|place| place.snapshot.sees(revision.get()))
    }
}

impl Sinks {
    fn kills(&self, row: &LogRow) -> Vec<Kill> {
        match &*row.kind {
            KIND_ALL => vec![Kill::All],
            KIND_KILL => {
                let bytes = row.fields.first().and_then(Option::as_deref).and_then(unhex);
                bytes.map_or_else(|| vec![Kill::All], |bytes| Kill::decode_all(&bytes, &self.types))
            }
            _ => (self.rows)(row),
        }
    }

    fn tell<'a>(&self, changes: impl Iterator<Item = (Revision, &'a [Kill])> + Clone) {
        let sinks: Vec<_> = {
            let mut state = lock(&self.state);
            let highest = changes.clone().map(|(revision, _)| revision).max().unwrap_or_default();
            state.told = state.told.max(highest);
            state.sinks.iter().filter_map(Weak::upgrade).collect()
        };
        for sink in sinks {
            for (revision, kills) in changes.clone() {
                sink.apply(revision, kills);
            }
        }
    }

    fn bind(&self, identity: Identity) {
        let sinks: Vec<_> = {
            let mut state = lock(&self.state);
            state.identity = Some(identity);
            state.sinks.iter().filter_map(Weak::upgrade).collect()
        };
        for sink in sinks {
            sink.bind(identity);
        }
    }
}

impl LogSink for Sinks {
    fn joined(&self, identity: Identity, stamp: Stamp) {
        self.advance(stamp);
        self.bind(identity);
    }

    fn apply(&self, rows: &[LogRow]) {
        let changes: Vec<_> = rows.iter().map(|row| (row.revision, self.kills(row))).collect();
        self.tell(changes.iter().map(|(revision, kills)| (*revision, &**kills)));
    }

    fn forget(&self, through: Revision) {
        self.tell(std::iter::once((through, [Kill::All].as_slice())));
    }

    fn advance(&self, stamp: Stamp) {
        self.stamp.fetch_max(stamp.get(), Ordering::AcqRel);
    }

    fn lost(&self) {
        // An identity that nobody has: what other processes cached can't be trusted either. Without randomness the floor alone has to do.
        if let Ok(nobody) = Identity::random() {
            self.bind(nobody);
        }
    }
}

impl std::fmt::Debug for PgLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PgLog").field("reader", &self.reader).finish_non_exhaustive()
    }
}

/// A [`Position`] of this log.
struct Place {
    identity: Identity,
    incarnation: Arc<str>,
    snapshot: PgSnapshot,
}

impl Place {
    fn write(&self) -> Position {
        let text = format!("{} {} {}", hex(&self.identity.0), self.incarnation, self.snapshot);
        Position::from_bytes(text.into_bytes())
    }

    fn read(position: &Position) -> Result<Self, Error> {
        let read = || {
            let mut parts = std::str::from_utf8(position.as_bytes()).ok()?.split(' ');
            let identity = Identity(unhex(parts.next()?)?.try_into().ok()?);
            Some(Self { identity, incarnation: parts.next()?.into(), snapshot: parts.next()?.parse().ok()? })
        };
        let refuse =
            || Error::new(ErrorKind::Unsupported, PLACE, "read", "the position was written by a log of another kind");
        read().ok_or_else(refuse)
    }
}

fn number(number: i64) -> Result<u64, PgError> {
    u64::try_from(number)
        .map_err(|_| PgError::new(PgErrorKind::Unexpected, APPENDING, "a transaction has a negative number"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        for digit in [byte >> 4, byte & 15] {
            text.push(char::from_digit(u32::from(digit), 16).unwrap_or('0'));
        }
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|digit| u8::try_from(digit).ok())).collect();
    let digits = digits?;
    (digits.len() % 2 == 0).then(|| digits.chunks_exact(2).map(|pair| pair[0] << 4 | pair[1]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_from_text() {
        let bytes: Vec<u8> = (0..=255).collect();
        assert_eq!(unhex(&hex(&bytes)).unwrap(), bytes);
        assert_eq!((unhex("abc"), unhex("zz")), (None, None));
    }

    #[test]
    fn a_position_comes_back_and_others_are_refused() {
        let place =
            Place { identity: Identity([7; 16]), incarnation: "1.5".into(), snapshot: "10:20:10,12".parse().unwrap() };
        let back = Place::read(&place.write()).unwrap();
        assert_eq!((back.identity, &*back.incarnation, back.snapshot), (place.identity, "1.5", place.snapshot));
        for other in ["", "7", "00 1 1:2:", "zz 1 1:2:"] {
            assert!(Place::read(&Position::from_bytes(other.as_bytes())).is_err(), "{other:?}");
        }
    }
}
