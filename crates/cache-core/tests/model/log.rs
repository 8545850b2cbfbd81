//! The log: a row for each committed change, kept until it is trimmed, and what a poll of it answers.
//!
//! A poll returns what its snapshot sees and the position of who asks does not. Nothing in it is ordered by a number.

use super::mistake::Mistake;
use super::origin::{Author, Origin, Snapshot, TAGS, Transaction, Writer, Xid};
use super::protocol::Protocol;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Log {
    /// Rows up to here are deleted.
    trimmed: Xid,
    /// What the floor's row says; a poll reads it in its snapshot.
    floor: Xid,
}

/// Which rows a poll asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Cursor {
    /// Everything that is kept: at a start.
    Whole,
    /// What this position does not see.
    After(Snapshot),
    /// None: where the position was lost, nobody can say which ones were missed.
    Lost,
    /// By number. The mistake.
    Above(Xid),
}

/// The answer to a poll: on its way, or being applied.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Response {
    pub(crate) epoch: u8,
    pub(crate) snapshot: Snapshot,
    pub(crate) kills: [Xid; TAGS],
    pub(crate) floor: Xid,
    /// The highest number among the rows.
    pub(crate) highest: Xid,
    /// Whether it makes up for a lost position.
    pub(crate) makes_up: bool,
}

impl Log {
    /// Whether anything can be trimmed.
    pub(crate) fn is_behind(&self, origin: &Origin) -> bool {
        origin.snapshot().xmin > self.trimmed + 1
    }

    /// Deletes all rows below the oldest transaction that is running, and says so in the same transaction.
    pub(crate) fn trim(&mut self, origin: &Origin, protocol: &Protocol) {
        self.trimmed = origin.snapshot().xmin - 1;
        if !protocol.makes(Mistake::TrimWithoutFloor) {
            self.floor = self.trimmed;
        }
    }

    /// Whether anything was ever trimmed.
    pub(crate) fn was_trimmed(&self) -> bool {
        self.trimmed > 0
    }

    pub(crate) fn poll(&self, origin: &Origin, cursor: Cursor, protocol: &Protocol) -> Response {
        let snapshot = origin.snapshot();
        let mut response = Response {
            epoch: origin.epoch,
            snapshot,
            kills: [0; TAGS],
            floor: self.floor,
            highest: 0,
            makes_up: cursor == Cursor::Lost,
        };
        if cursor == Cursor::Lost {
            // Whatever this snapshot sees has a number below its xmax.
            let seen = snapshot.xmax - 1;
            let floor = if protocol.makes(Mistake::FloorByTheHighestKill) { 0 } else { seen };
            response.floor = response.floor.max(floor);
        } else {
            self.rows(&mut response, origin, cursor, &protocol.bounds.writers);
        }
        if cursor == Cursor::Whole && protocol.makes(Mistake::StartWithoutTheLog) {
            (response.kills, response.floor) = ([0; TAGS], 0);
        }
        response
    }

    /// Reads the rows that the response's snapshot sees, as far as they are there.
    pub(crate) fn rows(&self, response: &mut Response, origin: &Origin, cursor: Cursor, writers: &[Writer]) {
        for (xid, transaction) in origin.transactions() {
            let Transaction::Committed(Author::Writer(writer)) = transaction else { continue };
            let asked_for = match cursor {
                Cursor::Whole => true,
                Cursor::After(position) => !position.sees(xid),
                Cursor::Above(highest) => xid > highest,
                Cursor::Lost => false,
            };
            if xid <= self.trimmed || !response.snapshot.sees(xid) || !asked_for {
                continue;
            }
            response.highest = response.highest.max(xid);
            for (tag, killed_at) in response.kills.iter_mut().enumerate() {
                if writers[usize::from(writer)].kills & (1 << tag) != 0 {
                    *killed_at = xid.max(*killed_at);
                }
            }
        }
    }
}
