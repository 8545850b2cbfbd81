//! What this process knows of the log, and the rules by which it learns.
//!
//! Invariants, all of them under one lock:
//! - A kill is applied to every sink before the position that contains it is shown, and before its writer gets an answer.
//! - What was missed, or can't be known, is killed whole: the floor of every sink rises past it.
//! - Stamps are given while the log is trusted. At any other time every value is older than every kill, and tiers that outlive the process
//!   are bound to an identity that nobody has.
//! - A stamp claims no more than was committed before it was given: a record is appended after its change, so that whoever has seen a record
//!   reads a state with its change, and with those of all records before it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, Weak};
use std::time::Duration;

use cache_core::{CacheType, Kill, KillSink, Moment, Revision, Stamp};
use tokio::sync::{Notify, watch};

use super::config::LogConfig;
use super::id;
use super::known::{Known, Place};
use super::record::Record;
use super::status::LogStatus;
use super::step::{Answer, LEAP_MS};

/// What this process knows of the log.
pub(super) struct State {
    known: Mutex<Known>,
    /// The stamp of a read that begins now; read by every ticket, hence outside of the lock.
    stamp: AtomicU64,
    status: watch::Sender<LogStatus>,
    /// An append has found another log than the one that is read.
    doubt: Notify,
    types: Vec<CacheType>,
    max_silence: Duration,
}

/// Why reading can't go on where it stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Lost {
    /// Another epoch has begun.
    Epoch,
    /// Records that were read are not there any more, or others than the log's own are there, in the same epoch: it must end.
    Records,
}

/// Whether the log is trusted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Trust {
    /// It is.
    Given,
    /// The floor is above everything that was ever appended: without a record above it nothing could be cached until the next change.
    NeedsRecord,
    /// Appends go to another log than the one that is read.
    Doubted,
}

impl State {
    pub(super) fn new(config: &LogConfig) -> Self {
        Self {
            known: Mutex::new(Known::new(config)),
            stamp: AtomicU64::new(Stamp::OLDEST.get()),
            status: watch::Sender::new(LogStatus::default()),
            doubt: Notify::new(),
            types: config.types.clone(),
            max_silence: config.max_silence(),
        }
    }

    pub(super) fn stamp(&self) -> Stamp {
        Stamp::new(self.stamp.load(Ordering::Acquire))
    }

    pub(super) fn status(&self) -> &watch::Sender<LogStatus> {
        &self.status
    }

    /// Where reading stands.
    pub(super) fn place(&self) -> Place {
        self.with(|known| known.place())
    }

    /// Tells a newcomer everything that is retained, and from now on everything that comes.
    pub(super) fn attach(&self, sink: Weak<dyn KillSink>) {
        let Some(newcomer) = sink.upgrade() else { return };
        self.with(|known| {
            if known.floor > Revision::ZERO {
                newcomer.apply(known.floor, &[Kill::All]);
            }
            for (revision, kills) in &known.retained {
                newcomer.apply(*revision, &Kill::decode_all(kills, &self.types));
            }
            // Last: what tiers hold from before is looked at only when everything that may have killed it is known.
            newcomer.bind(known.binding());
            known.sinks.push(sink);
        });
    }

    /// Learns which epoch it is, before its records are read. Of another one than before it takes everything that it has read for killed.
    pub(super) fn enter(&self, answer: &Answer, asked_at: Moment) {
        self.with(|known| {
            known.server_clock = (answer.server_ms, asked_at);
            known.elsewhere = known.elsewhere.filter(|elsewhere| *elsewhere != answer.epoch);
            match known.epoch {
                Some(epoch) if epoch == answer.epoch => known.seen = known.seen.max(answer.last),
                None => {
                    known.epoch = Some(answer.epoch);
                    known.seen = answer.last;
                }
                Some(_) => {
                    known.distrust();
                    known.kill_everything(known.above_all_stamps().max(answer.last));
                    known.epoch = Some(answer.epoch);
                    known.seen = answer.last;
                    known.applied = answer.last;
                    self.show(known);
                    self.status.send_modify(|status| status.epochs += 1);
                }
            }
            self.show(known);
        });
    }

    /// Applies records in their order.
    pub(super) fn take(&self, records: Vec<Record>) -> Result<(), Lost> {
        self.with(|known| {
            let taken = records.into_iter().try_for_each(|record| self.take_one(known, record));
            self.show(known);
            taken
        })
    }

