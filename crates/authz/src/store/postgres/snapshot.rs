//! One state of PostgreSQL, for the length of an evaluation: begun with its first read, in the same round trip.

use std::sync::Arc;

use async_trait::async_trait;
use cache_core::Stamp;
use futures_util::future::join;
use pg_log::LogReader;

use super::super::{ModelId, Snapshot, StoreError, StoreId, TupleAnswer, TupleRead};
use super::reads;
use super::shared_snapshot::{SharedSnapshot, SharedSnapshots};

/// A transaction that reads, which others may share. When the last of them is dropped, at any point, its connection is rolled back before
/// anybody else gets it, and nobody waits for that.
pub(super) struct PostgresSnapshot {
    snapshots: Arc<SharedSnapshots>,
    reader: Arc<LogReader>,
    state: State,
}

enum State {
    /// Nothing was read yet.
    New,
    Open {
        shared: Arc<SharedSnapshot>,
        stamp: Stamp,
    },
    /// A read failed or was abandoned: the transaction is of no use.
    Broken,
}

/// A transaction, and in which place of what was read with its beginning the answers are.
type Taken = (Arc<SharedSnapshot>, Option<usize>);

impl PostgresSnapshot {
    pub(super) fn new(snapshots: Arc<SharedSnapshots>, reader: Arc<LogReader>) -> Self {
        Self { snapshots, reader, state: State::New }
    }

    /// What it reads over, and where the answers to what comes first are. It answers no more unless it gets that back: whoever abandons a read
    /// in the middle leaves it so.
    async fn take(&mut self, first: impl FnOnce() -> (StoreId, Vec<TupleRead>)) -> Result<Taken, StoreError> {
        match std::mem::replace(&mut self.state, State::Broken) {
            State::New => {
                let (place, shared) = self.snapshots.begin_or_join(&self.reader, first()).await?;
                Ok((shared, Some(place)))
            }
            State::Open { shared, .. } => Ok((shared, None)),
            State::Broken => Err(StoreError::Unavailable {
                operation: reads::OPERATION,
                cause: Arc::from("an earlier read of this snapshot failed or was abandoned"),
                remedy: "ask again, from a new one",
            }),
        }
    }

    fn give<T>(
        &mut self,
        shared: Arc<SharedSnapshot>,
        (stamp, told): (Result<Stamp, StoreError>, Result<T, StoreError>),
    ) -> Result<T, StoreError> {
        let (stamp, told) = (stamp?, told?);
        self.state = State::Open { shared, stamp };
        Ok(told)
    }
}

#[async_trait]
impl Snapshot for PostgresSnapshot {
    fn stamp(&self) -> Stamp {
        match &self.state {
            State::Open { stamp, .. } => *stamp,
            State::New | State::Broken => Stamp::OLDEST,
        }
    }

    // On their way at once: its beginning, the poll of the log, and what is read.
    async fn read(&mut self, store: StoreId, mut reads: Vec<TupleRead>) -> Result<Vec<TupleAnswer>, StoreError> {
        let (shared, place) = self.take(|| (store, std::mem::take(&mut reads))).await?;
        let answers = async {
            match place {
                Some(place) => shared.first(place).await,
                None => shared.read(store, reads).await,
            }
        };
        let told = join(shared.stamp(), answers).await;
        self.give(shared, told)
    }

    async fn latest_model(&mut self, store: StoreId) -> Result<Option<Option<ModelId>>, StoreError> {
        let (shared, _) = self.take(|| (store, Vec::new())).await?;
        let told = join(shared.stamp(), shared.latest_model(store)).await;
        self.give(shared, told)
    }

    async fn model(&mut self, store: StoreId, id: ModelId) -> Result<Option<String>, StoreError> {
        let (shared, _) = self.take(|| (store, Vec::new())).await?;
        let told = join(shared.stamp(), shared.model(store, id)).await;
        self.give(shared, told)
    }
}
