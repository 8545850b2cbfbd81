//! When which step can happen.

use super::action::Action;
use super::bounds::Change;
use super::database::{Row, Set};
use super::entry::{Entry, Key, Source};
use super::instance::{Outcome, Phase};
use super::judge::Seen;
use super::mistake::Mistake;
use super::protocol::Protocol;
use super::state::{Call, State};

/// The most messages that are lost where progress is looked at.
const MAX_LOST: u8 = 2;

impl Protocol {
    pub(crate) fn possible(&self, state: &State, actions: &mut Vec<Action>) {
        self.server_actions(state, actions);
        for at in 0..state.instances.len() {
            self.time_actions(state, at, actions);
            self.life_actions(state, at, actions);
            self.member_actions(state, at, actions);
            self.judge_actions(state, at, actions);
            self.question_actions(state, at, actions);
        }
        self.call_actions(state, actions);
    }

    fn server_actions(&self, state: &State, actions: &mut Vec<Action>) {
        let (database, bounds) = (&state.database, &self.bounds);
        let open = (0..bounds.writers.len() as u8).filter(|writer| !database.writers().has(*writer));
        for writer in open {
            let free = (0..).zip(&database.log).filter(|(_, taken)| taken.is_none()).map(|(xid, _)| xid);
            // Which number a writer has matters only where numbers are given again.
            let given = free.filter(|xid| bounds.failover || *xid == writer);
            actions.extend(given.map(|xid| Action::Commit { writer, xid }));
        }
        if bounds.failover && database.epoch == 0 {
            if state.standby != *database {
                actions.push(Action::Replicate);
            }
            actions.push(Action::FailOver);
        }
        if bounds.server_crash && !state.crashed {
            actions.push(Action::CrashServer);
        }
        let under_way = (0..).zip(&state.instances).filter(|(_, instance)| instance.late.is_some());
        actions.extend(under_way.map(|(at, _)| Action::ArriveLate { at }));
        if self.makes(Mistake::RowSweptBySomebody) {
            let silent = |row: &Row| !row.fenced && !state.instances[usize::from(row.owner)].lease_runs;
            let rows = database.members.iter().enumerate();
            let swept = rows.filter(|(_, row)| row.as_ref().is_some_and(silent));
            actions.extend(swept.map(|(incarnation, _)| Action::Sweep { incarnation }));
        }
    }

    fn time_actions(&self, state: &State, at: usize, actions: &mut Vec<Action>) {
        let instance = &state.instances[at];
        if instance.lease_runs {
            actions.push(Action::LeaseEnds { at });
        } else if instance.request.is_some_and(|request| !request.spent && request.outcome != Outcome::Refused) {
            // What was sent earlier is over earlier.
            actions.push(Action::RequestIsSpent { at });
        }
        let held = |epoch| state.instances.iter().any(|other| other.holds_from_before(epoch));
        if instance.silent && !instance.sight.is_some_and(held) {
            actions.push(Action::SilenceEnds { at });
        }
        if self.makes(Mistake::ClockByATicker) && instance.ticked != instance.lease_runs {
            actions.push(Action::Tick { at });
        }
    }

    fn life_actions(&self, state: &State, at: usize, actions: &mut Vec<Action>) {
        let (instance, role) = (&state.instances[at], self.bounds.roles[at]);
        if !instance.lives() {
            if role.start == Phase::Apart || state.used < self.bounds.incarnations {
                actions.push(Action::Start { at });
            }
            return;
        }
        if instance.crashes > 0 {
            actions.push(Action::Crash { at });
        }
        let has_row = state.database.row(instance.incarnation).is_some();
        match instance.phase {
            Phase::Joined | Phase::Registered if role.leaves => {
                actions.push(Action::Close { at });
                if self.makes(Mistake::RowDeletedBeforeTheGateCloses) && has_row {
                    actions.push(Action::Leave { at });
                }
            }
            Phase::Leaving => {
                let drained = state.call.is_none_or(|call| call.instance() != at);
                if drained || self.makes(Mistake::LeavingWithoutDraining) && has_row {
                    actions.push(Action::Leave { at });
                }
            }
            _ => {}
        }
    }

    fn member_actions(&self, state: &State, at: usize, actions: &mut Vec<Action>) {
        let (instance, database) = (&state.instances[at], &state.database);
        let member = matches!(instance.phase, Phase::Registered | Phase::Joined);
        match instance.request {
            Some(request) => {
                let under_way = request.outcome == Outcome::UnderWay;
                actions.push(if under_way { Action::Grant { at } } else { Action::Hear { at } });
                if self.bounds.losses && (!self.bounds.progress || state.lost < MAX_LOST) {
                    actions.push(Action::Lose { at });
                }
            }
            None if instance.phase == Phase::Fresh && state.used < self.bounds.incarnations => {
                actions.push(Action::Register { at });
            }
            None if member && self.may_renew(state, at) => actions.push(Action::Renew { at }),
            None => {}
        }
        let too_early = self.makes(Mistake::SnapshotBeforeTheRegistration) && instance.phase == Phase::Fresh;
        let news = || {
            let now = database.snapshot(&self.bounds.writers);
            now.epoch != instance.known.epoch || now.seen != instance.known.seen
        };
        match instance.poll {
            Some(_) if member => actions.push(Action::Apply { at }),
            None if too_early && instance.request.is_none() => actions.push(Action::Poll { at }),
            None if instance.phase == Phase::Registered => actions.push(Action::Poll { at }),
            None if instance.phase == Phase::Joined && news() => actions.push(Action::Poll { at }),
            _ => {}
        }
        let same = |row: &&Row| {
            self.same_history(row.epoch, database.epoch) && self.same_history(instance.epoch, database.epoch)
        };
        let row = database.row(instance.incarnation).filter(|row| !row.fenced).filter(same);
        if instance.phase == Phase::Joined && row.is_some_and(|row| row.reported != self.position_to_report(state, at))
        {
            actions.push(Action::Report { at });
        }
    }

