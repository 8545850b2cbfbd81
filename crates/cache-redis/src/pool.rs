//! A pool whose connections are shared, not lent: each is cloned out and given straight back, so that the pool gives what multiplexing gives.
//!
//! A connection carries many before the next one is used, because requests that are written together cost one call of the kernel; the clones at
//! hand are kept until they are condemned, because to draw from the pool costs as much as to ask Redis from it saves.
//!
//! Nothing is asked at checkout. Instead, whoever finds a connection broken, silent or out of step condemns it, and nobody gets it again;
//! the pool makes another one in the background.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwapOption;
use redis::RedisError;
use tokio::sync::Notify;

use crate::config::RedisConfig;
use crate::connect::{Connector, Link};
use crate::error::Failure;
use crate::statistics::{ConnectionStatistics, count, read};

/// Operations in a row that a connection may leave without an answer in time before it is given up.
const MAX_SILENCES: u32 = 8;
/// Operations under way from which on the next connection is used as well.
const SHARE: usize = 64;

/// The connections to one Redis.
pub(crate) struct Pool {
    pool: bb8::Pool<Manager>,
    state: Arc<State>,
    /// Clones of connections, for as many as there may be.
    at_hand: Box<[ArcSwapOption<Line>]>,
}

/// A connection of the pool. Clones share it.
#[derive(Clone)]
pub(crate) struct Line {
    pub(crate) link: Link,
    health: Arc<Health>,
}

struct Health {
    pool: Arc<State>,
    /// Which outage it was made after.
    outage: u64,
    condemned: AtomicBool,
    silences: AtomicU32,
}

#[derive(Default)]
struct State {
    made: AtomicU64,
    failed: AtomicU64,
    condemned: AtomicU64,
    /// How often a connection broke that was made after the one before it broke.
    outages: AtomicU64,
    /// Why the last attempt to connect failed; nothing after one that succeeded.
    last_failure: Mutex<Option<Failure>>,
    has_failed: Notify,
}

struct Manager {
    connector: Connector,
    state: Arc<State>,
}

impl Pool {
    /// A pool without a connection yet: the first who needs one has it made.
    pub(crate) fn new(connector: Connector, config: &RedisConfig) -> Self {
        let state = Arc::<State>::default();
        let pool = bb8::Pool::builder()
            .max_size(config.connections)
            .min_idle(config.connections)
            .test_on_check_out(false)
            .max_lifetime(None)
            .idle_timeout(None)
            // The breaker says when to try again.
            .retry_connection(false)
            .connection_timeout(config.connect_timeout())
            .build_unchecked(Manager { connector, state: Arc::clone(&state) });
        let at_hand = (0..config.connections).map(|_| ArcSwapOption::empty()).collect();
        Self { pool, state, at_hand }
    }

    /// A connection that nobody has condemned, for who is one of so many. Where there is none it waits for one to be made, or for the first
    /// that can't be.
    pub(crate) async fn line(&self, busy: usize) -> Result<Arc<Line>, Failure> {
        let place = &self.at_hand[(busy / SHARE).min(self.at_hand.len() - 1)];
        match place.load_full() {
            Some(line) if !line.is_condemned() => Ok(line),
            _ => {
                let line = Arc::new(Box::pin(self.draw()).await?);
                place.store(Some(Arc::clone(&line)));
                Ok(line)
            }
        }
    }

    async fn draw(&self) -> Result<Line, Failure> {
        // Each condemned one that is drawn leaves the pool by that.
        for _ in 0..=self.at_hand.len() {
            let has_failed = self.state.has_failed.notified();
            let line = tokio::select! {
                biased;
                line = self.pool.get() => line.map_err(|_| self.unreachable())?.clone(),
                () = has_failed => return Err(self.unreachable()),
            };
            if !line.is_condemned() {
                return Ok(line);
            }
        }
        Err(self.unreachable())
    }

    /// Why there is no connection.
    pub(crate) fn unreachable(&self) -> Failure {
        let last = self.state.last_failure.lock().unwrap_or_else(PoisonError::into_inner);
        last.clone().unwrap_or_else(|| Failure::Unreachable("no connection was made in time".to_owned()))
    }

    pub(crate) fn statistics(&self) -> ConnectionStatistics {
        let state = self.pool.state();
        ConnectionStatistics {
            open: state.connections,
            made: read(&self.state.made),
            failed: read(&self.state.failed),
            condemned: read(&self.state.condemned),
            suspected: 0,
            waits: state.statistics.get_waited + state.statistics.get_timed_out,
            wait_time: state.statistics.get_wait_time,
        }
    }
}

impl Line {
    /// Nobody gets it again. What is under way on it ends as it may.
    pub(crate) fn condemn(&self) {
        if !self.health.condemned.swap(true, Ordering::Relaxed) {
            count(&self.health.pool.condemned);
        }
    }

    /// It broke, or led to a server that changed its part. What did that to one connection did it to all of that time: they look alive until
    /// somebody uses them, and nobody should have to.
    pub(crate) fn broke(&self) {
        self.condemn();
        let outages = &self.health.pool.outages;
        // Who finds the next of them broken tells nothing new.
        let _ =
            outages.compare_exchange(self.health.outage, self.health.outage + 1, Ordering::Relaxed, Ordering::Relaxed);
    }

    /// It gave no answer in time. One that does so again and again leads to nobody.
    pub(crate) fn was_silent(&self) {
        if self.health.silences.fetch_add(1, Ordering::Relaxed) + 1 >= MAX_SILENCES {
            self.condemn();
        }
    }

    /// It gave an answer.
    pub(crate) fn answered(&self) {
        if self.health.silences.load(Ordering::Relaxed) != 0 {
            self.health.silences.store(0, Ordering::Relaxed);
        }
    }

    fn is_condemned(&self) -> bool {
        self.health.condemned.load(Ordering::Relaxed)
            || self.health.outage < self.health.pool.outages.load(Ordering::Relaxed)
    }
}

impl bb8::ManageConnection for Manager {
    type Connection = Line;
    type Error = RedisError;

    async fn connect(&self) -> Result<Line, RedisError> {
        let outage = self.state.outages.load(Ordering::Relaxed);
        let made = self.connector.connect().await;
        let failure = made.as_ref().err().map(Failure::of);
        *self.state.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
        match made {
            Ok(link) => {
                count(&self.state.made);
                let pool = Arc::clone(&self.state);
                let health = Health { pool, outage, condemned: AtomicBool::new(false), silences: AtomicU32::new(0) };
                Ok(Line { link, health: Arc::new(health) })
            }
            Err(error) => {
                count(&self.state.failed);
                self.state.has_failed.notify_waiters();
                Err(error)
            }
        }
    }

    /// Never asked: nothing is tested at checkout.
    async fn is_valid(&self, _: &mut Line) -> Result<(), RedisError> {
        Ok(())
    }

    fn has_broken(&self, line: &mut Line) -> bool {
        line.is_condemned()
    }
}
