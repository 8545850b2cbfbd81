//! What a list reads: one snapshot, with the relationships of the question laid over it.

use cache_core::Stamp;

use super::super::driver::with_contextual;
use super::super::error::CheckError;
use crate::relation::Relationship;
use crate::store::{MAX_READS_PER_LEVEL, Snapshot, StoreId, TupleAnswer, TupleRead};

/// One state of the origin, as one question sees it.
pub(super) struct Origin<'a> {
    snapshot: Box<dyn Snapshot>,
    store: StoreId,
    contextual: &'a [Relationship],
}

impl<'a> Origin<'a> {
    pub(super) fn new(snapshot: Box<dyn Snapshot>, store: StoreId, contextual: &'a [Relationship]) -> Self {
        Self { snapshot, store, contextual }
    }

    pub(super) fn stamp(&self) -> Stamp {
        self.snapshot.stamp()
    }

    /// Answers a level, in the order of the questions. In between others get their turn.
    pub(super) async fn read(&mut self, reads: &[TupleRead]) -> Result<Vec<TupleAnswer>, CheckError> {
        let mut answers = Vec::with_capacity(reads.len());
        for part in reads.chunks(MAX_READS_PER_LEVEL) {
            tokio::task::yield_now().await;
            let found = self.snapshot.read(self.store, part.to_vec()).await?;
            answers.extend(part.iter().zip(found).map(|(read, answer)| with_contextual(self.contextual, read, answer)));
        }
        Ok(answers)
    }
}
