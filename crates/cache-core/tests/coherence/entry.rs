//! A cached value, and where it lies.

use super::database::{Set, Snapshot};

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Key {
    /// `grant and not banned`.
    Decision,
    /// `banned`: a part of it, which is used together with what the origin says of the grant.
    Ban,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Source {
    L1,
    L2,
    /// The result of a load that somebody else leads.
    Flight,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Entry {
    pub(crate) key: Key,
    pub(crate) epoch: u8,
    /// The stamp, as exact as one can be: the changes that are contained.
    pub(crate) contains: Set,
    /// Allowed, or banned.
    pub(crate) holds: bool,
}

impl Entry {
    pub(crate) fn read(key: Key, from: &Snapshot) -> Self {
        let holds = match key {
            Key::Decision => from.revoked.is_empty() && from.banned.is_empty(),
            Key::Ban => !from.banned.is_empty(),
        };
        Self { key, epoch: from.epoch, contains: from.seen, holds }
    }

    /// Whether it contains everything in `known` that could have changed it.
    pub(crate) fn outlives(&self, known: &Snapshot) -> bool {
        let kills = match self.key {
            Key::Decision => known.revoked.and(known.banned),
            Key::Ban => known.banned,
        };
        self.contains.covers(kills)
    }
}

/// One value for each key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Tier([Option<Entry>; 2]);

impl Tier {
    pub(crate) fn get(&self, key: Key) -> Option<Entry> {
        self.0[key as usize]
    }

    pub(crate) fn put(&mut self, entry: Entry) {
        self.0[entry.key as usize] = Some(entry);
    }
}
