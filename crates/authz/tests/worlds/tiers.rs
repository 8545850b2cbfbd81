//! Tiers on real servers for random worlds, and what happens to them between two questions: none of it may change an answer.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use authz::decide::{CachedValue, DecisionPoint, DecisionPointBuilder};
use cache_core::{Clock, SystemEntropy};
use cache_redis::{BreakerConfig, Keyring, Machine, RedisConfig, RedisLayer, WallClock};
use fastrand::Rng;
use test_services::{Redis, RedisOptions};

use super::postgres::Database;

/// Which tiers a world has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Which {
    pub(crate) l1: bool,
    pub(crate) l2: bool,
    pub(crate) l3: bool,
}

impl Which {
    /// Memory alone: what a world has where nobody says otherwise.
    pub(crate) const MEMORY: Self = Self { l1: true, l2: false, l3: false };

    pub(crate) fn draw(rng: &mut Rng) -> Self {
        let all = [(true, true), (false, true), (true, true), (true, false)];
        let (l1, l2) = all[rng.usize(..all.len())];
        Self { l1, l2, l3: false }
    }
}

/// What befalls the tiers between two questions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    /// Redis forgets everything.
    Flushed,
    /// Redis closes every connection.
    Disconnected,
    /// Redis dies, and is there again with the next fault.
    Killed,
    /// The views are refreshed.
    Refreshed,
    /// PostgreSQL ends every connection.
    Cut,
    /// A tier is switched off, or on again.
    Switched(&'static str),
    /// Memory is given back.
    Cleared,
    /// The process ends and starts again: memory is empty, Redis is not.
    Restarted,
}

impl Fault {
    /// What may befall a world, in PostgreSQL or not.
    fn draw(rng: &mut Rng, in_postgres: bool) -> Option<Self> {
        Some(match rng.u8(..if in_postgres { 28 } else { 20 }) {
            0 => Self::Flushed,
            1 => Self::Disconnected,
            2 => Self::Killed,
            3 => Self::Switched("l1"),
            4 => Self::Switched("l2"),
            5 => Self::Cleared,
            6..=8 => Self::Restarted,
            20..=25 => Self::Refreshed,
            26 => Self::Cut,
            27 => Self::Switched("l3"),
            _ => return None,
        })
    }
}

/// The servers of one run of worlds.
pub(crate) struct Servers {
    redis: Redis,
    keyring: Keyring,
    is_killed: Mutex<bool>,
    /// What happened, to show that something did.
    pub(crate) faults: AtomicUsize,
    pub(crate) restarts: AtomicUsize,
    pub(crate) redis_hits: AtomicUsize,
    pub(crate) view_hits: AtomicUsize,
}

/// The wall clock of a world.
struct Wall(Arc<dyn authz::store::WallClock>);

impl WallClock for Wall {
    fn unix_millis(&self) -> u64 {
        self.0.unix_millis()
    }
}

impl Servers {
    /// None, and a line that says so, where there is no Redis.
    pub(crate) fn start() -> Option<Self> {
        Some(Self {
            redis: Redis::start(&RedisOptions::default())?,
            keyring: Keyring::random().expect("the system has randomness"),
            is_killed: Mutex::new(false),
            faults: AtomicUsize::new(0),
            restarts: AtomicUsize::new(0),
            redis_hits: AtomicUsize::new(0),
            view_hits: AtomicUsize::new(0),
        })
    }

    /// The tier in Redis, under a world's clocks.
    pub(crate) fn layer(
        &self,
        clock: Arc<dyn Clock>,
        wall: Arc<dyn authz::store::WallClock>,
    ) -> RedisLayer<CachedValue> {
        // Time stands still unless a world moves it, so that neither may wait for it.
        let breaker = BreakerConfig { minimum_calls: 1_000_000, ..BreakerConfig::default() };
        let config = RedisConfig { breaker, ..RedisConfig::at(self.redis.url()) };
        let machine =
            Machine { clock, wall: Arc::new(Wall(wall)), entropy: Arc::new(SystemEntropy), ..Machine::default() };
        RedisLayer::new(&config, &self.keyring, machine).expect("the settings are within their bounds")
    }

    pub(crate) fn add(
        &self,
        which: Which,
        builder: DecisionPointBuilder,
        clock: Arc<dyn Clock>,
        wall: Arc<dyn authz::store::WallClock>,
    ) -> DecisionPointBuilder {
        if which.l2 { builder.tier(self.layer(clock, wall)) } else { builder }
    }

    /// Lets something happen, or not. Says whether the process is to be started anew.
    pub(crate) async fn befall(
        &self,
        rng: &mut Rng,
        point: &DecisionPoint,
        database: Option<&Database>,
    ) -> Option<Fault> {
        {
            let mut is_killed = self.is_killed.lock().unwrap_or_else(PoisonError::into_inner);
            if std::mem::take(&mut *is_killed) {
                self.redis.restart().expect("it starts again");
            }
        }
        let fault = Fault::draw(rng, database.is_some())?;
        match fault {
            // A world beside this one may have killed it meanwhile: then it forgets and disconnects as well.
            Fault::Flushed => _ = self.redis.command(&["FLUSHALL"]),
            Fault::Disconnected => _ = self.redis.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]),
            Fault::Killed => {
                let mut is_killed = self.is_killed.lock().unwrap_or_else(PoisonError::into_inner);
                self.redis.kill();
                *is_killed = true;
            }
            Fault::Refreshed => {
                if let Some(database) = database {
                    database.refresh().await;
                }
            }
            Fault::Cut => {
                if let Some(database) = database {
                    database.disconnect().await;
                }
            }
            Fault::Switched(name) => {
                point.switch_tier(name, rng.bool());
            }
            Fault::Cleared => drop(point.chain().clear_tiers().await),
            Fault::Restarted => _ = self.restarts.fetch_add(1, Ordering::Relaxed),
        }
        self.faults.fetch_add(1, Ordering::Relaxed);
        Some(fault)
    }

    /// Adds what a decision point found in Redis and in views, before it goes.
    pub(crate) fn count(&self, point: &DecisionPoint) {
        let tiers = point.statistics().tiers;
        for (name, count) in [("l2", &self.redis_hits), ("l3", &self.view_hits)] {
            let hits = tiers.iter().find(|tier| tier.name == name).map_or(0, |tier| tier.hits());
            count.fetch_add(usize::try_from(hits).unwrap_or(usize::MAX), Ordering::Relaxed);
        }
    }
}
