//! What has happened, for tests that show that their fault did.

use std::sync::Arc;

use tokio::sync::watch;

use crate::fault::Direction;

/// What a proxy has seen since it was started.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counters {
    /// Connections that were accepted.
    pub accepted: u64,
    /// Connections that are open.
    pub open: u64,
    /// From clients to the server.
    pub requests: Flow,
    /// From the server to clients.
    pub replies: Flow,
}

impl Counters {
    /// One of the directions.
    pub fn of(&self, direction: Direction) -> Flow {
        match direction {
            Direction::Requests => self.requests,
            Direction::Replies => self.replies,
        }
    }
}

/// What has happened in one direction.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Flow {
    /// Bytes that arrived.
    pub read: u64,
    /// Bytes that were delivered.
    pub written: u64,
    /// Bytes that were forgotten.
    pub swallowed: u64,
    /// Bytes that were changed.
    pub corrupted: u64,
    /// Pairs of replies that were exchanged.
    pub swapped: u64,
}

/// Writes into a proxy's counters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter {
    counters: Arc<watch::Sender<Counters>>,
}

impl Meter {
    pub(crate) fn seen(&self) -> Counters {
        *self.counters.borrow()
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Counters> {
        self.counters.subscribe()
    }

    pub(crate) fn count(&self, change: impl FnOnce(&mut Counters)) {
        self.counters.send_modify(change);
    }

    pub(crate) fn flow(&self, direction: Direction, change: impl FnOnce(&mut Flow)) {
        self.count(|counters| {
            change(match direction {
                Direction::Requests => &mut counters.requests,
                Direction::Replies => &mut counters.replies,
            });
        });
    }
}
