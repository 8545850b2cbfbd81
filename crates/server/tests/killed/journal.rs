//! What was sent and what was acknowledged, kept outside of the server.

use std::collections::BTreeMap;

/// What became of a batch, or was asked to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Fate {
    /// It was written.
    Written,
    /// It was written and then deleted.
    Deleted,
}

/// One batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) round: usize,
    intended: Fate,
    acknowledged: Option<Fate>,
}

impl Record {
    /// The fate that somebody was told, where nothing was sent since.
    pub(crate) fn certain(&self) -> Option<Fate> {
        self.acknowledged.filter(|fate| *fate == self.intended)
    }
}

#[derive(Default, Debug)]
pub(crate) struct Journal {
    batches: BTreeMap<String, Record>,
}

impl Journal {
    pub(crate) fn intends(&mut self, round: usize, batch: &str, fate: Fate) {
        let record = self.batches.entry(batch.to_owned());
        record.or_insert(Record { round, intended: fate, acknowledged: None }).intended = fate;
    }

    pub(crate) fn acknowledged(&mut self, batch: &str, fate: Fate) {
        if let Some(record) = self.batches.get_mut(batch) {
            record.acknowledged = Some(fate);
        }
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, Record)> {
        self.batches.iter().map(|(batch, record)| (batch.as_str(), *record))
    }

    pub(crate) fn batches(&self, round: usize) -> impl Iterator<Item = (&str, Record)> {
        self.all().filter(move |(_, record)| record.round == round)
    }

    /// Batches that were acknowledged, and those of them whose deletion was.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let acknowledged = self.batches.values().filter(|record| record.acknowledged.is_some()).count();
        let deleted = self.batches.values().filter(|record| record.acknowledged == Some(Fate::Deleted)).count();
        (acknowledged, deleted)
    }
}
