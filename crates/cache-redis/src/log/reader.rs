//! The task that reads the log, on a connection that nobody else has.
//!
//! It joins, reads what it has missed, and then waits for what comes; at every heartbeat it asks whether the log is still the same. Whatever fails ends
//! the connection, and it starts over from where it stood. Nothing that it does depends on how long it was away: see `state`.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use cache_core::{Clock, Entropy, Kill, Moment, SystemEntropy};

use super::PLACE;
use super::config::LogConfig;
use super::limit::limited;
use super::state::{Lost, State};
use super::step::{Answer, Names, Operation, PAGE, Step, page, tail};
use crate::connect::{Connector, Link};
use crate::error::Failure;

/// The shortest wait between two tries to reach Redis.
const MIN_BACKOFF: Duration = Duration::from_millis(10);

/// What the task needs.
pub(super) struct Reader {
    pub(super) state: Arc<State>,
    pub(super) connector: Arc<Connector>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) names: Names,
    pub(super) config: LogConfig,
    /// How long one read waits for records.
    pub(super) patience: Duration,
}

impl Reader {
    /// Reads until it is aborted.
    pub(super) async fn run(self) -> Infallible {
        let mut backoff = MIN_BACKOFF;
        loop {
            let joins = self.state.status().borrow().joins;
            let Err(failure) = self.session().await;
            tracing::debug!(failure = %failure, address = self.connector.address(), "the log's connection was lost");
            self.state.failed(failure.into_error(PLACE, "read", self.connector.address()));
            let longest = Duration::from_millis(self.config.max_backoff_ms).max(MIN_BACKOFF);
            let joined = self.state.status().borrow().joins > joins;
            backoff = if joined { MIN_BACKOFF } else { (backoff * 2).min(longest) };
            // Between half of it and the whole, so that instances don't come back in step.
            let jitter = SystemEntropy.next() % (backoff.as_millis() as u64 / 2 + 1);
            self.clock.sleep(backoff - Duration::from_millis(jitter)).await;
        }
    }

    /// One connection, until it fails.
    async fn session(&self) -> Result<Infallible, Failure> {
        let mut link = self.connector.connect().await.map_err(|error| Failure::of(&error))?;
        let mut operation = Operation::Look;
        loop {
            let asked_at = self.clock.now();
            let answer = self.step(&mut link, operation).await?;
            self.state.enter(&answer, asked_at);
            operation = match self.follow(&mut link, answer).await? {
                Lost::Epoch => Operation::Look,
                Lost::Records => Operation::Begin,
            };
        }
    }

    /// Reads one epoch, until it is lost.
    async fn follow(&self, link: &mut Link, answer: Answer) -> Result<Lost, Failure> {
        let mut asked_at = loop {
            let asked_at = self.clock.now();
            let records = self.answered(page(&self.names, link, self.state.place().applied)).await?;
            let Some(records) = records else { return Ok(Lost::Records) };
            let full = records.len() == PAGE;
            if let Err(lost) = self.state.take(records) {
                return Ok(lost);
            }
            if !full {
                break asked_at;
            }
        };
        self.state.settle(answer.last);
        let mut looked_at = asked_at;
        loop {
            while !self.state.trust(asked_at) {
                // The floor is above everything that was ever appended. Without a record above it nothing could be cached until the next change.
                let answer = self.step(link, Operation::Append(&Kill::encode_all(&[]))).await?;
                if Some(answer.epoch) != self.state.place().epoch {
                    return Ok(Lost::Epoch);
                }
                self.state.enter(&answer, asked_at);
            }
            let now = self.clock.now();
            let waited = tail(&self.names, link, self.state.place().applied, self.patience);
            let limit = self.patience + self.config.answer_timeout();
            let Some(records) = limited(&*self.clock, limit, waited).await? else { return Ok(Lost::Records) };
            let full = records.len() == PAGE;
            let silent = records.is_empty();
            if let Err(lost) = self.state.take(records) {
                return Ok(lost);
            }
            if full {
                continue;
            }
            if silent || self.clock.now().since(looked_at) >= self.config.heartbeat() {
                looked_at = self.clock.now();
                let answer = self.step(link, Operation::Look).await?;
                if Some(answer.epoch) != self.state.place().epoch {
                    return Ok(Lost::Epoch);
                }
                self.state.enter(&answer, looked_at);
                // Only now: whether what was silent is still the same log was not known before.
                asked_at = now;
            }
        }
    }

    async fn step(&self, link: &mut Link, operation: Operation<'_>) -> Result<Answer, Failure> {
        let place = self.state.place();
        let step = Step {
            operation,
            epoch: place.epoch,
            known: place.seen,
            above: place.floor.max(place.seen),
            retained: self.config.retained_records,
        };
        self.answered(step.take(&self.names, link)).await
    }

    async fn answered<T>(&self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        limited(&*self.clock, self.config.answer_timeout(), work).await
    }
}

/// Watches the silence of the log, apart from the task that reads: that one may hang.
pub(super) async fn watch(state: Arc<State>, clock: Arc<dyn Clock>, longest: Duration) -> Infallible {
    loop {
        let now: Moment = clock.now();
        clock.sleep(state.watch(now).unwrap_or(longest)).await;
    }
}
