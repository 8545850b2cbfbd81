//! Snapshots that several evaluations share: one transaction, and one poll of the log, for all who came before it was begun, and one statement for
//! what they read at the same time.
//!
//! A snapshot is begun when it has a connection and when the one before it was answered, for which it waits a moment at most. So a single
//! question waits for nobody, and the more come at once, the more of them share what a snapshot costs.
//!
//! Invariant: nobody gets a snapshot that was begun before it was asked for. A change that was acknowledged before is in it.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use cache_core::Stamp;
use futures_util::FutureExt;
use futures_util::future::join;
use pg_log::{Exclusive, LogReader, Pg};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::super::{ModelId, StoreError, StoreId, TupleAnswer, TupleRead};
use super::failure::{connecting, failed, running};
use super::reads;
use super::together::{Asked, Outcome, Together};

/// One snapshot for all that follows, on the primary, and nothing that could write. Plans are kept with the connection: one that was made
/// while a table was small would read all of it later. There is no better plan for any parameters, and to look for one takes longer than to read.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL enable_seqscan = off; \
                     SET LOCAL plan_cache_mode = force_generic_plan";
/// The most who share one snapshot: it is held until the last of them has ended.
const MAX_SHARING: usize = 32;
/// The most that one statement reads for several, by [`weight`]. Whoever reads more reads alone.
const MAX_WEIGHT: usize = 1_000;
/// The most who share one poll.
const MAX_CATCHING_UP: usize = 4_096;
/// How long one waits for the one before it.
const PATIENCE: Duration = Duration::from_millis(2);

const POLLING: &str = "reading the log";

/// Answers of one statement, in the places of those who asked; each takes its own.
type Answers = Arc<Mutex<Vec<Option<Result<Vec<TupleAnswer>, StoreError>>>>>;

/// What is read of a store.
type Reads = (StoreId, Vec<TupleRead>);

/// How much reads may bring, in look-ups of one relationship.
fn weight(reads: &[TupleRead]) -> usize {
    let each = |read: &TupleRead| match read {
        TupleRead::Point(_) | TupleRead::Properties(_) => 1,
        TupleRead::Enumerate { .. } => 8,
        TupleRead::Reverse { .. } => 64,
    };
    reads.iter().map(each).sum()
}

/// A transaction that is on its way, and what was read with its beginning.
pub(super) struct SharedSnapshot {
    connection: Arc<Exclusive>,
    schema: Arc<str>,
    /// Answered once the poll was applied.
    polled: Outcome<Stamp>,
    first: Outcome<Answers>,
    reads: Together<Reads, Answers>,
    /// Round trips of the connection before, and where those of this transaction are added in the end.
    trips_before: u64,
    trips: Arc<AtomicU64>,
}

impl SharedSnapshot {
    /// The snapshot's stamp. What it sees is in force here from then on, and nothing that was read may be used before.
    pub(super) async fn stamp(&self) -> Result<Stamp, StoreError> {
        self.polled.get().await
    }

    /// What was read with the beginning, by whoever asked in this place.
    pub(super) async fn first(&self, place: usize) -> Result<Vec<TupleAnswer>, StoreError> {
        taken(&self.first.get().await?, place)
    }

    /// Reads, together with what others read now.
    pub(super) async fn read(&self, store: StoreId, reads: Vec<TupleRead>) -> Result<Vec<TupleAnswer>, StoreError> {
        let (connection, schema) = (Arc::clone(&self.connection), Arc::clone(&self.schema));
        let weight = weight(&reads);
        let (place, answers) = self
            .reads
            .join((store, reads), weight, |asked| async move { read(&connection, &schema, asked.close()).await });
        taken(&answers.get().await?, place)
    }

    /// The latest model of a store; the outer one is none where there is no such store.
    pub(super) async fn latest_model(&self, store: StoreId) -> Result<Option<Option<ModelId>>, StoreError> {
        reads::latest_model(&self.connection, &self.schema, store).await
    }

    /// The text of a model.
    pub(super) async fn model(&self, store: StoreId, id: ModelId) -> Result<Option<String>, StoreError> {
        reads::model(&self.connection, &self.schema, store, id).await
    }
}

async fn read(connection: &Exclusive, schema: &str, asked: Vec<Reads>) -> Result<Answers, StoreError> {
    let answers = reads::of_several(connection, schema, asked).await?;
    Ok(Arc::new(Mutex::new(answers.into_iter().map(Some).collect())))
}

fn taken(answers: &Answers, place: usize) -> Result<Vec<TupleAnswer>, StoreError> {
    let own = answers.lock().unwrap_or_else(PoisonError::into_inner).get_mut(place).and_then(Option::take);
    own.unwrap_or(Err(StoreError::Closed))
}

impl Drop for SharedSnapshot {
    fn drop(&mut self) {
        let trips = self.connection.round_trips().saturating_sub(self.trips_before);
        self.trips.fetch_add(trips, Ordering::Relaxed);
    }
}

