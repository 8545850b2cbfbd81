//! Applying the answer to a poll, in one order: rows, then floor, then stamp, and only then is the position published.
//!
//! Any number of tasks may apply at once. The rows of an answer are those between the position that it was asked relative to, which had been
//! applied entirely before it was published, and its own snapshot. So once they are applied everything that the snapshot sees is, whatever
//! others do meanwhile; applying twice or in another order changes nothing; and the position moves only to a snapshot that covers it. An answer
//! that comes late publishes nothing.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use cache_core::{Identity, Revision};
use tokio::sync::watch;
use tokio_postgres::Row;

use super::poll::{Header, Line, PollStatement, Statements};
use super::row::{LogRow, LogSink};
use crate::connect::lock;
use crate::{PgError, PgErrorKind, PgSnapshot};

const APPLYING: &str = "apply the log";

/// So high that no stamp will ever be above it.
const EVERYTHING: Revision = Revision::new(u64::MAX / 2);

/// How far this process has come, and what it does with more.
pub(super) struct Applied {
    sink: Arc<dyn LogSink>,
    max_poll_rows: usize,
    statements: OnceLock<Statements>,
    identity: OnceLock<Identity>,
    forgotten: AtomicU64,
    position: watch::Sender<Option<Arc<PgSnapshot>>>,
    /// Held while a position is published.
    publishing: Mutex<()>,
    /// Why nothing cached may be used in this process again.
    dead: OnceLock<PgError>,
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
    pub(super) fn new(sink: Arc<dyn LogSink>, max_poll_rows: usize) -> Self {
        Self {
            sink,
            max_poll_rows,
            statements: OnceLock::new(),
            identity: OnceLock::new(),
            forgotten: AtomicU64::new(0),
            position: watch::Sender::new(None),
            publishing: Mutex::new(()),
            dead: OnceLock::new(),
        }
    }

    pub(super) fn statements(&self, make: impl FnOnce() -> Statements) -> &Statements {
        self.statements.get_or_init(make)
    }

    pub(super) fn position(&self) -> Option<Arc<PgSnapshot>> {
        self.position.borrow().clone()
    }

    pub(super) fn watch(&self) -> watch::Receiver<Option<Arc<PgSnapshot>>> {
        self.position.subscribe()
    }

    pub(super) fn identity(&self) -> Option<Identity> {
        self.identity.get().copied()
    }

    pub(super) fn dead(&self) -> Option<&PgError> {
        self.dead.get()
    }

    /// The poll relative to the position; none before the log was joined.
    pub(super) fn poll(&self) -> Option<PollStatement> {
        let position = self.position()?;
        Some(PollStatement::new(Arc::clone(&self.statements.get()?.poll), &position))
    }

    /// Applies an answer to [`Applied::poll`].
    pub(super) fn apply(&self, answer: &[Row]) -> Result<Polled, PgError> {
        let mut header = None;
        let mut rows = Vec::with_capacity(answer.len().saturating_sub(1));
        for row in answer {
            match Line::read(row)? {
                Line::Header(found) => header = Some(*found),
                Line::Row(row) => rows.push(row),
            }
        }
        let header = header.ok_or_else(no_header)?;
        self.check(&header)?;
        // Each half of the statement may bring one more than allowed, which says that it was cut.
        let cut = rows.len() > self.max_poll_rows;
        if cut {
            // What was left out is at most as high as the last transaction that the snapshot may see.
            self.forget(header.snapshot.xmax());
        } else {
            self.tell(&rows);
        }
        self.forget(header.trimmed_below);
        Ok(Polled { snapshot: self.publish(header.snapshot), rows: rows.len() })
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
        self.check(&header)?;
        if cut {
            self.forget(header.snapshot.xmax());
        }
        self.forget(header.trimmed_below);
        self.sink.joined(identity, header.snapshot.stamp());
        self.publish(header.snapshot);
        Ok(())
    }

    /// Values that do not contain everything below `below` become misses.
    fn forget(&self, below: u64) {
        if below > 0 && self.forgotten.fetch_max(below, Ordering::AcqRel) < below {
            self.sink.forget(Revision::new(below - 1));
        }
    }

    fn check(&self, header: &Header) -> Result<(), PgError> {
        if let Some(error) = self.dead.get() {
            return Err(error.clone());
        }
        if self.identity.get().is_some_and(|known| *known != header.identity) {
            return Err(self.die("it is another history than before (another cluster, timeline, database or epoch)"));
        }
        // A poll is sent after the position was known: whatever that saw, this sees too, or history went backwards.
        if let Some(base) = &header.base
            && !header.snapshot.covers(base)
        {
            return Err(self.die(&format!(
                "its snapshot {} does not see what {base} saw, which was before: transactions were lost",
                header.snapshot
            )));
        }
        Ok(())
    }

    fn die(&self, why: &str) -> PgError {
        let message = format!("{why}; nothing that was cached is used from now on: restart this process");
        let error = self.dead.get_or_init(|| PgError::new(PgErrorKind::Refused, APPLYING, message)).clone();
        tracing::error!(%error, "the log of postgres can't be followed");
        self.sink.forget(EVERYTHING);
        let _publishing = lock(&self.publishing);
        self.position.send_replace(None);
        error
    }

    fn publish(&self, snapshot: PgSnapshot) -> Arc<PgSnapshot> {
        let snapshot = Arc::new(snapshot);
        let _publishing = lock(&self.publishing);
        let newer = self.position.borrow().as_ref().is_none_or(|known| snapshot.covers(known));
        if newer && self.dead.get().is_none() {
            self.sink.advance(snapshot.stamp());
            self.position.send_replace(Some(Arc::clone(&snapshot)));
        }
        snapshot
    }
}

pub(super) fn no_header() -> PgError {
    PgError::new(
        PgErrorKind::Schema,
        APPLYING,
        "the answer to a poll has no first row: the table log_state is empty; its one row is made by the migration and must stay",
    )
}
