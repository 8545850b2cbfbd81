//! One state of PostgreSQL, for the length of an evaluation: begun with its first read, in the same round trip.

use std::sync::Arc;

use async_trait::async_trait;
use cache_core::Stamp;
use futures_util::future::join;
use pg_log::LogReader;

use super::super::{ModelId, Snapshot, StoreError, StoreId, TupleAnswer, TupleRead};
use super::beginning::{Beginnings, Begun};
use super::reads;

/// A transaction that reads, which others may share. When the last of them is dropped, at any point, its connection is rolled back before
/// anybody else gets it, and nobody waits for that.
pub(super) struct PostgresSnapshot {
    beginnings: Arc<Beginnings>,
    reader: Arc<LogReader>,
    state: State,
}

enum State {
    /// Nothing was read yet.
    New,
    Open {
        begun: Arc<Begun>,
        stamp: Stamp,
    },
    /// A read failed or was abandoned: the transaction is of no use.
    Broken,
}

/// A transaction, and in which place of what was read with its beginning the answers are.
type Taken = (Arc<Begun>, Option<usize>);

impl PostgresSnapshot {
    pub(super) fn new(beginnings: Arc<Beginnings>, reader: Arc<LogReader>) -> Self {
        Self { beginnings, reader, state: State::New }
    }

    /// What it reads over, and where the answers to what comes first are. It answers no more unless it gets that back: whoever abandons a read
    /// in the middle leaves it so.
    async fn take(&mut self, first: impl FnOnce() -> (StoreId, Vec<TupleRead>)) -> Result<Taken, StoreError> {
        match std::mem::replace(&mut self.state, State::Broken) {
            State::New => {
                let (place, begun) = self.beginnings.begun(&self.reader, first()).await?;
                Ok((begun, Some(place)))
            }
            State::Open { begun, .. } => Ok((begun, None)),
            State::Broken => Err(StoreError::Unavailable {
                operation: reads::OPERATION,
                cause: Arc::from("an earlier read of this snapshot failed or was abandoned"),
                remedy: "ask again, from a new one",
            }),
        }
    }

    fn give<T>(
        &mut self,
        begun: Arc<Begun>,
        (stamp, told): (Result<Stamp, StoreError>, Result<T, StoreError>),
    ) -> Result<T, StoreError> {
        let (stamp, told) = (stamp?, told?);
        self.state = State::Open { begun, stamp };
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
        let (begun, place) = self.take(|| (store, std::mem::take(&mut reads))).await?;
        let answers = async {
            match place {
                Some(place) => begun.first(place).await,
                None => begun.read(store, reads).await,
            }
        };
        let told = join(begun.stamp(), answers).await;
        self.give(begun, told)
    }

    async fn latest_model(&mut self, store: StoreId) -> Result<Option<Option<ModelId>>, StoreError> {
        let (begun, _) = self.take(|| (store, Vec::new())).await?;
        let told = join(begun.stamp(), begun.latest_model(store)).await;
        self.give(begun, told)
    }

    async fn model(&mut self, store: StoreId, id: ModelId) -> Result<Option<String>, StoreError> {
        let (begun, _) = self.take(|| (store, Vec::new())).await?;
        let told = join(begun.stamp(), begun.model(store, id)).await;
        self.give(begun, told)
    }
}
