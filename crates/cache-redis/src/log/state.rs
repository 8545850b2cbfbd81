//! What this process knows of the log, and the rules by which it learns.
//!
//! Invariants, all of them under one lock:
//! - A kill is applied to every sink before the position that contains it is shown, and before its writer gets an answer.
//! - What was missed, or can't be known, is killed whole: the floor of every sink rises past it.
//! - Stamps are given while the log is trusted. At any other time every value is older than every kill, and tiers that outlive the process
//!   are bound to an identity that nobody has.
//! - A stamp claims no more than was committed before it was given: a record is appended after its change, so that whoever has seen a record
//!   reads a state with its change, and with those of all records before it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, Weak};
use std::time::Duration;

use cache_core::{CacheType, Identity, Kill, KillSink, Moment, Revision, Stamp};
use tokio::sync::watch;

use super::config::LogConfig;
use super::id;
use super::record::Record;
use super::status::LogStatus;
use super::step::{Answer, LEAP_MS};

/// What a retained record takes besides its bytes, about.
const BYTES_PER_RECORD: usize = 64;

/// What this process knows of the log.
pub(super) struct State {
    known: Mutex<Known>,
    /// The stamp of a read that begins now; read by every ticket, hence outside of the lock.
    stamp: AtomicU64,
    status: watch::Sender<LogStatus>,
    types: Vec<CacheType>,
    max_records: usize,
    max_bytes: usize,
    max_silence: Duration,
}

struct Known {
    epoch: Option<Identity>,
    /// Every record up to here was applied.
    applied: Revision,
    /// The highest record of the epoch that was seen, here or by an append.
    seen: Revision,
    /// Whoever attaches now must take everything up to here for killed.
    floor: Revision,
    retained: BTreeMap<Revision, Box<[u8]>>,
    retained_bytes: usize,
    sinks: Vec<Weak<dyn KillSink>>,
    trusted: bool,
    /// When it was asked for everything that this process has applied since.
    heard_at: Moment,
    /// The server's time, and when it was asked for.
    server_clock: (u64, Moment),
}

/// Why reading can't go on where it stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Lost {
    /// Another epoch has begun.
    Epoch,
    /// Records that were read are not there any more, or others than the log's own are there, in the same epoch: it must end.
    Records,
}

impl State {
    pub(super) fn new(config: &LogConfig) -> Self {
        Self {
            known: Mutex::new(Known {
                epoch: None,
                applied: Revision::ZERO,
                seen: Revision::ZERO,
                floor: Revision::ZERO,
                retained: BTreeMap::new(),
                retained_bytes: 0,
                sinks: Vec::new(),
                trusted: false,
                heard_at: Moment::from_millis(0),
                server_clock: (0, Moment::from_millis(0)),
            }),
            stamp: AtomicU64::new(Stamp::OLDEST.get()),
            status: watch::Sender::new(LogStatus::default()),
            types: config.types.clone(),
            max_records: config.retained_records,
            max_bytes: config.retained_bytes,
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
            self.retain(known, revision, content.kills);
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
                self.retain(known, answer.last, encoded.into());
                known.seen = known.seen.max(answer.last);
            } else {
                // The log has become another one, which the reader will find out. Until then nothing from before may be used here.
                known.distrust();
                known.kill_everything(known.above_all_stamps().max(answer.last));
            }
            self.show(known);
        });
    }

    /// Trusts the log from now on: everything that it had at `asked_at` was applied. False where no stamp would be above the floor: a record
    /// must be appended first.
    pub(super) fn trust(&self, asked_at: Moment) -> bool {
        self.with(|known| {
            if known.seen < known.floor {
                return false;
            }
            known.heard_at = known.heard_at.max(asked_at);
            if !known.trusted {
                known.trusted = true;
                known.bind();
                self.status.send_modify(|status| status.joins += 1);
            }
            self.show(known);
            true
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
                self.status.send_modify(|status| status.silences += 1);
                self.show(known);
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

    fn retain(&self, known: &mut Known, revision: Revision, kills: Box<[u8]>) {
        known.retained_bytes += kills.len() + BYTES_PER_RECORD;
        if let Some(again) = known.retained.insert(revision, kills) {
            known.retained_bytes -= again.len() + BYTES_PER_RECORD;
        }
        while known.retained.len() > self.max_records || known.retained_bytes > self.max_bytes {
            let Some((forgotten, kills)) = known.retained.pop_first() else { break };
            known.retained_bytes -= kills.len() + BYTES_PER_RECORD;
            known.floor = known.floor.max(forgotten);
        }
    }

    /// Publishes what changed: the stamp for tickets, the rest for whoever watches.
    fn show(&self, known: &Known) {
        let stamp = if known.trusted { known.seen.stamp_after() } else { Stamp::OLDEST };
        self.stamp.store(stamp.get(), Ordering::Release);
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

/// Where a reader stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) epoch: Option<Identity>,
    pub(super) applied: Revision,
    pub(super) seen: Revision,
    pub(super) floor: Revision,
}

impl Known {
    fn place(&self) -> Place {
        let Self { epoch, applied, seen, floor, .. } = *self;
        Place { epoch, applied, seen, floor }
    }

    fn identity(&self) -> Option<Identity> {
        self.epoch.filter(|_| self.trusted)
    }

    /// What tiers are bound to: the epoch, or an identity that nobody has.
    fn binding(&self) -> Identity {
        // Without randomness the number of all zeros does: no epoch is drawn that way, and nothing is filled under it for lack of a stamp.
        self.identity().or_else(|| Identity::random().ok()).unwrap_or(Identity([0; 16]))
    }

    fn bind(&mut self) {
        let identity = self.binding();
        self.for_each_sink(|sink| sink.bind(identity));
    }

    fn distrust(&mut self) {
        if self.trusted {
            self.trusted = false;
            self.bind();
        }
    }

    fn apply(&mut self, revision: Revision, kills: &[Kill]) {
        self.for_each_sink(|sink| sink.apply(revision, kills));
    }

    /// Nothing up to `revision` may be used any more, here or by whoever attaches later.
    fn kill_everything(&mut self, revision: Revision) {
        self.apply(revision, &[Kill::All]);
        self.floor = self.floor.max(revision);
        self.retained = self.retained.split_off(&revision);
        self.retained.remove(&revision);
        self.retained_bytes = self.retained.values().map(|kills| kills.len() + BYTES_PER_RECORD).sum();
    }

    /// A floor that no stamp from here is above, not even that of a load which is under way.
    fn above_all_stamps(&self) -> Revision {
        Revision::new(self.seen.stamp_after().get())
    }

    fn advance(&mut self, revision: Revision) {
        self.applied = self.applied.max(revision);
        self.seen = self.seen.max(revision);
    }

    fn for_each_sink(&mut self, tell: impl Fn(&dyn KillSink)) {
        self.sinks.retain(|sink| {
            let Some(sink) = sink.upgrade() else { return false };
            tell(&*sink);
            true
        });
    }
}