    pub(crate) fn position_to_report(&self, state: &State, at: usize) -> Set {
        let instance = &state.instances[at];
        let polled = instance.poll.filter(|_| self.makes(Mistake::ConfirmationAtTheSnapshot));
        polled.map_or(instance.known.seen, |poll| instance.known.seen.and(poll.seen))
    }

    /// A renewal that is granted is bounded by its counter. One that is refused ends the incarnation.
    fn may_renew(&self, state: &State, at: usize) -> bool {
        let instance = &state.instances[at];
        let row = state.database.row(instance.incarnation);
        row.is_none_or(|row| {
            row.fenced || row.counter < self.bounds.renewals || !self.renews_in(instance.epoch, state.database.epoch)
        })
    }

    /// Whether a member of one history may renew in another.
    pub(crate) fn renews_in(&self, epoch: u8, other: u8) -> bool {
        self.same_history(epoch, other) || self.makes(Mistake::RenewalInAnyHistory)
    }

    fn judge_actions(&self, state: &State, at: usize, actions: &mut Vec<Action>) {
        let (instance, database) = (&state.instances[at], &state.database);
        if !self.bounds.roles[at].judges || !instance.lives() {
            return;
        }
        let Some(judge) = &instance.judge else {
            for (xid, writer) in (0..).zip(database.log) {
                let early = self.judges_early().then_some(xid);
                let Some(writer) = writer.or(early) else { continue };
                let change = self.bounds.writers.get(usize::from(writer));
                if change.is_some_and(|change| *change != Change::Bystands) && !state.acknowledged.has(writer) {
                    actions.push(Action::Look { at, xid });
                }
            }
            return;
        };
        if self.look_has_news(state, judge) {
            actions.push(Action::Look { at, xid: judge.xid });
        }
        for (incarnation, seen) in judge.rows.iter().enumerate() {
            match *seen {
                Seen::Settled => {}
                Seen::Waiting { counter } => {
                    let over = |row: &Row| {
                        state.instances[usize::from(row.owner)].is_over(incarnation as u8, counter)
                            && !(self.makes(Mistake::JudgeNeverLooksAgain) && row.counter != counter)
                    };
                    if database.members[incarnation].as_ref().is_some_and(over) {
                        actions.push(Action::Await { at, incarnation, counter });
                    }
                }
                Seen::Overdue { counter } => actions.push(Action::Fence { at, incarnation, counter }),
            }
        }
    }

    /// Whether a change is judged before it commits. Where numbers are not given again, they are those of the writers.
    fn judges_early(&self) -> bool {
        self.makes(Mistake::MembersBeforeTheCommit) || self.makes(Mistake::AcknowledgementBeforeTheCommit)
    }

    fn question_actions(&self, state: &State, at: usize, actions: &mut Vec<Action>) {
        let (instance, bounds) = (&state.instances[at], &self.bounds);
        if bounds.progress || !bounds.roles[at].is_asked || instance.phase != Phase::Joined {
            return;
        }
        for from in [Source::L1, Source::L2] {
            for key in [Key::Decision, Key::Ban] {
                let Some(entry) = state.cached(at, from, key) else { continue };
                let gate =
                    instance.gate_is_open(self) || key == Key::Ban && self.makes(Mistake::CachedPartWithTheLeaseOver);
                let usable = self.outlives(state, at, &entry);
                if gate && usable {
                    actions.push(Action::Answer { at, from, key });
                }
                // Nothing can be held against a question that is put before any acknowledgement.
                let first_check = if bounds.lease_last { usable } else { gate };
                let of_interest = !state.acknowledged.is_empty() || bounds.promotes && from == Source::L2;
                if state.call.is_none() && first_check && of_interest {
                    actions.push(Action::Ask { at, from, key });
                }
            }
        }
        if bounds.loads && state.call.is_none() {
            actions.push(Action::Load { at });
        }
    }

    /// The one comparison: the same history, and nothing that is known here could have changed the value.
    fn outlives(&self, state: &State, at: usize, entry: &Entry) -> bool {
        let instance = &state.instances[at];
        self.same_history(entry.epoch, instance.epoch) && entry.outlives(&instance.known)
    }

    fn call_actions(&self, state: &State, actions: &mut Vec<Action>) {
        let Some(call) = &state.call else { return };
        let at = call.instance();
        let instance = &state.instances[at];
        match call {
            Call::Asking { from, entry, incarnation, .. } => {
                let usable = if self.bounds.lease_last {
                    let same = instance.incarnation == *incarnation;
                    instance.gate_is_open(self) && (same || self.makes(Mistake::LeaseLastWithoutTheIncarnation))
                } else {
                    self.outlives(state, at, entry)
                };
                if usable {
                    actions.push(Action::AnswerCall);
                    if self.bounds.promotes && *from == Source::L2 {
                        actions.push(Action::Promote);
                    }
                }
            }
            Call::Loading { entry, follower, .. } => {
                let careless = self.makes(Mistake::FollowerUnchecked);
                if follower.is_none() && (instance.gate_is_open(self) || careless) {
                    actions.push(Action::Follow);
                }
                if follower.is_some() && (self.outlives(state, at, entry) || careless) {
                    actions.push(Action::AnswerCall);
                }
                if self.same_history(entry.epoch, instance.epoch) {
                    actions.push(Action::Fill { into: Source::L1 });
                }
                actions.push(Action::Fill { into: Source::L2 });
            }
        }
        actions.push(Action::GiveUp);
    }
}
