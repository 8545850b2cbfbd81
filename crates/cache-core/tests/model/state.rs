//! The whole state, part by part, and what an answer is held against.

use super::call::{Call, MAX_CALLS};
use super::instance::{Head, Instance};
use super::log::Log;
use super::mistake::Mistake;
use super::origin::{Facts, Origin};
use super::protocol::Protocol;
use super::tier::{Source, Tier};
use super::view::View;

/// A set of states of the origin: those that an answer may speak of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub(crate) struct Moments(u8);

impl Moments {
    pub(crate) fn add(&mut self, facts: Facts) {
        self.0 |= 1 << facts.0;
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = Facts> {
        (0..4).filter(move |facts| self.0 & (1 << facts) != 0).map(Facts)
    }
}

/// What came of an answer.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Answered {
    pub(crate) source: Source,
    /// An allow because of what was revoked, and acknowledged as revoked before the question.
    pub(crate) stale_allow: bool,
    /// Not what the origin would have said at any moment between the last acknowledgement before the question and the answer.
    pub(crate) never_true: bool,
    /// By a process in its second life.
    pub(crate) after_restart: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct State {
    pub(crate) origin: Origin,
    pub(crate) log: Log,
    pub(crate) instance: Instance,
    pub(crate) l2: Tier,
    pub(crate) view: View,
    pub(crate) calls: [Call; MAX_CALLS],
    /// Until the instance learns of it, it speaks of a history that is no more: the states of it that it may speak of.
    pub(crate) lost: Moments,
    /// How many of the origin's commits, in their order, were acknowledged or stand before one that was.
    pub(crate) acknowledged: u8,
    /// An answer ends a run: nothing else depends on it. All other fields are then as in the beginning, so that answers add few states.
    pub(crate) answered: Option<Answered>,
}

impl State {
    pub(crate) fn new(initial: Facts) -> Self {
        let origin = Origin::new(initial);
        Self {
            origin,
            log: Log::default(),
            instance: Instance::new(origin.snapshot()),
            l2: Tier::default(),
            view: View::default(),
            calls: [Call::Idle; MAX_CALLS],
            lost: Moments::default(),
            acknowledged: 0,
            answered: None,
        }
    }

    /// The moments that an answer to a question of now may speak of.
    pub(crate) fn moments(&self) -> Moments {
        let mut moments = self.lost;
        for commits in usize::from(self.acknowledged)..=self.origin.commits().count() {
            moments.add(self.origin.facts_after(commits));
        }
        moments
    }

    /// Judges an answer. A decision is an allow because of its grant and for want of a ban: each must have been so at a moment that the answer may
    /// speak of, and both at the same one unless facts were mixed knowingly.
    pub(crate) fn answer(&self, source: Source, allow: bool, mixed: bool, moments: Moments) -> Self {
        let revoked = |fact: u8, holds: bool| !moments.iter().any(|facts| facts.has(fact) == holds);
        let stale_allow = allow && (revoked(super::origin::GRANT, true) || revoked(super::origin::BAN, false));
        let never_true = !mixed && !moments.iter().any(|facts| facts.allow() == allow);
        let answered = Answered { source, stale_allow, never_true, after_restart: self.instance.restarted };
        Self { answered: Some(answered), ..Self::new(Facts::default()) }
    }

    /// A standby that has only the first `kept` commits takes over. What is lost with the others cannot be held against an answer: whoever wants that
    /// not to happen waits for the standby at each commit.
    pub(crate) fn lose_history(&mut self, kept: usize) {
        let moments = self.moments();
        self.origin.fail_over(kept);
        self.acknowledged = self.acknowledged.min(kept as u8);
        self.lost = moments;
    }

    /// The instance begins anew in the history that the origin has.
    pub(crate) fn rejoin(&mut self, epoch: u8) {
        self.instance.rejoin(epoch);
        self.calls.iter_mut().for_each(Call::rejoined);
        self.lost = Moments::default();
    }

    /// The origin has a new state; questions that are open may speak of it.
    pub(crate) fn moment_passes(&mut self) {
        let facts = self.origin.facts();
        self.calls.iter_mut().for_each(|call| call.moment_passes(facts));
    }

    /// What follows from a head that moved: no entry is checked at the head of now.
    pub(crate) fn head_did(&mut self, head: Head) {
        if head == Head::Moved {
            self.calls.iter_mut().for_each(Call::head_moved);
        }
    }

    /// Acknowledges whatever may be acknowledged, at once: the earliest acknowledgement is the one that promises most.
    pub(crate) fn acknowledge(&mut self, protocol: &Protocol) {
        let instance = &self.instance;
        let same = |epoch| protocol.same_log(epoch, self.origin.epoch);
        let polled = instance.poll.filter(|_| protocol.makes(Mistake::ConfirmationAtTheSnapshot));
        let confirmed = |xid| {
            protocol.makes(Mistake::AcknowledgementAtTheCommit)
                || protocol.makes(Mistake::ConfirmationByTheHighest) && xid <= instance.highest
                || same(instance.epoch) && instance.position.is_some_and(|position| position.sees(xid))
                || polled.is_some_and(|poll| same(poll.response.epoch) && poll.response.snapshot.sees(xid))
        };
        let confirmed = (1..).zip(self.origin.commits()).filter(|(_, commit)| confirmed(commit.xid));
        let last = confirmed.map(|(count, _)| count).last().unwrap_or(0);
        if last > self.acknowledged {
            (self.acknowledged, self.lost) = (last, Moments::default());
        }
    }
}
