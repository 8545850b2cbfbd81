//! Applying the answer to a poll, in one order: rows, then floor, then stamp, and only then is the position published.
//!
//! Any number of tasks may apply at once. The rows of an answer are those between the position that it was asked relative to, which had been
//! applied entirely before it was published, and its own snapshot. So once they are applied everything that the snapshot sees is, whatever
//! others do meanwhile; applying twice or in another order changes nothing; and the position moves only to a snapshot that covers it. An answer
//! that comes late publishes nothing.
//!
//! **After a crash** of the server the numbers of transactions that had ended, but not reached the disk, are given again, so that a position may
//! claim to have seen what is yet to come. The floor is raised above all such numbers before anything is applied (see `settle` in the migration),
//! which stands for the rows that a poll relative to that position does not bring.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use cache_core::{Identity, Lease, Mistake, Revision, planted};
use tokio::sync::watch;
use tokio_postgres::Row;

use super::floor::Floor;
use super::poll::{Answer, Header, PollStatement, Statements};
use super::row::{LogRow, LogSink};
use crate::connect::lock;
use crate::{PgError, PgErrorKind, PgSnapshot};

const APPLYING: &str = "apply the log";

/// So high that no stamp will ever be above it.
const EVERYTHING: Revision = Revision::new(u64::MAX / 2);

/// How far this process has come, and what it does with more.
pub(super) struct Applied {
    sink: Arc<dyn LogSink>,
    lease: Arc<Lease>,
    max_poll_rows: usize,
    statements: Statements,
    identity: OnceLock<Identity>,
    /// The same as the database writes it.
    history: OnceLock<Arc<str>>,
    /// How many answers with rows were applied, or in which something else changed that others want to know of.
    news: AtomicU64,
    floor: Floor,
    /// The floor of the database, as high as it was ever told.
    trimmed_below: AtomicU64,
    /// How often a position was published.
    published: AtomicU64,
    position: watch::Sender<Option<Arc<PgSnapshot>>>,
    /// The incarnation of the server that the position is of. Held while a position is published.
    incarnation: Mutex<Arc<str>>,
    /// Why nothing cached may be used in this process again.
    dead: OnceLock<Death>,
}

/// Why the log is followed no more.
struct Death {
    why: PgError,
    /// What was applied, where PostgreSQL held another history.
    past: Option<Arc<PgSnapshot>>,
}

/// What an answer led to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Polled {
    /// The snapshot of the poll: everything that it sees is applied here.
    pub snapshot: Arc<PgSnapshot>,
    /// How many rows it brought.
    pub rows: usize,
}

impl Applied {
    pub(super) fn new(sink: Arc<dyn LogSink>, lease: Arc<Lease>, statements: Statements, max_poll_rows: usize) -> Self {
        Self {
            sink,
            lease,
            max_poll_rows,
            statements,
            identity: OnceLock::new(),
            history: OnceLock::new(),
            news: AtomicU64::new(0),
            floor: Floor::default(),
            trimmed_below: AtomicU64::new(0),
            published: AtomicU64::new(0),
            position: watch::Sender::new(None),
            incarnation: Mutex::new(Arc::from("")),
            dead: OnceLock::new(),
        }
    }

    pub(super) fn statements(&self) -> &Statements {
        &self.statements
    }

    pub(super) fn position(&self) -> Option<Arc<PgSnapshot>> {
        self.position.borrow().clone()
    }

    /// Another number whenever the position is another one, which may be newer already.
    pub(super) fn published(&self) -> u64 {
        self.published.load(Ordering::Acquire)
    }

    /// Below it the log is not whole any more.
    pub(super) fn trimmed_below(&self) -> u64 {
        self.trimmed_below.load(Ordering::Acquire)
    }

    pub(super) fn watch(&self) -> watch::Receiver<Option<Arc<PgSnapshot>>> {
        self.position.subscribe()
    }

    pub(super) fn identity(&self) -> Option<Identity> {
        self.identity.get().copied()
    }

    pub(super) fn history(&self) -> Option<Arc<str>> {
        self.history.get().cloned()
    }

    /// What has been applied here entirely, in which life of the server, and a number that is another one when there is something to report.
    pub(super) fn report(&self) -> Option<(Arc<PgSnapshot>, Arc<str>, u64)> {
        let incarnation = lock(&self.incarnation);
        // Before the position: what comes in between is reported once more.
        let news = self.news.load(Ordering::Acquire);
        Some((self.position()?, Arc::clone(&incarnation), news))
    }

    pub(super) fn dead(&self) -> Option<&PgError> {
        self.dead.get().map(|death| &death.why)
    }

    /// Where it met another history: all that had been applied here of its own.
    pub(super) fn past(&self) -> Option<&PgSnapshot> {
        self.dead.get().and_then(|death| death.past.as_deref())
    }

    /// The poll relative to the position; none before the log was joined.
    pub(super) fn poll(&self) -> Option<PollStatement> {
        let incarnation = lock(&self.incarnation);
        let position = self.position()?;
        Some(PollStatement::new(Arc::clone(&self.statements.poll), &position, &incarnation))
    }

