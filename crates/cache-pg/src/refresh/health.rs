//! How a view is: how old, how often refreshed, what failed.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use cache_core::Moment;

use super::Refreshed;
use crate::{RefreshConfig, View};
use pg_log::PgError;

/// How a view is, as far as this process knows.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ViewHealth {
    /// Its name.
    pub view: String,
    /// How old its content is; none where it was never refreshed, or this process has not asked yet.
    pub age: Option<Duration>,
    /// Refreshes of this process.
    pub refreshed: u64,
    /// How often another instance was refreshing it.
    pub elsewhere: u64,
    /// How often the schedule found it young enough.
    pub young: u64,
    /// Refreshes of this process that failed.
    pub failed: u64,
    /// How many failed since the last one that did not.
    pub failed_in_a_row: u64,
    /// What the last failure said; none where the last refresh did not fail.
    pub trouble: Option<String>,
    /// How long the last refresh of this process took.
    pub took: Option<Duration>,
    /// Whether it is too old: fewer and fewer of its rows can be used, and somebody should look.
    pub is_too_old: bool,
}

/// What is noted of one view.
pub(super) struct Record(Mutex<Noted>);

struct Noted {
    began: Moment,
    /// The age that the database told, and when.
    age: Option<(Duration, Moment)>,
    refreshed: u64,
    elsewhere: u64,
    young: u64,
    failed: u64,
    failed_in_a_row: u64,
    trouble: Option<String>,
    took: Option<Duration>,
}

impl Record {
    pub(super) fn new(now: Moment) -> Self {
        Self(Mutex::new(Noted {
            began: now,
            age: None,
            refreshed: 0,
            elsewhere: 0,
            young: 0,
            failed: 0,
            failed_in_a_row: 0,
            trouble: None,
            took: None,
        }))
    }

    fn with<T>(&self, note: impl FnOnce(&mut Noted) -> T) -> T {
        note(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes how old the content is, by the database's clock.
    pub(super) fn age(&self, age: Option<Duration>, now: Moment) {
        if let Some(age) = age {
            self.with(|noted| noted.age = Some((age, now)));
        }
    }

    /// Notes how a refresh ended that began at `began`.
    pub(super) fn ended(&self, result: &Result<Refreshed, PgError>, began: Moment) {
        self.with(|noted| match result {
            Ok(Refreshed::Done { took, .. }) => {
                noted.refreshed += 1;
                noted.failed_in_a_row = 0;
                noted.trouble = None;
                noted.took = Some(*took);
                noted.age = Some((Duration::ZERO, began));
            }
            Ok(Refreshed::Elsewhere) => noted.elsewhere += 1,
            // It is young: whatever went wrong here, somebody's refresh did not.
            Ok(Refreshed::Young) => {
                noted.young += 1;
                noted.failed_in_a_row = 0;
                noted.trouble = None;
            }
            Err(error) => {
                noted.failed += 1;
                noted.failed_in_a_row += 1;
                noted.trouble = Some(error.to_string());
            }
        });
    }

    pub(super) fn health(&self, view: &View, config: &RefreshConfig, now: Moment) -> ViewHealth {
        self.with(|noted| {
            let age = noted.age.map(|(age, at)| age + now.since(at));
            let bound = view.every.saturating_mul(config.alarm_intervals) + view.limit;
            ViewHealth {
                view: view.name.clone(),
                age,
                refreshed: noted.refreshed,
                elsewhere: noted.elsewhere,
                young: noted.young,
                failed: noted.failed,
                failed_in_a_row: noted.failed_in_a_row,
                trouble: noted.trouble.clone(),
                took: noted.took,
                is_too_old: age.unwrap_or(now.since(noted.began)) > bound,
            }
        })
    }
}
