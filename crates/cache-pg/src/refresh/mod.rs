//! Refreshes: by one elected instance, on a schedule and on demand, with a time limit, while nobody waits.
//!
//! Invariants:
//! - `as_of` is the stamp of the very snapshot from which the view is filled, or of an earlier one: see [`run`].
//! - A refresh that fails changes nothing. The view gets older, which costs hits and no answer.
//! - A refresh that was begun ends by itself, within its limit, also where whoever asked for it is gone: its lock is always given back.

mod health;
mod run;
mod schedule;
mod sweep;

use std::sync::Arc;
use std::time::Duration;

use cache_core::{Clock, Entropy, Stamp};
use tokio::sync::watch;

use health::Record;
pub use health::ViewHealth;

use crate::views::Views;
use crate::{ConfigError, RefreshConfig};
use pg_log::{PgError, PgErrorKind};

/// What became of a refresh.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Refreshed {
    /// The view was refreshed here.
    Done {
        /// Every change below is in it.
        as_of: Stamp,
        /// How long it took.
        took: Duration,
    },
    /// Another instance is refreshing it, or this one is.
    Elsewhere,
    /// It is young enough. Only the schedule finds that: on demand it is refreshed all the same.
    Young,
}

/// Refreshes the views of one process.
pub struct Refresher {
    shared: Arc<Shared>,
    schedule: watch::Sender<Schedule>,
}

/// Whether views are refreshed without being asked to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Schedule {
    Kept,
    Paused,
    Ended,
}

/// What tasks share.
pub(crate) struct Shared {
    views: Views,
    config: RefreshConfig,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    /// One for each view.
    records: Box<[Record]>,
}

impl Refresher {
    pub(crate) fn new(
        views: Views,
        config: RefreshConfig,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, ConfigError> {
        config.validate()?;
        for known in views.all() {
            let keeps = known.view.every.saturating_mul(3).as_millis() <= u128::from(config.keep_ms);
            let setting = format!("the interval of the view {:?}", known.view.name);
            ConfigError::check(keeps, setting, format!("{:?}", known.view.every), "at most a third of keep_ms")?;
        }
        let records = views.all().iter().map(|_| Record::new(clock.now())).collect();
        let shared = Arc::new(Shared { views, config, clock, entropy, records });
        Ok(Self { shared, schedule: watch::Sender::new(Schedule::Kept) })
    }

    /// Keeps the views young from now on: a task for each, which ends with [`Self::stop`] or with this value. Call it once, after the
    /// views were migrated; what can't be reached is tried again at the next interval.
    pub fn start(&self) {
        for view in 0..self.shared.views.all().len() {
            tokio::spawn(schedule::run(Arc::clone(&self.shared), view, self.schedule.subscribe()));
        }
    }

    /// Refreshes one view now, however young it is.
    ///
    /// # Errors
    /// Where there is no such view, or the refresh fails or takes longer than it may.
    pub async fn refresh_now(&self, view: &str) -> Result<Refreshed, PgError> {
        match self.shared.views.position(view) {
            Some(view) => self.shared.refresh(view, None).await,
            None => Err(PgError::new(
                PgErrorKind::Config,
                "refresh a view",
                format!("there is no view {view:?}; there are {:?}", self.shared.views.names().collect::<Vec<_>>()),
            )),
        }
    }

    /// How the views are.
    #[must_use]
    pub fn health(&self) -> Vec<ViewHealth> {
        let Shared { views, config, clock, records, .. } = &*self.shared;
        let all = views.all().iter().zip(records);
        all.map(|(known, record)| record.health(&known.view, config, clock.now())).collect()
    }

    /// Begins no scheduled refresh until [`Self::resume`]: for as long as nobody looks anything up in the views. Those that run come to their end.
    pub fn pause(&self) {
        self.put(Schedule::Kept, Schedule::Paused);
    }

    /// Goes on with the schedule, at once where a view is too old.
    pub fn resume(&self) {
        self.put(Schedule::Paused, Schedule::Kept);
    }

    /// Begins no further refresh. Those that run come to their end.
    pub fn stop(&self) {
        self.schedule.send_replace(Schedule::Ended);
    }

    fn put(&self, from: Schedule, to: Schedule) {
        self.schedule.send_if_modified(|schedule| {
            let changes = *schedule == from;
            if changes {
                *schedule = to;
            }
            changes
        });
    }
}

impl Drop for Refresher {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    /// Refreshes a view, in a task of its own: whoever waits for it may leave.
    async fn refresh(
        self: &Arc<Self>,
        view: usize,
        unless_younger_than: Option<Duration>,
    ) -> Result<Refreshed, PgError> {
        let task = tokio::spawn(run::refresh(Arc::clone(self), view, unless_younger_than));
        task.await.unwrap_or_else(|error| {
            Err(PgError::new(PgErrorKind::Unavailable, "refresh a view", format!("its task ended early: {error}")))
        })
    }
}

impl std::fmt::Debug for Refresher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Refresher").field("views", &self.shared.views).finish_non_exhaustive()
    }
}
