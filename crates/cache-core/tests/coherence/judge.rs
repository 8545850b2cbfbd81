//! A judge finds out whether a change is in force everywhere, from the table of members alone.
//!
//! Its first look begins after the change committed, and says whom to wait for. Of each of them it must know one of two things: the change is applied there, or nothing
//! cached is used there before another incarnation has joined. Whoever registers after that look has polled after it, too.

use super::database::{ROWS, Row, Xid};
use super::mistake::Mistake;
use super::protocol::Protocol;
use super::state::State;

/// What the judge knows of one row.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub(crate) enum Seen {
    /// Nothing to wait for: there was no such row, or it was confirmed, or fenced, or its holder has removed it.
    #[default]
    Settled,
    /// Not confirmed, with this counter.
    Waiting { counter: u8 },
    /// The counter has not changed for longer than a lease.
    Overdue { counter: u8 },
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Judge {
    pub(crate) xid: Xid,
    pub(crate) epoch: u8,
    pub(crate) rows: [Seen; ROWS],
}

impl Protocol {
    fn confirms(&self, row: &Row, xid: Xid, epoch: u8) -> bool {
        let highest = self.makes(Mistake::ConfirmationByTheHighest) && row.reported.reaches(xid);
        let same = self.same_history(row.epoch, epoch) || self.makes(Mistake::ConfirmationFromAnyHistory);
        row.fenced || same && (row.reported.has(xid) || highest)
    }

    fn sees(&self, row: Option<&Row>, xid: Xid, epoch: u8) -> Seen {
        match row {
            Some(row) if !self.confirms(row, xid, epoch) => Seen::Waiting { counter: row.counter },
            _ => Seen::Settled,
        }
    }

    /// What another look would make of what is known.
    fn look_again(&self, state: &State, judge: &Judge) -> Judge {
        let mut next = *judge;
        for (seen, row) in next.rows.iter_mut().zip(&state.database.members) {
            let now = self.sees(row.as_ref(), judge.xid, state.database.epoch);
            *seen = match (*seen, now) {
                (Seen::Settled, _) | (_, Seen::Settled) => Seen::Settled,
                (Seen::Overdue { counter: old }, Seen::Waiting { counter }) if old == counter => *seen,
                (Seen::Waiting { .. } | Seen::Overdue { .. }, _) if self.makes(Mistake::JudgeNeverLooksAgain) => *seen,
                _ => now,
            };
        }
        next
    }

    /// Whether a look would tell the judge of this instance anything.
    pub(crate) fn look_has_news(&self, state: &State, judge: &Judge) -> bool {
        judge.epoch != state.database.epoch || self.look_again(state, judge) != *judge
    }
}

impl State {
    /// A look at the table of members, the first one for this change or another.
    pub(crate) fn look(&mut self, at: usize, xid: Xid, protocol: &Protocol) {
        if self.learns_of_another_history(at, protocol) {
            return;
        }
        let epoch = self.database.epoch;
        let judge = match self.instances[at].judge {
            Some(judge) => protocol.look_again(self, &judge),
            None => {
                let rows = self.database.members.map(|row| protocol.sees(row.as_ref(), xid, epoch));
                Judge { xid, epoch, rows }
            }
        };
        self.instances[at].judge = Some(judge);
    }

    /// Whoever sees a history for the first time is silent for one lease: members may hold one that this history knows nothing of. What was judged before
    /// is judged anew.
    fn learns_of_another_history(&mut self, at: usize, protocol: &Protocol) -> bool {
        let (instance, epoch) = (&mut self.instances[at], self.database.epoch);
        if instance.sight != Some(epoch) {
            let careless = protocol.makes(Mistake::NoSilenceAfterAFailover)
                || instance.sight.is_none() && protocol.makes(Mistake::NoSilenceAfterAStart)
                || protocol.makes(Mistake::IdentityMissing);
            instance.sight = Some(epoch);
            instance.silent = !careless;
        }
        let Some(judge) = &mut instance.judge else { return false };
        if protocol.same_history(judge.epoch, epoch) {
            judge.epoch = epoch;
            return false;
        }
        instance.judge = None;
        true
    }

    /// `UPDATE members SET fenced WHERE incarnation AND counter`, once this long without a sign of life.
    pub(crate) fn fence(&mut self, at: usize, incarnation: usize, counter: u8, protocol: &Protocol) {
        if self.learns_of_another_history(at, protocol) {
            return;
        }
        let unasked = protocol.makes(Mistake::FencingWithoutTheCounter);
        let settled = match &mut self.database.members[incarnation] {
            Some(row) if !row.fenced && row.counter != counter && !unasked => {
                let counter = if protocol.makes(Mistake::JudgeNeverLooksAgain) { counter } else { row.counter };
                Seen::Waiting { counter }
            }
            Some(row) => {
                row.fenced = true;
                Seen::Settled
            }
            None => Seen::Settled,
        };
        self.flush_unless(Mistake::FencingNotDurable, protocol);
        self.settle(at, incarnation, settled);
    }

    pub(crate) fn settle(&mut self, at: usize, incarnation: usize, seen: Seen) {
        if let Some(judge) = &mut self.instances[at].judge {
            judge.rows[incarnation] = seen;
        }
    }

    /// Acknowledges whatever may be acknowledged, at once: the earliest acknowledgement is the one that promises most.
    pub(crate) fn acknowledge(&mut self, protocol: &Protocol) {
        for instance in &mut self.instances {
            let Some(judge) = instance.judge else { continue };
            let same = protocol.same_history(judge.epoch, self.database.epoch);
            let early = protocol.makes(Mistake::AcknowledgementBeforeTheCommit).then_some(judge.xid);
            let committed = self.database.log[usize::from(judge.xid)].filter(|_| same).or(early);
            let settled = judge.rows.iter().all(|seen| *seen == Seen::Settled);
            if let Some(writer) = committed
                && settled
                && !instance.silent
            {
                instance.judge = None;
                self.acknowledged = self.acknowledged.with(writer);
            }
        }
        if protocol.makes(Mistake::AcknowledgementAtTheCommit) {
            self.acknowledged = self.database.writers();
        }
    }
}