    fn take_one(&self, known: &mut Known, Record { revision, content }: Record) -> Result<(), Lost> {
        if revision <= known.applied {
            return Ok(());
        }
        let Some(content) = content else {
            // Written by other means: it may mean anything, and no stamp may rest on it.
            return Err(Lost::Records);
        };
        if Some(content.epoch) != known.epoch {
            return Err(Lost::Epoch);
        }
        if content.previous < known.applied {
            return Err(Lost::Records);
        }
        if content.previous > known.applied {
            // The records in between were trimmed before they were read.
            if known.applied > Revision::ZERO {
                self.status.send_modify(|status| status.gaps += 1);
            }
            known.kill_everything(content.previous);
        }
        // What was appended here is retained already, and was applied then.
        if !known.retained.contains_key(&revision) {
            known.apply(revision, &Kill::decode_all(&content.kills, &self.types));
            known.retain(revision, content.kills);
        }
        known.advance(revision);
        Ok(())
    }

    /// Learns that there is nothing more to read up to `last`: what is missing there was deleted.
    pub(super) fn settle(&self, last: Revision) {
        self.with(|known| {
            if known.applied < last {
                known.kill_everything(last);
                known.advance(last);
                self.show(known);
            }
        });
    }

    /// Applies what was appended here, ahead of reading it.
    pub(super) fn appended(&self, answer: &Answer, kills: &[Kill], encoded: Vec<u8>) {
        self.with(|known| {
            if known.epoch == Some(answer.epoch) {
                known.apply(answer.last, kills);
                known.retain(answer.last, encoded.into());
                known.seen = known.seen.max(answer.last);
            } else {
                // The log has become another one, which the reader must find out. Until then nothing from before may be used here.
                known.distrust();
                known.kill_everything(known.above_all_stamps().max(answer.last));
                known.elsewhere = Some(answer.epoch);
                self.doubt.notify_one();
            }
            self.show(known);
        });
    }

    /// Waits until an append has found another log than the one that is read.
    pub(super) async fn doubted(&self) {
        // Who finds no doubt was told of one that is resolved.
        while self.with(|known| known.elsewhere.is_none()) {
            self.doubt.notified().await;
        }
    }

    /// A new connection may find the log where appends do.
    pub(super) fn begin_anew(&self) {
        self.with(|known| known.elsewhere = None);
    }

    /// Trusts the log from now on, if it may be trusted: everything that it had at `asked_at` was applied.
    pub(super) fn trust(&self, asked_at: Moment) -> Trust {
        self.with(|known| {
            if known.elsewhere.is_some() {
                return Trust::Doubted;
            }
            if known.seen < known.floor {
                return Trust::NeedsRecord;
            }
            known.heard_at = known.heard_at.max(asked_at);
            let joins = !known.trusted;
            if joins {
                known.trusted = true;
                known.bind();
            }
            self.show(known);
            if joins {
                self.status.send_modify(|status| status.joins += 1);
            }
            Trust::Given
        })
    }

    /// How long the log may stay silent from now on; none where it is not trusted anyway. When that is over, nothing that is cached may be used any more, and
    /// nothing more is cached.
    pub(super) fn watch(&self, now: Moment) -> Option<Duration> {
        self.with(|known| {
            if !known.trusted {
                return None;
            }
            let left = self.max_silence.saturating_sub(now.since(known.heard_at));
            if left.is_zero() {
                known.distrust();
                // Other instances go on. What they fill has stamps of their time, which is the server's.
                let (server_ms, asked_at) = known.server_clock;
                let theirs = server_ms.saturating_add(now.since(asked_at).as_millis() as u64 + LEAP_MS);
                known.kill_everything(id::end_of(theirs.max(id::millisecond(known.above_all_stamps()))));
                self.show(known);
                // Last: whoever waits for the count finds the rest as it is now.
                self.status.send_modify(|status| status.silences += 1);
                return None;
            }
            Some(left)
        })
    }

    /// Notes why a try failed.
    pub(super) fn failed(&self, error: cache_core::Error) {
        self.status.send_modify(|status| {
            status.failures += 1;
            status.last_error = Some(error);
        });
    }

    /// Publishes what changed: the stamp for tickets, the rest for whoever watches.
    fn show(&self, known: &Known) {
        self.stamp.store(known.stamp().get(), Ordering::Release);
        self.status.send_if_modified(|status| {
            let before = (status.identity, status.applied);
            (status.identity, status.applied) = (known.identity(), known.applied);
            before != (status.identity, status.applied)
        });
    }

    fn with<R>(&self, f: impl FnOnce(&mut Known) -> R) -> R {
        f(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
