//! One state of PostgreSQL, for the length of an evaluation: begun with its first read, in the same round trip.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use cache_core::Stamp;
use futures_util::future::join3;
use pg_log::{Exclusive, LogReader, Pg};

use super::super::{ModelId, Snapshot, StoreError, StoreId, TupleAnswer, TupleRead};
use super::failure::{connecting, failed, running};
use super::reads::{self, Asked, Told};

const OPERATION: &str = "reading relationships";
/// One snapshot for all that follows, on the primary, and nothing that could write.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// A transaction that reads. Dropped at any point, its connection is rolled back before anybody else gets it, and nobody waits for that.
pub(super) struct PostgresSnapshot {
    pg: Pg,
    reader: Arc<LogReader>,
    state: State,
    /// Counts round trips, all snapshots together.
    trips: Arc<AtomicU64>,
}

enum State {
    /// Nothing was read yet.
    New,
    Open {
        connection: Box<Exclusive>,
        stamp: Stamp,
        trips_before: u64,
    },
    /// A read failed or was abandoned: the transaction is of no use.
    Broken,
}

impl PostgresSnapshot {
    pub(super) fn new(pg: Pg, reader: Arc<LogReader>, trips: Arc<AtomicU64>) -> Self {
        Self { pg, reader, state: State::New, trips }
    }

    async fn ask(&mut self, asked: Asked<'_>) -> Result<Told, StoreError> {
        // Whoever abandons a read in the middle leaves a snapshot that answers no more.
        match std::mem::replace(&mut self.state, State::Broken) {
            State::New => {
                let (state, told) = self.begin(asked).await?;
                self.state = state;
                Ok(told)
            }
            State::Open { connection, stamp, trips_before } => {
                let told = reads::ask(&connection, self.pg.schema(), asked).await?;
                self.state = State::Open { connection, stamp, trips_before };
                Ok(told)
            }
            State::Broken => Err(StoreError::Unavailable {
                operation: OPERATION,
                cause: Arc::from("an earlier read of this snapshot failed or was abandoned"),
                remedy: "ask again, from a new one",
            }),
        }
    }

    /// Begins the transaction, asks the log, and reads: three statements on their way at once.
    async fn begin(&self, asked: Asked<'_>) -> Result<(State, Told), StoreError> {
        let connection = Box::new(self.pg.exclusive().await.map_err(connecting(OPERATION))?);
        let poll = self.reader.poll_statement().ok_or_else(|| super::origin::not_joined(&self.reader))?;
        let statement = connection.prepared(poll.sql()).await.map_err(connecting(OPERATION))?;
        reads::prepare(&connection, self.pg.schema(), &asked).await?;
        let trips_before = connection.round_trips();
        let params = poll.params();
        let (begun, polled, told) = join3(
            connection.batch_execute(BEGIN),
            connection.query(&statement, &params),
            reads::ask(&connection, self.pg.schema(), asked),
        )
        .await;
        begun.map_err(failed("beginning a snapshot"))?;
        let polled = polled.map_err(failed("reading the log"))?;
        // What the snapshot sees is in force here before anybody learns what is in it.
        let polled = self.reader.apply_polled(&polled).map_err(|error| running("reading the log", &error))?;
        let stamp = polled.snapshot.stamp();
        Ok((State::Open { connection, stamp, trips_before }, told?))
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

impl Drop for PostgresSnapshot {
    fn drop(&mut self) {
        if let State::Open { connection, trips_before, .. } = &self.state {
            self.trips.fetch_add(connection.round_trips().saturating_sub(*trips_before), Ordering::Relaxed);
        }
    }
}
