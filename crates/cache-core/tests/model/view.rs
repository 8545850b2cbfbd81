//! The materialized view: one row, always a little old, that says how old.

use cache_core::Stamp;

use super::mistake::Mistake;
use super::origin::{Author, Facts, Origin, Xid};
use super::protocol::Protocol;
use super::tier::{Entry, Key};

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct View {
    /// The row, `as_of` and the identity, as one statement reads them. That there is no row is a value as well.
    pub(crate) row: Option<Entry>,
    pub(crate) refresh: Option<Refresh>,
}

/// A refresh that runs. There is one at a time.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Refresh {
    xid: Xid,
    facts: Facts,
    as_of: Stamp,
}

impl View {
    /// The snapshot comes first: it gives `as_of`, and the contents.
    pub(crate) fn start_refresh(&mut self, origin: &mut Origin) {
        let (facts, as_of) = (origin.facts(), origin.snapshot().stamp());
        self.refresh = Some(Refresh { xid: origin.begin(Author::Refresh), facts, as_of });
    }

    pub(crate) fn end_refresh(&mut self, origin: &mut Origin, protocol: &Protocol) {
        let Some(Refresh { xid, facts, mut as_of }) = self.refresh.take() else { return };
        if protocol.makes(Mistake::AsOfAfterTheRefresh) {
            as_of = origin.snapshot().stamp();
        }
        if protocol.makes(Mistake::AsOfByGreatest) {
            as_of = self.row.map_or(as_of, |row| row.stamp.max(as_of));
        }
        self.row = Some(Entry::new(Key::Decision, facts, as_of, origin.epoch));
        origin.commit(xid, &protocol.bounds.writers);
    }
}