    /// Applies an answer to [`Applied::poll`].
    pub(super) fn apply(&self, answer: &[Row]) -> Result<Polled, PgError> {
        let Answer { header, rows } = Answer::read(answer)?;
        self.check(&header)?;
        // Each half of the statement may bring one more than allowed, which says that it was cut.
        let cut = rows.len() > self.max_poll_rows;
        if cut && planted(Mistake::FloorByTheHighestKill) {
            self.forget(rows.iter().map(|row| row.revision.get() + 1).max().unwrap_or(0));
        } else if cut {
            // What was left out is at most as high as the last transaction that the snapshot may see.
            self.forget(header.snapshot.xmax());
        } else {
            self.tell(&rows);
        }
        self.trim(header.trimmed_below);
        // Rows that were trimmed before they came here are made up for by the floor, and somebody may wait to hear that they are.
        let missed = header.base.as_ref().is_some_and(|base| header.trimmed_below > base.snapshot.xmin());
        Ok(Polled { snapshot: self.publish(header, missed || !rows.is_empty()), rows: rows.len() })
    }

    /// What [`Mistake::ConfirmationAtTheSnapshot`] does before an answer is applied.
    pub(super) fn announce(&self, answer: &[Row]) -> Result<(), PgError> {
        let Answer { header, rows } = Answer::read(answer)?;
        self.check(&header)?;
        self.publish(header, !rows.is_empty());
        Ok(())
    }

    /// Tells rows of the past, in pieces, before the position is known.
    pub(super) fn tell(&self, rows: &[LogRow]) {
        if !rows.is_empty() {
            self.sink.apply(rows);
        }
    }

    /// The whole retained log has been told; `cut` where it had more rows than are read.
    pub(super) fn join(&self, header: Header, cut: bool) -> Result<(), PgError> {
        let identity = *self.identity.get_or_init(|| header.identity);
        self.history.get_or_init(|| header.history.as_str().into());
        self.check(&header)?;
        if !planted(Mistake::StartWithoutTheLog) {
            if cut {
                self.forget(header.snapshot.xmax());
            }
            self.trim(header.trimmed_below);
        }
        self.sink.joined(identity, header.snapshot.stamp());
        self.publish(header, true);
        Ok(())
    }

    fn trim(&self, below: u64) {
        self.trimmed_below.fetch_max(below, Ordering::AcqRel);
        self.forget(below);
    }

    /// Values that do not contain everything below `below` become misses.
    fn forget(&self, below: u64) {
        self.floor.raise(below, || self.sink.forget(Revision::new(below - 1)));
    }

    fn check(&self, header: &Header) -> Result<(), PgError> {
        if let Some(error) = self.dead() {
            return Err(error.clone());
        }
        if self.identity.get().is_some_and(|known| *known != header.identity) {
            let why = "it is another history than before (another cluster, timeline, database or epoch)";
            let past = self.position();
            return Err(self.die(why, past));
        }
        // Without those that were running, a base says less than it stands for.
        let base = header.base.as_ref().filter(|_| !planted(Mistake::CursorByTheHighest));
        let Some(base) = base else { return Ok(()) };
        let Header { snapshot, incarnation, trimmed_below, .. } = header;
        if *base.incarnation == **incarnation {
            // A poll is sent after the position was known: whatever that saw, this sees too, or history went backwards.
            if !snapshot.covers(&base.snapshot) {
                let saw = &base.snapshot;
                return Err(self.die(&format!(
                    "{snapshot} does not see what {saw} saw before it: transactions were lost, so call new_epoch() there first"
                ), None));
            }
        } else if *trimmed_below < base.snapshot.xmax() {
            // Numbers may have been given twice across a crash; the floor has to lie above all that were given before.
            let (floor, xmax) = (trimmed_below, base.snapshot.xmax());
            return Err(self.die(&format!(
                "it lost transactions up to {xmax} in a crash, and has settled those below {floor} only, so call new_epoch() there first"
            ), None));
        }
        Ok(())
    }

    /// Follows nothing any more, because of what somebody else has found out.
    pub(super) fn lose(&self, why: &str) {
        self.die(why, None);
    }

    fn die(&self, why: &str, past: Option<Arc<PgSnapshot>>) -> PgError {
        let message = format!("{why}; nothing that was cached is used from now on: restart this process");
        let new = || Death { why: PgError::new(PgErrorKind::Refused, APPLYING, message), past };
        let error = self.dead.get_or_init(new).why.clone();
        tracing::error!(%error, "the log of postgres can't be followed");
        self.lease.lose();
        self.sink.forget(EVERYTHING);
        self.sink.lost();
        let _publishing = lock(&self.incarnation);
        self.position.send_replace(None);
        error
    }

    fn publish(&self, header: Header, has_rows: bool) -> Arc<PgSnapshot> {
        let snapshot = Arc::new(header.snapshot);
        let mut incarnation = lock(&self.incarnation);
        let newer = match (&*self.position.borrow(), &header.base) {
            (None, _) => true,
            (Some(known), _) if *incarnation == header.incarnation => snapshot.covers(known),
            // The server crashed after the position was applied, and this is the first that is applied after. Otherwise it is late.
            (Some(_), base) => base.as_ref().is_some_and(|base| *base.incarnation == **incarnation),
        };
        if newer && self.dead.get().is_none() {
            if has_rows || *incarnation != header.incarnation {
                self.news.fetch_add(1, Ordering::AcqRel);
            }
            *incarnation = header.incarnation;
            self.sink.advance(snapshot.stamp());
            self.position.send_replace(Some(Arc::clone(&snapshot)));
            self.published.fetch_add(1, Ordering::Release);
        } else if has_rows {
            self.news.fetch_add(1, Ordering::AcqRel);
        }
        snapshot
    }
}
