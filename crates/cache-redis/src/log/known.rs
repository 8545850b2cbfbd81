//! What is known of the log, and what follows from learning more: sinks are told before anybody else sees it.

use std::collections::BTreeMap;
use std::sync::Weak;

use cache_core::{Identity, Kill, KillSink, Moment, Revision, Stamp};

use super::config::LogConfig;

/// What a retained record takes besides its bytes, about.
const BYTES_PER_RECORD: usize = 64;

/// What is known of the log. `State` holds it under its lock.
pub(super) struct Known {
    pub(super) epoch: Option<Identity>,
    /// Every record up to here was applied.
    pub(super) applied: Revision,
    /// The highest record of the epoch that was seen, here or by an append.
    pub(super) seen: Revision,
    /// Whoever attaches now must take everything up to here for killed.
    pub(super) floor: Revision,
    pub(super) retained: BTreeMap<Revision, Box<[u8]>>,
    retained_bytes: usize,
    pub(super) sinks: Vec<Weak<dyn KillSink>>,
    pub(super) trusted: bool,
    /// The epoch that an append has found, where it is not the one that is read.
    pub(super) elsewhere: Option<Identity>,
    /// When it was asked for everything that this process has applied since.
    pub(super) heard_at: Moment,
    /// The server's time, and when it was asked for.
    pub(super) server_clock: (u64, Moment),
    max_records: usize,
    max_bytes: usize,
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
    pub(super) fn new(config: &LogConfig) -> Self {
        Self {
            epoch: None,
            applied: Revision::ZERO,
            seen: Revision::ZERO,
            floor: Revision::ZERO,
            retained: BTreeMap::new(),
            retained_bytes: 0,
            sinks: Vec::new(),
            trusted: false,
            elsewhere: None,
            heard_at: Moment::from_millis(0),
            server_clock: (0, Moment::from_millis(0)),
            max_records: config.retained_records,
            max_bytes: config.retained_bytes,
        }
    }

    /// Where reading stands.
    pub(super) fn place(&self) -> Place {
        let Self { epoch, applied, seen, floor, .. } = *self;
        Place { epoch, applied, seen, floor }
    }

    /// Which log it is, while it is trusted.
    pub(super) fn identity(&self) -> Option<Identity> {
        self.epoch.filter(|_| self.trusted)
    }

    /// What tiers are bound to: the epoch, or an identity that nobody has.
    pub(super) fn binding(&self) -> Identity {
        // Without randomness the number of all zeros does: no epoch is drawn that way, and nothing is filled under it for lack of a stamp.
        self.identity().or_else(|| Identity::random().ok()).unwrap_or(Identity([0; 16]))
    }

    /// Tells every sink what its tiers are bound to.
    pub(super) fn bind(&mut self) {
        let identity = self.binding();
        self.for_each_sink(|sink| sink.bind(identity));
    }

    /// The stamp of a read that begins now.
    pub(super) fn stamp(&self) -> Stamp {
        if self.trusted { self.seen.stamp_after() } else { Stamp::OLDEST }
    }

    /// Trusts the log no more: no stamps are given, and nothing that lies outside of this process is found.
    pub(super) fn distrust(&mut self) {
        if self.trusted {
            self.trusted = false;
            self.bind();
        }
    }

    /// Tells every sink what a change kills.
    pub(super) fn apply(&mut self, revision: Revision, kills: &[Kill]) {
        self.for_each_sink(|sink| sink.apply(revision, kills));
    }

    /// Nothing up to `revision` may be used any more, here or by whoever attaches later.
    pub(super) fn kill_everything(&mut self, revision: Revision) {
        self.apply(revision, &[Kill::All]);
        self.floor = self.floor.max(revision);
        self.retained = self.retained.split_off(&revision);
        self.retained.remove(&revision);
        self.retained_bytes = self.retained.values().map(|kills| kills.len() + BYTES_PER_RECORD).sum();
    }

    /// A floor that no stamp from here is above, not even that of a load which is under way.
    pub(super) fn above_all_stamps(&self) -> Revision {
        Revision::new(self.seen.stamp_after().get())
    }

    /// Keeps a record for whoever attaches later. What there is no room for any more they take for killed.
    pub(super) fn retain(&mut self, revision: Revision, kills: Box<[u8]>) {
        self.retained_bytes += kills.len() + BYTES_PER_RECORD;
        if let Some(again) = self.retained.insert(revision, kills) {
            self.retained_bytes -= again.len() + BYTES_PER_RECORD;
        }
        while self.retained.len() > self.max_records || self.retained_bytes > self.max_bytes {
            let Some((forgotten, kills)) = self.retained.pop_first() else { break };
            self.retained_bytes -= kills.len() + BYTES_PER_RECORD;
            self.floor = self.floor.max(forgotten);
        }
    }

    /// Everything up to here was applied.
    pub(super) fn advance(&mut self, revision: Revision) {
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
