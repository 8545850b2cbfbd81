//! Snapshots that several evaluations share: one transaction, and one poll of the log, for all who came before it was begun.
//!
//! Whoever wants a snapshot joins the one that waits to be begun, or starts such a one. It is begun when it has a connection and when the one before it
//! was answered, for which it waits a moment at most. So a single question waits for nobody, and the more come at once, the more
//! of them share what a snapshot costs.
//!
//! Invariant: nobody gets a snapshot that was begun before it was asked for. A change that was acknowledged before is in it.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Poll;
use std::time::Duration;

use cache_core::Stamp;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, Shared, WeakShared, join};
use pg_log::{Exclusive, LogReader, Pg};
use tokio::sync::Semaphore;

use super::super::StoreError;
use super::failure::{connecting, failed, running};
use super::reads;

/// One snapshot for all that follows, on the primary, and nothing that could write. Plans are kept with the connection: one that was made
/// while a table was small would read all of it later. There is no better plan for any parameters, and to look for one takes longer than to read.
const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL enable_seqscan = off; \
                     SET LOCAL plan_cache_mode = force_generic_plan";
/// The most who share one snapshot: what they ask is answered one after the other.
const MAX_SHARING: usize = 32;
/// How long one waits for the one before it.
const PATIENCE: Duration = Duration::from_millis(2);

/// What becomes of a snapshot.
pub(super) type Beginning = Shared<BoxFuture<'static, Result<Arc<Begun>, StoreError>>>;

/// A transaction that is on its way: what is asked after the poll that began it comes in the same round trip.
pub(super) struct Begun {
    connection: Arc<Exclusive>,
    /// Answered once the poll was applied.
    polled: Shared<BoxFuture<'static, Result<Stamp, StoreError>>>,
    /// Round trips of the connection before, and where those of this transaction are added in the end.
    trips_before: u64,
    trips: Arc<AtomicU64>,
}

impl Begun {
    /// To read over, in the transaction.
    pub(super) fn connection(&self) -> &Exclusive {
        &self.connection
    }

    /// The snapshot's stamp. What it sees is in force here from then on, and nothing that was read may be used before.
    pub(super) async fn stamp(&self) -> Result<Stamp, StoreError> {
        self.polled.clone().await
    }
}

impl Drop for Begun {
    fn drop(&mut self) {
        let trips = self.connection.round_trips().saturating_sub(self.trips_before);
        self.trips.fetch_add(trips, Ordering::Relaxed);
    }
}

/// Begins snapshots.
pub(super) struct Beginnings {
    pg: Pg,
    trips: Arc<AtomicU64>,
    next: Mutex<Option<Next>>,
    /// Whose turn it is to be begun.
    turn: Arc<Semaphore>,
}

/// The snapshot that waits to be begun.
struct Next {
    beginning: WeakShared<BoxFuture<'static, Result<Arc<Begun>, StoreError>>>,
    sharing: usize,
    number: u64,
}

impl Beginnings {
    pub(super) fn new(pg: Pg, trips: Arc<AtomicU64>) -> Self {
        Self { pg, trips, next: Mutex::default(), turn: Arc::new(Semaphore::new(1)) }
    }

    /// A snapshot that is not begun yet.
    pub(super) fn join(self: &Arc<Self>, reader: &Arc<LogReader>) -> Beginning {
        // Dropped after the lock: with the last of them ends what takes it.
        let _full;
        let mut next = self.next();
        let number = match &mut *next {
            Some(known) => match known.beginning.upgrade() {
                Some(beginning) if known.sharing < MAX_SHARING => {
                    known.sharing += 1;
                    return beginning;
                }
                full => {
                    _full = full;
                    known.number.wrapping_add(1)
                }
            },
            None => 0,
        };
        let waits = Waits { beginnings: Arc::downgrade(self), number };
        let beginning = begin(Arc::clone(self), Arc::clone(reader), waits).boxed().shared();
        *next = beginning.downgrade().map(|beginning| Next { beginning, sharing: 1, number });
        beginning
    }

    fn next(&self) -> MutexGuard<'_, Option<Next>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// While there is this, others may join. Ends however the beginning does.
struct Waits {
    beginnings: Weak<Beginnings>,
    number: u64,
}

impl Drop for Waits {
    fn drop(&mut self) {
        let Some(beginnings) = self.beginnings.upgrade() else { return };
        let mut next = beginnings.next();
        if next.as_ref().is_some_and(|next| next.number == self.number) {
            *next = None;
        }
    }
}

async fn begin(beginnings: Arc<Beginnings>, reader: Arc<LogReader>, waits: Waits) -> Result<Arc<Begun>, StoreError> {
    // Whoever is about to ask as well, such as the other questions of a batch, gets the time to.
    tokio::task::yield_now().await;
    let turn = tokio::time::timeout(PATIENCE, Arc::clone(&beginnings.turn).acquire_owned()).await;
    let connection = Arc::new(beginnings.pg.exclusive().await.map_err(connecting(reads::OPERATION))?);
    let poll = reader.poll_statement().ok_or_else(|| super::origin::not_joined(&reader))?;
    let statement = connection.prepared(poll.sql()).await.map_err(connecting(reads::OPERATION))?;
    reads::prepare(&connection, beginnings.pg.schema()).await?;
    // Nobody joins what is on its way.
    drop(waits);
    let trips_before = connection.round_trips();
    let asking = Arc::clone(&connection);
    let polled = async move {
        let params = poll.params();
        let (begun, polled) = join(asking.batch_execute(BEGIN), asking.query(&statement, &params)).await;
        // However the turn was waited for, it is over.
        drop(turn);
        begun.map_err(failed("beginning a snapshot"))?;
        let polled = polled.map_err(failed("reading the log"))?;
        // What the snapshot sees is in force here before anybody learns what is in it.
        let polled = reader.apply_polled(&polled).map_err(|error| running("reading the log", &error))?;
        Ok(polled.snapshot.stamp())
    };
    let polled = polled.boxed().shared();
    // Sent now, so that whatever is read comes behind it.
    let mut sent = polled.clone();
    std::future::poll_fn(|context| {
        let _ = Pin::new(&mut sent).poll(context);
        Poll::Ready(())
    })
    .await;
    Ok(Arc::new(Begun { connection, polled, trips_before, trips: Arc::clone(&beginnings.trips) }))
}
