//! What is shared: PostgreSQL with the log and the table of members. A statement is one step; what is sent to it and what it answers are others.

use super::bounds::Change;

/// Numbers of transactions that write.
pub(crate) const XIDS: usize = 2;
/// The most rows that the table of members may have had.
pub(crate) const ROWS: usize = 4;

/// The number of a transaction: a place in the log. They are given at the begin, and commits come in any order.
pub(crate) type Xid = u8;

/// A set of transactions' numbers, or of writers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Set(u8);

impl Set {
    pub(crate) fn with(self, number: u8) -> Self {
        Self(self.0 | 1 << number)
    }

    pub(crate) fn has(self, number: u8) -> bool {
        self.0 & 1 << number != 0
    }

    pub(crate) fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub(crate) fn covers(self, other: Self) -> bool {
        other.0 & !self.0 == 0
    }

    pub(crate) fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(crate) fn common(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether some number in it is at least this one: what nobody may conclude anything from.
    pub(crate) fn reaches(self, number: u8) -> bool {
        self.0 >> number != 0
    }
}

/// What a statement sees of the log: which transactions, and what they kill. Applied, it is all that an instance knows of kills.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Snapshot {
    pub(crate) epoch: u8,
    pub(crate) seen: Set,
    pub(crate) revoked: Set,
    pub(crate) banned: Set,
}

/// One row of the table of members.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Row {
    pub(crate) owner: u8,
    /// The identity of the server at which it was registered.
    pub(crate) epoch: u8,
    pub(crate) counter: u8,
    /// What the owner has said that it has applied.
    pub(crate) reported: Set,
    pub(crate) fenced: bool,
}

/// By incarnation. None is used twice.
pub(crate) type Members = [Option<Row>; ROWS];

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Database {
    /// The identity of the server: another history has another one, and gives the same numbers again.
    pub(crate) epoch: u8,
    /// Which writer has committed under which number.
    pub(crate) log: [Option<u8>; XIDS],
    pub(crate) members: Members,
}

impl Database {
    pub(crate) fn snapshot(&self, writers: &[Change]) -> Snapshot {
        let mut snapshot = Snapshot { epoch: self.epoch, ..Snapshot::default() };
        for (xid, writer) in (0..).zip(self.log) {
            let Some(writer) = writer else { continue };
            snapshot.seen = snapshot.seen.with(xid);
            match writers[usize::from(writer)] {
                Change::Revokes => snapshot.revoked = snapshot.revoked.with(xid),
                Change::Bans => snapshot.banned = snapshot.banned.with(xid),
                Change::Bystands => {}
            }
        }
        snapshot
    }

    /// The writers that have committed in this history.
    pub(crate) fn writers(&self) -> Set {
        self.log.iter().flatten().fold(Set::default(), |writers, writer| writers.with(*writer))
    }

    pub(crate) fn row(&self, incarnation: u8) -> Option<&Row> {
        self.members[usize::from(incarnation)].as_ref()
    }

    pub(crate) fn row_mut(&mut self, incarnation: u8) -> Option<&mut Row> {
        self.members[usize::from(incarnation)].as_mut()
    }
}
