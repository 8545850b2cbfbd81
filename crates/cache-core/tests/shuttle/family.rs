//! The synchronisation, the clock and the runner of the exploration.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cache_core::sync::{Counter, Exclusive, Shared, SyncFamily};
use cache_core::{BoxFuture, Clock, Mistake, Moment};
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::sync::atomic::{AtomicU64, Ordering};
use shuttle::{Config, Runner};

/// Primitives at which the scheduler may switch to another task.
#[derive(Debug)]
pub(crate) struct ShuttleSync;

impl SyncFamily for ShuttleSync {
    type Counter = Count;
    type Exclusive<T: Send + 'static> = Lock<T>;
    type Shared<T: Send + Sync + 'static> = ReadWrite<T>;
}

#[derive(Debug)]
pub(crate) struct Count(AtomicU64);

impl Counter for Count {
    fn new(value: u64) -> Self {
        Self(AtomicU64::new(value))
    }

    fn load(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    fn store(&self, value: u64) {
        self.0.store(value, Ordering::Release);
    }

    fn fetch_add(&self, by: u64) -> u64 {
        self.0.fetch_add(by, Ordering::AcqRel)
    }

    fn fetch_max(&self, to: u64) -> u64 {
        self.0.fetch_max(to, Ordering::AcqRel)
    }
}

pub(crate) struct Lock<T>(shuttle::sync::Mutex<T>);

impl<T: Send + 'static> Exclusive<T> for Lock<T> {
    fn new(value: T) -> Self {
        Self(shuttle::sync::Mutex::new(value))
    }

    fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

pub(crate) struct ReadWrite<T>(shuttle::sync::RwLock<T>);

impl<T: Send + Sync + 'static> Shared<T> for ReadWrite<T> {
    fn new(value: T) -> Self {
        Self(shuttle::sync::RwLock::new(value))
    }

    fn read<R>(&self, f: impl FnOnce(&T) -> R) -> R {
        f(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        f(&mut self.0.write().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Time stands still: nobody's patience ends, no value does.
pub(crate) struct Still;

impl Clock for Still {
    fn now(&self) -> Moment {
        Moment::from_millis(1)
    }

    fn sleep(&self, _: Duration) -> BoxFuture<'static, ()> {
        Box::pin(std::future::pending())
    }
}

/// The schedules of one scheduler.
const SCHEDULES: usize = 5_000;
/// The time that one scheduler may take. The number of schedules is the aim, this is the bound.
const MAX_TIME: Duration = Duration::from_secs(4);
/// The seed from which schedules are drawn, so that a run can be had again; `SHUTTLE_RANDOM_SEED` gives another one.
const SEED: u64 = 0x7469_6572;

/// A planted mistake is a mistake of the whole process, so that explorations take turns.
static TURN: Mutex<()> = Mutex::new(());

/// Runs a scenario under many schedules. The seed or the schedule of a failure is printed.
pub(crate) fn holds(scenario: fn()) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    explore(scenario);
}

/// Runs a scenario with a mistake in the product, and demands that it fails for the reason that it checks.
pub(crate) fn finds(mistake: Mistake, scenario: fn()) {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let planted = cache_core::plant(mistake);
    let outcome = catch_unwind(AssertUnwindSafe(|| explore(scenario)));
    drop(planted);
    let Err(payload) = outcome else { panic!("{mistake:?} was planted and not found") };
    let message = payload
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| payload.downcast_ref::<&str>().copied())
        .unwrap_or("(no message)");
    assert!(message.contains(super::world::FOUND), "{mistake:?} made something else fail: {message}");
}

fn explore(scenario: fn()) {
    let mut config = Config::new();
    config.max_time = Some(MAX_TIME);
    config.silence_warnings = true;
    Runner::new(RandomScheduler::new_from_seed(SEED, SCHEDULES), config.clone()).run(scenario);
    // Few preemptions, each at a place that is drawn: finds what takes one switch at exactly one place of a long run.
    Runner::new(PctScheduler::new_from_seed(SEED, 4, SCHEDULES), config).run(scenario);
}
