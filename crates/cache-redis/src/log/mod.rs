//! The invalidation log on Redis Streams, for whoever has the tiers and no other log.
//!
//! Invariants:
//! - A change is committed at its origin first and appended after. One script appends; the ids of the stream are the revisions.
//! - Each record names the one before it, so that a reader sees every gap, and how far it reaches. What was missed is killed whole.
//! - A log that may have lost records is another log: a new epoch, under another identity. That is so after every restart and every failover of
//!   Redis, after the stream was emptied or evicted, and where a record that was read is gone.
//! - An instance that hears nothing for [`LogConfig::max_silence_ms`] serves nothing from any tier until it hears again.
//!
//! # What is promised, and what is not
//!
//! An invalidation is in force at the instance that appended it when [`Chain::invalidate`](cache_core::Chain::invalidate) returns, and for every load and every
//! fill that was under way there. At the other instances it is in force as soon as the record reaches them, within a millisecond or so on a quiet network; nobody waits for
//! that. An instance that is cut off from Redis serves what it has for `max_silence_ms` at most, counted from its last question to the log that was answered; the bound
//! is kept by a task on this process's runtime and its monotonic clock, so that a process which was stopped or suspended may serve from its tiers for the
//! moment that this task needs to run. There are no leases here that would make it strict.
//!
//! Redis acknowledges an append before its replicas have it. What a failover loses is lost: the change stays committed at the origin, its record
//! never comes, and every instance takes everything that it has for killed once it sees the new primary, which is what repairs it. Until an
//! instance sees it, it serves what it has, and while an isolated old primary still answers, the instances that talk to it hear nothing of what is appended at
//! the new one; `min-replicas-to-write` bounds that. For more than this, use a log that commits with the origin.

mod config;
mod id;
mod limit;
#[cfg(test)]
mod model;
mod reader;
mod record;
mod state;
mod status;
mod step;
mod writer;

use std::convert::Infallible;
use std::sync::{Arc, Weak};

use async_trait::async_trait;
use cache_core::{
    Clock, Delta, Error, ErrorKind, Identity, Kill, KillSink, Log, Position, Revision, Stamp, SystemClock,
};
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use config::{DEFAULT_LOG_NAME, LogConfig, MAX_LOG_NAME_BYTES};
pub use status::LogStatus;

use crate::config::RedisConfig;
use crate::connect::{Connector, Link};
use crate::error::{ConfigError, Failure};
use reader::Reader;
use state::State;
use step::{Names, Operation, PAGE, Step, page};
use writer::Writer;

/// The name of the log in errors.
const PLACE: &str = "redis log";
/// The bytes of a position: the epoch, and the last revision that was applied.
const POSITION_BYTES: usize = 24;

/// The invalidation log on Redis Streams. See the [module](self) for what it promises.
pub struct RedisLog {
    state: Arc<State>,
    writer: Writer,
    names: Names,
    config: LogConfig,
    /// They end with the log.
    _tasks: JoinSet<Infallible>,
}

impl RedisLog {
    /// Joins the log of a Redis: when this returns, everything that the log retains has been read.
    ///
    /// # Errors
    /// Where a setting is out of its bounds, or Redis can't be reached now. [`RedisLog::open`] does not wait for it.
    pub async fn connect(redis: &RedisConfig, config: LogConfig) -> Result<Arc<Self>, Error> {
        let log = Self::open(redis, config, Arc::new(SystemClock))
            .map_err(|error| Error::new(ErrorKind::Unsupported, PLACE, "connect", error.to_string()))?;
        log.joined().await?;
        Ok(log)
    }

    /// Begins to join the log, and goes on trying for as long as it lives. Until it has joined, nothing is cached. Needs tokio's runtime.
    ///
    /// # Errors
    /// Where a setting is out of its bounds.
    pub fn open(redis: &RedisConfig, config: LogConfig, clock: Arc<dyn Clock>) -> Result<Arc<Self>, ConfigError> {
        config.validate()?;
        let connector = Arc::new(Connector::new(redis)?);
        let names = Names::new(&redis.namespace, &config.name);
        let state = Arc::new(State::new(&config));
        // The cluster client has a limit of its own for every answer, and keeps to it also where it is asked to block.
        let patience = match connector.is_cluster() {
            true => config.heartbeat().min(redis.connect_timeout() / 2),
            false => config.heartbeat(),
        };
        let mut tasks = JoinSet::new();
        let reader = Reader {
            state: Arc::clone(&state),
            connector: Arc::clone(&connector),
            clock: Arc::clone(&clock),
            names: names.clone(),
            config: config.clone(),
            patience,
        };
        tasks.spawn(reader.run());
        tasks.spawn(reader::watch(Arc::clone(&state), Arc::clone(&clock), config.max_silence()));
        let writer = Writer::new(connector, clock, names.clone(), config.clone());
        Ok(Arc::new(Self { state, writer, names, config, _tasks: tasks }))
    }