/// Begins snapshots, and asks the log between them.
pub(super) struct SharedSnapshots {
    pg: Pg,
    schema: Arc<str>,
    trips: Arc<AtomicU64>,
    snapshots: Together<Reads, Arc<SharedSnapshot>>,
    catching_up: Together<(), ()>,
    /// Whose turn it is to be begun, and to be asked.
    begin: Arc<Semaphore>,
    poll: Arc<Semaphore>,
}

impl SharedSnapshots {
    pub(super) fn new(pg: Pg, trips: Arc<AtomicU64>) -> Self {
        let turn = || Arc::new(Semaphore::new(1));
        Self {
            schema: pg.schema().into(),
            pg,
            trips,
            snapshots: Together::new(MAX_SHARING, MAX_WEIGHT),
            catching_up: Together::new(MAX_CATCHING_UP, MAX_CATCHING_UP),
            begin: turn(),
            poll: turn(),
        }
    }

    /// Begins a snapshot, and reads from it first what is answered in this place.
    pub(super) async fn begin_or_join(
        self: &Arc<Self>,
        reader: &Arc<LogReader>,
        first: Reads,
    ) -> Result<(usize, Arc<SharedSnapshot>), StoreError> {
        let weight = weight(&first.1);
        let (place, begun) = self.snapshots.join(first, weight, |asked| {
            let (shared, reader) = (Arc::clone(self), Arc::clone(reader));
            async move {
                let turn = turn(&shared.begin).await;
                let connection = shared.pg.exclusive().await.map_err(connecting(reads::OPERATION))?;
                reads::prepare(&connection, &shared.schema).await?;
                shared.begin(Arc::new(connection), reader, turn, asked).await
            }
        });
        Ok((place, begun.get().await?))
    }

    async fn begin(
        &self,
        connection: Arc<Exclusive>,
        reader: Arc<LogReader>,
        turn: Option<OwnedSemaphorePermit>,
        asked: Asked<Reads>,
    ) -> Result<Arc<SharedSnapshot>, StoreError> {
        let poll = reader.poll_statement().ok_or_else(|| super::origin::not_joined(&reader))?;
        let statement = connection.prepared(poll.sql()).await.map_err(connecting(reads::OPERATION))?;
        // Nobody joins what is on its way.
        let asked = asked.close();
        let trips_before = connection.round_trips();
        let asking = Arc::clone(&connection);
        let polled = async move {
            let params = poll.params();
            let (begun, polled) = join(asking.batch_execute(BEGIN), asking.query(&statement, &params)).await;
            drop(turn);
            begun.map_err(failed("beginning a snapshot"))?;
            let polled = polled.map_err(failed(POLLING))?;
            // What the snapshot sees is in force here before anybody learns what is in it.
            let polled = reader.apply_polled(&polled).map_err(|error| running(POLLING, &error))?;
            Ok(polled.snapshot.stamp())
        };
        let (asking, schema) = (Arc::clone(&connection), Arc::clone(&self.schema));
        let first = async move { read(&asking, &schema, asked).await };
        let (mut polled, mut first) = (polled.boxed(), first.boxed());
        // Sent now, one behind the other, so that whatever is read next comes behind them.
        let mut outcomes = (Poll::Pending, Poll::Pending);
        std::future::poll_fn(|context| {
            outcomes = (polled.as_mut().poll(context), first.as_mut().poll(context));
            Poll::Ready(())
        })
        .await;
        let (polled, first) = (Outcome::of(rest(outcomes.0, polled)), Outcome::of(rest(outcomes.1, first)));
        Ok(Arc::new(SharedSnapshot {
            connection,
            schema: Arc::clone(&self.schema),
            polled,
            first,
            reads: Together::new(MAX_SHARING, MAX_WEIGHT),
            trips_before,
            trips: Arc::clone(&self.trips),
        }))
    }

    /// Applies what anybody can have read before this call.
    pub(super) async fn catch_up(self: &Arc<Self>, reader: &Arc<LogReader>) -> Result<(), StoreError> {
        const OPERATION: &str = "asking the log what is new";
        let (_, caught_up) = self.catching_up.join((), 1, |asked| {
            let (shared, reader) = (Arc::clone(self), Arc::clone(reader));
            async move {
                let _turn = turn(&shared.poll).await;
                // Shared: whoever asks may hold a connection already, and must not wait for one that others hold who wait as well.
                let client = shared.pg.shared().await.map_err(connecting(OPERATION))?;
                asked.close();
                let poll = reader.poll_statement().ok_or_else(|| super::origin::not_joined(&reader))?;
                let statement = client.prepared(poll.sql()).await.map_err(connecting(OPERATION))?;
                let rows = client.query(&statement, &poll.params()).await.map_err(failed(OPERATION))?;
                shared.trips.fetch_add(1, Ordering::Relaxed);
                reader.apply_polled(&rows).map(drop).map_err(|error| running(OPERATION, &error))
            }
        });
        caught_up.get().await
    }
}

/// What is left of some work that was begun.
async fn rest<T>(outcome: Poll<T>, work: impl Future<Output = T>) -> T {
    match outcome {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => work.await,
    }
}

/// The turn, or nothing where that takes too long.
async fn turn(whose: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
    tokio::time::timeout(PATIENCE, Arc::clone(whose).acquire_owned()).await.ok()?.ok()
}
