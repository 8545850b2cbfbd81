//! An instance: how far it has joined, how long it may trust what it knows, and what it knows.
//!
//! A lease runs from before its renewal was sent. Time is not counted: it passes in steps, each of which ends one budget, and a budget that was begun
//! earlier ends earlier. Nothing that an instance does is needed for that, so that one which is paused for as long as it likes is a case like any other.

use super::database::{Set, Snapshot};
use super::entry::Tier;
use super::judge::Judge;
use super::mistake::Mistake;
use super::protocol::Protocol;

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) enum Phase {
    /// No process.
    #[default]
    Dead,
    /// A process without caches, and so no member.
    Apart,
    /// A process without a row, or with one that it has given up.
    Fresh,
    /// Its row is committed, and it knows of that.
    Registered,
    /// It has applied a snapshot that began after that: the gate is open while the lease runs.
    Joined,
    /// The gate is closed for good, and what has passed it ends.
    Leaving,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Outcome {
    UnderWay,
    Granted { counter: u8 },
    Refused,
}

/// A registration or a renewal that was sent, and whose answer did not arrive yet.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Request {
    /// The history that the sender is of; of a registration the one that it reached.
    pub(crate) epoch: u8,
    /// Whether a lease is over that runs from when it was sent.
    pub(crate) spent: bool,
    pub(crate) outcome: Outcome,
}

/// What is on its way to the server, and nobody waits for an answer to.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Late {
    Registration { incarnation: u8 },
    Renewal { incarnation: u8, epoch: u8 },
    Report { incarnation: u8, epoch: u8, position: Set },
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) struct Instance {
    pub(crate) phase: Phase,
    pub(crate) incarnation: u8,
    /// The history that all of this belongs to.
    pub(crate) epoch: u8,
    pub(crate) lease_runs: bool,
    pub(crate) request: Option<Request>,
    pub(crate) late: Option<Late>,
    /// The answer to a renewal that was given up. Only a mistake looks at it.
    pub(crate) stray: Option<u8>,
    /// The answer to a poll, to be applied.
    pub(crate) poll: Option<Snapshot>,
    /// What was applied. Kept over a registration: it is true of the same history.
    pub(crate) known: Snapshot,
    pub(crate) l1: Tier,
    /// What a ticker has last said of the lease. Only a mistake looks at it.
    pub(crate) ticked: bool,
    /// How often it may still crash.
    pub(crate) crashes: u8,

    // As a judge.
    pub(crate) judge: Option<Judge>,
    /// The history that it has seen as a judge.
    pub(crate) sight: Option<u8>,
    /// Whether less than a lease has passed since the first sight of it.
    pub(crate) silent: bool,
}

impl Instance {
    pub(crate) fn lives(&self) -> bool {
        self.phase != Phase::Dead
    }

    /// What the instance reads when it looks whether its lease is over.
    pub(crate) fn lease_holds(&self, protocol: &Protocol) -> bool {
        if protocol.makes(Mistake::ClockByATicker) {
            return self.ticked;
        }
        self.lease_runs || protocol.makes(Mistake::LeaseIgnored)
    }

    /// Whether cached values may be used.
    pub(crate) fn gate_is_open(&self, protocol: &Protocol) -> bool {
        self.phase == Phase::Joined && self.lease_holds(protocol)
    }

    /// Whether no lease of this incarnation runs, or can still begin to run from a renewal that gave this counter or an earlier one. Whoever renewed later
    /// and has a lease from that shows another counter to whoever looks.
    pub(crate) fn is_over(&self, incarnation: u8, counter: u8) -> bool {
        let holds = self.lives() && self.incarnation == incarnation;
        !holds || !self.lease_runs && !self.may_be_granted(counter)
    }

    fn may_be_granted(&self, up_to: u8) -> bool {
        self.request.is_some_and(|request| {
            !request.spent && matches!(request.outcome, Outcome::Granted { counter } if counter <= up_to)
        })
    }

    /// Whether a lease runs, or can still begin to run, that was granted in a history before this one.
    pub(crate) fn holds_from_before(&self, epoch: u8) -> bool {
        let lease = self.lives() && self.lease_runs && self.epoch < epoch;
        let granted = |request: Request| {
            !request.spent && request.epoch < epoch && matches!(request.outcome, Outcome::Granted { .. })
        };
        lease || self.request.is_some_and(granted)
    }

    pub(crate) fn extend(&mut self, runs: bool) {
        self.lease_runs = runs;
        self.ticked |= runs;
    }

    /// It has to join anew, with another incarnation. Cached values are not used until then.
    pub(crate) fn rejoin(&mut self) {
        (self.phase, self.lease_runs, self.ticked) = (Phase::Fresh, false, false);
        (self.request, self.poll, self.stray) = (None, None, None);
    }

    /// The log is of another history: nothing that is known or cached here means anything in it.
    pub(crate) fn enter(&mut self, epoch: u8, protocol: &Protocol) {
        if !protocol.same_history(self.epoch, epoch) {
            self.l1 = Tier::default();
            self.known = Snapshot { epoch, ..Snapshot::default() };
        }
        self.epoch = epoch;
    }

    pub(crate) fn crash(&mut self) {
        *self = Self { crashes: self.crashes - 1, ..Self::default() };
    }
}