    /// Waits until the log is joined.
    ///
    /// # Errors
    /// What the first try failed with, if it fails before.
    pub async fn joined(&self) -> Result<(), Error> {
        let status = self.until(|status| status.identity.is_some() || status.failures > 0).await;
        match (status.identity, status.last_error) {
            (None, Some(error)) => Err(error),
            _ => Ok(()),
        }
    }

    /// The state of the log.
    #[must_use]
    pub fn status(&self) -> LogStatus {
        self.state.status().borrow().clone()
    }

    /// The state of the log, and all that follow.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<LogStatus> {
        self.state.status().subscribe()
    }

    /// Waits until the state of the log is such that `reached`, and returns it.
    pub async fn until(&self, reached: impl FnMut(&LogStatus) -> bool) -> LogStatus {
        // The sender lives as long as `self`.
        match self.watch().wait_for(reached).await {
            Ok(status) => status.clone(),
            Err(_) => self.status(),
        }
    }

    /// What this instance has applied.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        let place = self.state.place();
        place.epoch.map(|epoch| position(epoch, place.applied))
    }

    fn step<'a>(&self, operation: Operation<'a>) -> Step<'a> {
        let place = self.state.place();
        Step {
            operation,
            epoch: place.epoch,
            known: place.seen,
            above: place.floor.max(place.seen),
            retained: self.config.retained_records,
        }
    }

    /// Everything after a revision of an epoch; where that is not the epoch any more, or something is missing, with a floor.
    async fn delta(&self, mut link: Link, after: Option<(Identity, Revision)>) -> Result<Delta, Failure> {
        let answer = self.step(Operation::Look).take(&self.names, &mut link).await?;
        let mut last = match after {
            Some((epoch, last)) if epoch == answer.epoch => last,
            Some((_, last)) => {
                let floor = Some(answer.last.max(last));
                return Ok(Delta { changes: Vec::new(), floor, position: position(answer.epoch, answer.last) });
            }
            None => Revision::ZERO,
        };
        let (mut changes, mut floor) = (Vec::new(), None);
        loop {
            let records = page(&self.names, &mut link, last).await?.ok_or(Failure::Protocol)?;
            let full = records.len() == PAGE;
            for record in records {
                // Written by other means, or another log meanwhile: whoever asks again learns what it has become.
                let content =
                    record.content.filter(|content| content.epoch == answer.epoch).ok_or(Failure::Protocol)?;
                if content.previous != last {
                    floor = Some(content.previous.max(last));
                }
                let kills = Kill::decode_all(&content.kills, &self.config.types);
                changes.push((record.revision, kills.into()));
                last = record.revision;
            }
            if !full {
                return Ok(Delta { changes, floor, position: position(answer.epoch, last) });
            }
        }
    }
}

#[async_trait]
impl Log for RedisLog {
    fn identity(&self) -> Option<Identity> {
        self.state.status().borrow().identity
    }

    fn stamp(&self) -> Stamp {
        self.state.stamp()
    }

    fn attach(&self, sink: Weak<dyn KillSink>) {
        self.state.attach(sink);
    }

    async fn append(&self, kills: Vec<Kill>) -> Result<Revision, Error> {
        let (kills, encoded) = match Kill::encode_all(&kills) {
            large if large.len() > self.config.max_record_bytes => (vec![Kill::All], Kill::encode_all(&[Kill::All])),
            encoded => (kills, encoded),
        };
        let answer = self.writer.step(self.step(Operation::Append(&encoded))).await?;
        self.state.appended(&answer, &kills, encoded);
        Ok(answer.last)
    }

    async fn read(&self, after: Option<&Position>) -> Result<Delta, Error> {
        let after = after.map(parsed).transpose()?;
        self.writer.with_link("read", |link| self.delta(link, after)).await
    }

    fn covers(&self, position: &Position, revision: Revision) -> bool {
        let epoch = self.state.place().epoch;
        parsed(position).is_ok_and(|(of, last)| Some(of) == epoch && revision <= last)
    }
}

impl std::fmt::Debug for RedisLog {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisLog")
            .field("names", &self.names)
            .field("place", &self.state.place())
            .finish_non_exhaustive()
    }
}

fn position(epoch: Identity, applied: Revision) -> Position {
    Position::from_bytes([&epoch.0[..], &applied.get().to_be_bytes()].concat())
}

fn parsed(position: &Position) -> Result<(Identity, Revision), Error> {
    let other =
        || Error::new(ErrorKind::Unsupported, PLACE, "read", "the position was written by a log of another kind");
    let bytes: [u8; POSITION_BYTES] = position.as_bytes().try_into().map_err(|_| other())?;
    let (epoch, applied) = bytes.split_at(16);
    let epoch = Identity(epoch.try_into().map_err(|_| other())?);
    Ok((epoch, Revision::new(u64::from_be_bytes(applied.try_into().map_err(|_| other())?))))
}
