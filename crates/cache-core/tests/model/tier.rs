//! What lies in tiers: a value with its stamp, its tags and the identity of the log that the stamp belongs to.

use cache_core::Stamp;

use super::mistake::Mistake;
use super::origin::{BAN, Facts, GRANT};
use super::protocol::Protocol;

/// What a tier is asked for: the decision, or one of the two facts that it is made of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Key {
    Decision,
    Grant,
    Ban,
}

/// The parts that a decision may be composed of.
pub(crate) const PARTS: [Key; 2] = [Key::Grant, Key::Ban];

impl Key {
    pub(crate) fn tags(self) -> u8 {
        match self {
            Self::Decision => GRANT | BAN,
            Self::Grant => GRANT,
            Self::Ban => BAN,
        }
    }

    fn value(self, facts: Facts) -> bool {
        match self {
            Self::Decision => facts.allow(),
            Self::Grant | Self::Ban => facts.has(self.tags()),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Entry {
    pub(crate) value: bool,
    pub(crate) stamp: Stamp,
    pub(crate) tags: u8,
    /// The identity of the log.
    pub(crate) epoch: u8,
    /// Whether it was found usable at the head of now. The product keeps the number of the head; only its equality with the head of now
    /// means anything, and a head that has moved never comes back.
    pub(crate) checked: bool,
    /// No part of the protocol: whether facts of different age were put together without a snapshot that holds for all of them.
    pub(crate) mixed: bool,
}

impl Entry {
    pub(crate) fn new(key: Key, facts: Facts, stamp: Stamp, epoch: u8) -> Self {
        Self { value: key.value(facts), stamp, tags: key.tags(), epoch, checked: false, mixed: false }
    }

    /// As another tier gets it.
    pub(crate) fn unchecked(self) -> Self {
        Self { checked: false, ..self }
    }
}

/// Where a value came from, or goes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Source {
    L1,
    L2,
    View,
    Origin,
    /// Another caller's load.
    Flight,
}

/// L1 or L2. Room for a value of each key.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Tier([Option<Entry>; 3]);

impl Tier {
    pub(crate) fn get(&self, key: Key, protocol: &Protocol) -> Option<Entry> {
        self.0[slot(key, protocol)]
    }

    pub(crate) fn put(&mut self, key: Key, entry: Entry, protocol: &Protocol) {
        self.0[slot(key, protocol)] = Some(entry);
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.0.iter().flatten()
    }

    pub(crate) fn entries_mut(&mut self) -> impl Iterator<Item = &mut Entry> {
        self.0.iter_mut().flatten()
    }

    /// Deletes what carries one of the tags.
    pub(crate) fn delete(&mut self, tags: u8) {
        for place in &mut self.0 {
            *place = place.filter(|entry| entry.tags & tags == 0);
        }
    }
}

fn slot(key: Key, protocol: &Protocol) -> usize {
    // What is asked for is a field of the key. Without it the three share a place.
    if protocol.makes(Mistake::KeyWithoutAField) { 0 } else { key as usize }
}
