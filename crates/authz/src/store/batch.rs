//! What makes a batch wrong whatever is stored.

use std::collections::HashSet;

use super::{MAX_WRITE_BATCH, WriteBatch, WriteConflict};

impl WriteBatch {
    /// What can be refused without looking at what is stored: too many tuples, or one that stands twice.
    pub(super) fn check(&self) -> Result<(), WriteConflict> {
        let given = self.writes.len() + self.deletes.len();
        if given > MAX_WRITE_BATCH {
            return Err(WriteConflict::TooMany { given });
        }
        let mut seen = HashSet::with_capacity(given);
        match self.deletes.iter().chain(self.writes.iter().map(|write| &write.tuple)).find(|tuple| !seen.insert(*tuple))
        {
            Some(tuple) => Err(WriteConflict::Repeated(tuple.clone())),
            None => Ok(()),
        }
    }
}
