//! One state of PostgreSQL, for the length of an evaluation: begun with its first read, in the same round trip.

use std::sync::Arc;

use async_trait::async_trait;
use cache_core::Stamp;
use futures_util::future::join;
use pg_log::LogReader;

use super::super::{ModelId, Snapshot, StoreError, StoreId, TupleAnswer, TupleRead};
use super::beginning::{Beginnings, Begun};
use super::reads::{self, Asked, Told};

/// A transaction that reads, which others may share. When the last of them is dropped, at any point, its connection is rolled back before
/// anybody else gets it, and nobody waits for that.
pub(super) struct PostgresSnapshot {
    schema: Arc<str>,
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

impl PostgresSnapshot {
    pub(super) fn new(schema: &str, beginnings: Arc<Beginnings>, reader: Arc<LogReader>) -> Self {
        Self { schema: Arc::from(schema), beginnings, reader, state: State::New }
    }

    async fn ask(&mut self, asked: Asked<'_>) -> Result<Told, StoreError> {
        // Whoever abandons a read in the middle leaves a snapshot that answers no more.
        let (begun, stamp, told) = match std::mem::replace(&mut self.state, State::Broken) {
            State::New => {
                let begun = self.beginnings.join(&self.reader).await?;
                // On their way at once: its beginning, the poll of the log, and what is read.
                let (stamp, told) = join(begun.stamp(), reads::ask(begun.connection(), &self.schema, asked)).await;
                (begun, stamp?, told?)
            }
            State::Open { begun, stamp } => {
                let told = reads::ask(begun.connection(), &self.schema, asked).await?;
                (begun, stamp, told)
            }
            State::Broken => {
                return Err(StoreError::Unavailable {
                    operation: reads::OPERATION,
                    cause: Arc::from("an earlier read of this snapshot failed or was abandoned"),
                    remedy: "ask again, from a new one",
                });
            }
        };
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

    async fn read(&mut self, store: StoreId, reads: Vec<TupleRead>) -> Result<Vec<TupleAnswer>, StoreError> {
        match self.ask(Asked::Relationships(store, &reads)).await? {
            Told::Relationships(answers) => Ok(answers),
            Told::Latest(_) | Told::Model(_) => Err(StoreError::Closed),
        }
    }

    async fn latest_model(&mut self, store: StoreId) -> Result<Option<Option<ModelId>>, StoreError> {
        match self.ask(Asked::Latest(store)).await? {
            Told::Latest(latest) => Ok(latest),
            Told::Relationships(_) | Told::Model(_) => Err(StoreError::Closed),
        }
    }

    async fn model(&mut self, store: StoreId, id: ModelId) -> Result<Option<String>, StoreError> {
        match self.ask(Asked::Model(store, id)).await? {
            Told::Model(body) => Ok(body),
            Told::Relationships(_) | Told::Latest(_) => Err(StoreError::Closed),
        }
    }
}
