//! Bulk loading: a world of relationships in a few large transactions.

use cache_core::Revision;

use super::super::batch::context_text;
use super::super::{Committed, StoreError, StoreId};
use super::job;
use super::origin::SqliteStore;
use crate::relation::Relationship;

/// How far a load has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct LoadProgress {
    /// Relationships that were read so far.
    pub read: usize,
    /// Those of them that were new.
    pub added: usize,
}

impl SqliteStore {
    /// Adds many relationships to a store; those that exist already stay as they are, under the
    /// condition that they have. The caller has checked them against
    /// the model.
    ///
    /// Each [`SqliteConfig::load_chunk`](super::SqliteConfig::load_chunk) of them is one transaction, told to the sink as one
    /// change of the whole store. Other writes get their turn in between. A load that fails keeps the chunks before, and may be
    /// repeated as a whole.
    ///
    /// # Errors
    /// As those of a write.
    pub async fn load<I>(
        &self,
        store: StoreId,
        tuples: I,
        mut progress: impl FnMut(LoadProgress),
    ) -> Result<(LoadProgress, Committed), StoreError>
    where
        I: IntoIterator<Item: Into<Relationship>>,
    {
        let size = self.config().load_chunk.max(1);
        let mut tuples = tuples.into_iter();
        let mut total = LoadProgress::default();
        let mut committed = Committed { revision: Revision::ZERO };
        loop {
            let part: Vec<Relationship> = tuples.by_ref().take(size).map(Into::into).collect();
            // An empty load still finds out whether there is such a store.
            if part.is_empty() && total.read > 0 {
                return Ok((total, committed));
            }
            let read = part.len();
            let contexts = part.iter().map(context_text).collect::<Result<Vec<_>, _>>()?;
            let (added, revision) =
                self.writer().submit_alone(move |work| job::load(work, store, &part, &contexts)).await?;
            committed = revision;
            total.read += read;
            total.added += added;
            progress(total);
            if read < size {
                return Ok((total, committed));
            }
        }
    }
}
