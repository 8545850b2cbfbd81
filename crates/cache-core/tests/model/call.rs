//! A question that takes several steps: a look at L1 that finds an entry that was not checked, a value fetched from L2 or the view, a load.
//!
//! A question is put at the moment of its first look, and goes to any tier: the ones before may be empty, or skipped. One that waits between
//! its steps, or falls through a tier, promises less than one that is put later, so that neither needs states of its own. For the same
//! reason an answer from a cached value that is looked up and judged at once is an action by itself and no call.

use cache_core::Stamp;

use super::log::Response;
use super::mistake::Mistake;
use super::origin::{Facts, GRANT, Xid};
use super::protocol::Protocol;
use super::state::{Moments, State};
use super::tier::{Entry, Key, PARTS, Source};

pub(crate) const MAX_CALLS: usize = 2;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Call {
    Idle,
    /// An entry of L1 is compared with the horizon. `head`: whether the head of now is the one that the comparison began with.
    Checking {
        entry: Entry,
        head: bool,
    },
    /// A copy of what L2 or the view had.
    Holding {
        from: Source,
        entry: Entry,
        moments: Moments,
    },
    Loading {
        load: Load,
        moments: Moments,
    },
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) enum Progress {
    /// It has its ticket, and has read nothing.
    Ticketed,
    /// It has its snapshot, and waits for its poll to be applied.
    Open,
    /// The value is there, and is not yet in any tier.
    Ready,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Load {
    pub(crate) progress: Progress,
    /// Whether the head of now is the one of the ticket.
    head: bool,
    /// Cached parts, fetched and not yet judged.
    parts: [Option<Entry>; 2],
    /// The facts of the snapshot; then what they and the parts that were used make together.
    facts: Facts,
    stamp: Stamp,
    epoch: u8,
    pub(crate) composed: bool,
    mixed: bool,
    /// What the load's transaction saw of the log, until it is applied.
    response: Option<Response>,
    pub(crate) follower: Option<Follower>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(crate) struct Follower {
    moments: Moments,
    /// It asked before the load read anything.
    early: bool,
}

impl Call {
    pub(crate) fn moment_passes(&mut self, facts: Facts) {
        match self {
            Self::Idle | Self::Checking { .. } => {}
            Self::Holding { moments, .. } => moments.add(facts),
            Self::Loading { load, moments } => {
                moments.add(facts);
                if let Some(follower) = &mut load.follower {
                    follower.moments.add(facts);
                }
            }
        }
    }

    pub(crate) fn head_moved(&mut self) {
        match self {
            Self::Idle | Self::Holding { .. } => {}
            Self::Checking { head, .. } => *head = false,
            Self::Loading { load, .. } => {
                load.head = false;
                load.parts.iter_mut().flatten().for_each(|part| part.checked = false);
            }
        }
    }

    /// The instance begins anew in another history. What was under way may answer, and fill nothing of it.
    pub(crate) fn rejoined(&mut self) {
        self.head_moved();
        if let Self::Loading { load, .. } = self
            && load.progress == Progress::Open
        {
            // What it saw of the log was asked for with a position that means nothing any more.
            (load.response, load.parts, load.progress) = (None, [None; 2], Progress::Ready);
        }
    }

    /// A load with the parts that `fetched` names.
    pub(crate) fn load(state: &State, fetched: [Option<Entry>; 2]) -> Self {
        let load = Load {
            progress: Progress::Ticketed,
            head: true,
            parts: fetched,
            facts: Facts::default(),
            stamp: Stamp::OLDEST,
            epoch: 0,
            composed: false,
            mixed: false,
            response: None,
            follower: None,
        };
        Self::Loading { load, moments: state.moments() }
    }
}

impl Load {
    /// The first statement: the snapshot, and in it all that the load reads. `inside` is a transaction whose own changes it sees as well.
    pub(crate) fn open(&mut self, state: &State, inside: Option<Xid>, protocol: &Protocol) {
        let origin = &state.origin;
        self.facts = origin.facts();
        self.stamp = origin.snapshot().stamp();
        self.epoch = origin.epoch;
        for (xid, transaction) in origin.transactions() {
            if inside == Some(xid)
                && let super::origin::Transaction::Open(super::origin::Author::Writer(writer)) = transaction
            {
                self.facts = protocol.bounds.writers[usize::from(writer)].change(self.facts);
            }
        }
        self.progress = Progress::Open;
        if protocol.bounds.pinned {
            // The poll is the first statement of the same transaction.
            self.response = Some(state.log.poll(origin, state.instance.cursor(protocol), protocol));
            if protocol.makes(Mistake::PartsCheckedBeforeThePoll) {
                self.judge_parts(state, protocol);
                self.compose(protocol);
            }
        } else {
            self.judge_parts(state, protocol);
            self.settle(protocol);
        }
    }

    /// What the load's transaction saw of the log, to be applied.
    pub(crate) fn take_response(&mut self) -> Option<Response> {
        self.response.take()
    }

    /// After that: the parts that are usable now are used.
    pub(crate) fn judge(&mut self, state: &State, protocol: &Protocol) {
        if protocol.makes(Mistake::PartsFetchedAfterTheSnapshot) {
            self.parts = fetch(state, self.parts.map(|part| part.is_some()), protocol);
        }
        self.judge_parts(state, protocol);
        self.settle(protocol);
    }

    fn judge_parts(&mut self, state: &State, protocol: &Protocol) {
        let (instance, epoch) = (&state.instance, self.epoch);
        self.parts = self.parts.map(|part| {
            // It must belong to the history that the rest is read from, too.
            part.filter(|part| instance.may_use(part, protocol) && protocol.same_log(part.epoch, epoch))
        });
    }

    fn settle(&mut self, protocol: &Protocol) {
        self.compose(protocol);
        self.progress = Progress::Ready;
    }

    /// The lowest stamp counts. A decision of which every part was cached has read nothing itself.
    fn compose(&mut self, protocol: &Protocol) {
        let parts = std::mem::take(&mut self.parts);
        if parts.iter().all(Option::is_some) && !protocol.makes(Mistake::ComposedStampedNow) {
            self.stamp = Stamp::new(u64::MAX);
        }
        for (key, part) in PARTS.into_iter().zip(parts) {
            let Some(part) = part else { continue };
            self.facts = self.facts.with(key.tags(), part.value);
            if !protocol.makes(Mistake::ComposedStampedNow) {
                self.stamp = self.stamp.meet(part.stamp);
            }
            self.composed = true;
            self.mixed |= !protocol.bounds.pinned || part.mixed;
        }
    }

    /// The value under a key, as it is at the end of the load.
    pub(crate) fn result(&self, key: Key, state: &State, protocol: &Protocol) -> Entry {
        let mut facts = self.facts;
        if protocol.makes(Mistake::ReadCommitted) && !self.composed {
            facts = facts.with(GRANT, state.origin.facts().has(GRANT));
        }
        let stamp = if protocol.makes(Mistake::StampAfterRead) { state.origin.snapshot().stamp() } else { self.stamp };
        let result = Entry { mixed: self.mixed, ..Entry::new(key, facts, stamp, self.epoch) };
        // The head of the ticket vouches for the reads. It does not for a stamp below the floor: a kill that the floor covers moves no head.
        let alive = state.instance.horizon.admits(&result) || protocol.makes(Mistake::FillMarkedBelowTheFloor);
        Entry { checked: self.head && alive || protocol.makes(Mistake::CheckedAtTheFill), ..result }
    }

    pub(crate) fn follow(&mut self, state: &State) {
        self.follower = Some(Follower { moments: state.moments(), early: self.progress == Progress::Ticketed });
    }
}

impl Follower {
    /// The moments that its answer may speak of, if it may have this result.
    pub(crate) fn may_take(self, load: &Load, result: &Entry, state: &State, protocol: &Protocol) -> Option<Moments> {
        let takes = self.early
            || protocol.makes(Mistake::FollowerUnchecked)
            || state.instance.may_use(result, protocol)
            || protocol.makes(Mistake::FlightMarkedBelowTheFloor) && load.head;
        takes.then_some(self.moments)
    }
}

/// Copies of parts from L1 or else L2.
pub(crate) fn fetch(state: &State, wanted: [bool; 2], protocol: &Protocol) -> [Option<Entry>; 2] {
    let mut fetched = [None; 2];
    for ((place, key), wanted) in fetched.iter_mut().zip(PARTS).zip(wanted) {
        if wanted {
            *place = state.instance.l1.get(key, protocol).or_else(|| state.l2.get(key, protocol));
        }
    }
    fetched
}
