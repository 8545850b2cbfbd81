//! The instance: what it knows of kills, how far it has read the log, and its memory tier.
//!
//! What a poll brought is applied in three steps that others see one after the other: the map, the head, the position. Only the position is
//! told to anybody.

use super::log::{Cursor, Response};
use super::mistake::Mistake;
use super::origin::{Snapshot, TAGS, Xid, revision};
use super::protocol::Protocol;
use super::tier::{Entry, Tier};

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Horizon {
    killed_at: [Xid; TAGS],
    pub(crate) floor: Xid,
}

impl Horizon {
    /// A horizon as given; the product's own is held against it.
    pub(crate) fn of(killed_at: [Xid; TAGS], floor: Xid) -> Self {
        Self { killed_at, floor }
    }

    /// The one comparison: above the floor, and no tag killed by what the stamp does not contain.
    pub(crate) fn admits(&self, entry: &Entry) -> bool {
        let outlives = |(tag, killed_at): (usize, &Xid)| {
            entry.tags & (1 << tag) == 0 || *killed_at == 0 || entry.stamp.contains(revision(*killed_at))
        };
        entry.stamp.contains(revision(self.floor)) && self.killed_at.iter().enumerate().all(outlives)
    }

    /// Whether anything changed. A kill that is no higher than the floor is no news: what it could kill is dead already.
    fn apply(&mut self, response: &Response) -> bool {
        let before = *self;
        self.floor = self.floor.max(response.floor);
        for (killed_at, kill) in self.killed_at.iter_mut().zip(response.kills) {
            if kill > self.floor {
                *killed_at = kill.max(*killed_at);
            }
        }
        *self != before
    }

    /// The revision of the last known kill of a tag, or 0.
    pub(crate) fn killed_at(&self, tag: usize) -> Xid {
        self.killed_at[tag]
    }
}

/// A poll that the instance's reader of the log has sent.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Poll {
    pub(crate) response: Response,
    /// How many of its steps are done.
    pub(crate) applied: u8,
    /// Whether the map learnt anything from it.
    pub(crate) news: bool,
    /// Whether its rows are still to be read, after its snapshot. Only a mistake lets that make a difference.
    pub(crate) rows_to_come: bool,
}

/// What applying a step did to heads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Head {
    Moved,
    Stayed,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Instance {
    /// The identity of the log that all of this belongs to.
    pub(crate) epoch: u8,
    /// Whether the retained log was applied since the start, so that tiers may be asked.
    pub(crate) joined: bool,
    /// Whether this is the second life of the process.
    pub(crate) restarted: bool,
    pub(crate) position: Option<Snapshot>,
    pub(crate) horizon: Horizon,
    /// The highest revision applied. Only mistakes look at it.
    pub(crate) highest: Xid,
    pub(crate) poll: Option<Poll>,
    pub(crate) l1: Tier,
}

impl Instance {
    /// One that has joined when nothing had happened.
    pub(crate) fn new(now: Snapshot) -> Self {
        Self { joined: true, position: Some(now), ..Self::default() }
    }

    /// A process starts anew: only what lies elsewhere is left.
    pub(crate) fn restart(&mut self) {
        *self = Self { epoch: self.epoch, restarted: true, ..Self::default() };
    }

    /// The log is another one: nothing that is known or cached here means anything in it.
    pub(crate) fn rejoin(&mut self, epoch: u8) {
        *self = Self { epoch, restarted: self.restarted, ..Self::default() };
    }

    pub(crate) fn cursor(&self, protocol: &Protocol) -> Cursor {
        match self.position {
            _ if !self.joined => Cursor::Whole,
            None => Cursor::Lost,
            Some(_) if protocol.makes(Mistake::CursorByTheHighest) => Cursor::Above(self.highest),
            Some(position) => Cursor::After(position),
        }
    }

    /// Whether a cached value may be used: the identity first, because stamps of different logs mean nothing to each other.
    pub(crate) fn may_use(&self, entry: &Entry, protocol: &Protocol) -> bool {
        if !self.joined && !protocol.makes(Mistake::ServingBeforeJoining) {
            return false;
        }
        let unasked = protocol.makes(Mistake::NoHorizonCheck) || protocol.makes(Mistake::DeletionOnly);
        protocol.same_log(entry.epoch, self.epoch) && (unasked || entry.checked || self.horizon.admits(entry))
    }

    /// Whether a poll is half applied. Nobody else applies anything meanwhile.
    pub(crate) fn is_applying(&self) -> bool {
        self.poll.is_some_and(|poll| poll.applied > 0)
    }

    /// The next step of applying the poll in hand.
    pub(crate) fn apply_step(&mut self, protocol: &Protocol) -> Head {
        let Some(mut poll) = self.poll else { unreachable!("a poll is applied where there is one") };
        let head_first = protocol.makes(Mistake::HeadBeforeMap);
        let mut head = Head::Stayed;
        match (poll.applied, head_first) {
            (0, false) => poll.news = self.write_map(&poll.response),
            (1, false) => head = self.move_head(&poll.response, poll.news, protocol),
            (0, true) => {
                let mut foreseen = *self;
                poll.news = foreseen.write_map(&poll.response);
                head = self.move_head(&poll.response, poll.news, protocol);
            }
            (1, true) => {
                self.write_map(&poll.response);
            }
            _ => {
                self.publish(&poll.response);
                self.poll = None;
                return Head::Stayed;
            }
        }
        poll.applied += 1;
        self.poll = Some(poll);
        head
    }

    /// All steps at once: what a load's own poll brought.
    pub(crate) fn apply_at_once(&mut self, response: &Response, protocol: &Protocol) -> Head {
        let news = self.write_map(response);
        let head = self.move_head(response, news, protocol);
        self.publish(response);
        head
    }

    fn write_map(&mut self, response: &Response) -> bool {
        self.horizon.apply(response)
    }

    fn move_head(&mut self, response: &Response, news: bool, protocol: &Protocol) -> Head {
        let higher = response.highest > self.highest;
        if protocol.looks_at_the_highest() {
            self.highest = self.highest.max(response.highest);
        }
        let moves = if protocol.makes(Mistake::HeadFromRevision) { higher } else { news };
        if moves { self.next_head() } else { Head::Stayed }
    }

    fn next_head(&mut self) -> Head {
        self.l1.entries_mut().for_each(|entry| entry.checked = false);
        Head::Moved
    }

    /// Whatever raises the floor moves the head: no entry that is marked as checked lies below the floor.
    pub(crate) fn forget(&mut self, tag: usize, protocol: &Protocol) -> Head {
        let forgotten = std::mem::take(&mut self.horizon.killed_at[tag]);
        if protocol.makes(Mistake::ForgettingWithoutFloor) || protocol.makes(Mistake::ForgettingByAge) {
            return Head::Stayed;
        }
        self.horizon.floor = self.horizon.floor.max(forgotten);
        if protocol.makes(Mistake::ForgettingWithoutHead) { Head::Stayed } else { self.next_head() }
    }

    /// The position never goes back: an answer that was overtaken by a later one has nothing to tell.
    fn publish(&mut self, response: &Response) {
        let goes_on = match self.position {
            Some(position) => response.snapshot.covers(&position),
            None => !self.joined || response.makes_up,
        };
        if goes_on {
            self.position = Some(response.snapshot);
            self.joined = true;
        }
    }
}
