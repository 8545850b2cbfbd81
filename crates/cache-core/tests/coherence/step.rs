//! What each action does.

use super::action::Action;
use super::database::{Database, Members, ROWS, Row, Set};
use super::entry::{Entry, Key, Source};
use super::instance::{Instance, Late, Outcome, Phase, Request};
use super::judge::Seen;
use super::mistake::Mistake;
use super::protocol::Protocol;
use super::state::{Call, State};

impl State {
    pub(crate) fn take(&mut self, action: Action, protocol: &Protocol) {
        match action {
            Action::Commit { .. }
            | Action::Grant { .. }
            | Action::ArriveLate { .. }
            | Action::Replicate
            | Action::FailOver
            | Action::CrashServer
            | Action::Sweep { .. } => self.take_at_server(action, protocol),
            Action::LeaseEnds { at } => self.instances[at].lease_runs = false,
            Action::RequestIsSpent { at } => {
                if let Some(request) = &mut self.instances[at].request {
                    request.spent = true;
                }
            }
            Action::SilenceEnds { at } => self.instances[at].silent = false,
            Action::Tick { at } => self.instances[at].ticked = self.instances[at].lease_runs,
            Action::Start { at }
            | Action::Register { at }
            | Action::Renew { at }
            | Action::Hear { at }
            | Action::Lose { at }
            | Action::Poll { at }
            | Action::Apply { at }
            | Action::Report { at }
            | Action::Close { at }
            | Action::Leave { at }
            | Action::Crash { at } => self.take_in_instance(at, action, protocol),
            Action::Look { at, xid } => self.look(at, xid, protocol),
            Action::Await { at, incarnation, counter } => {
                let passed_over = protocol.makes(Mistake::NoFencing);
                let seen = if passed_over { Seen::Settled } else { Seen::Overdue { counter } };
                self.settle(at, incarnation, seen);
            }
            Action::Fence { at, incarnation, counter } => self.fence(at, incarnation, counter, protocol),
            Action::Answer { .. }
            | Action::Ask { .. }
            | Action::Load { .. }
            | Action::Follow
            | Action::AnswerCall
            | Action::Promote
            | Action::Fill { .. }
            | Action::GiveUp => self.take_question(action, protocol),
        }
    }

    fn take_at_server(&mut self, action: Action, protocol: &Protocol) {
        match action {
            Action::Commit { writer, xid } => {
                self.database.log[usize::from(xid)] = Some(writer);
                self.flush(protocol);
            }
            Action::Grant { at } => self.grant(at, protocol),
            Action::ArriveLate { at } => self.arrive_late(at, protocol),
            Action::Replicate => self.standby = self.database,
            Action::FailOver => {
                self.database = Database { epoch: self.database.epoch + 1, ..self.standby };
                self.standby = Database::default();
                self.forget_lost_acknowledgements();
            }
            Action::CrashServer => {
                self.database.members =
                    if protocol.makes(Mistake::MembersLost) { Members::default() } else { self.flushed };
                (self.crashed, self.flushed) = (true, Members::default());
                for instance in &mut self.instances {
                    instance.request = instance.request.filter(|request| request.outcome != Outcome::UnderWay);
                }
            }
            Action::Sweep { incarnation } => self.database.members[incarnation] = None,
            _ => unreachable!("an action of the server"),
        }
    }

    fn grant(&mut self, at: usize, protocol: &Protocol) {
        let Instance { phase, incarnation, .. } = self.instances[at];
        let Some(mut request) = self.instances[at].request else { return };
        request.outcome = if phase == Phase::Fresh {
            request.epoch = self.database.epoch;
            self.register(at, incarnation, protocol)
        } else {
            self.renew(incarnation, request.epoch, protocol)
        };
        self.instances[at].request = Some(request);
    }

    /// `INSERT` of a new incarnation.
    fn register(&mut self, at: usize, incarnation: u8, protocol: &Protocol) -> Outcome {
        let row =
            Row { owner: at as u8, epoch: self.database.epoch, counter: 0, reported: Set::default(), fenced: false };
        self.database.members[usize::from(incarnation)] = Some(row);
        self.flush_unless(Mistake::RenewalNotDurable, protocol);
        Outcome::Granted { counter: 0 }
    }

    /// `UPDATE members SET counter = counter + 1 WHERE incarnation AND identity AND NOT fenced`.
    fn renew(&mut self, incarnation: u8, epoch: u8, protocol: &Protocol) -> Outcome {
        if epoch < self.database.epoch && protocol.makes(Mistake::RenewalAtTheOldServer) {
            return Outcome::Granted { counter: 0 };
        }
        let same = protocol.renews_in(epoch, self.database.epoch);
        let outcome = match self.database.row_mut(incarnation) {
            Some(row) if same && !row.fenced => {
                row.counter += 1;
                Outcome::Granted { counter: row.counter }
            }
            _ => Outcome::Refused,
        };
        self.flush_unless(Mistake::RenewalNotDurable, protocol);
        outcome
    }

    /// `UPDATE members SET position WHERE incarnation AND identity`. It needs no flush: if it is lost the judge waits longer.
    fn report(&mut self, incarnation: u8, epoch: u8, position: Set, protocol: &Protocol) {
        let same = protocol.same_history(epoch, self.database.epoch);
        if let Some(row) = self.database.row_mut(incarnation).filter(|_| same) {
            row.reported = position;
        }
    }

    fn arrive_late(&mut self, at: usize, protocol: &Protocol) {
        match self.instances[at].late.take() {
            Some(Late::Registration { incarnation }) => {
                self.register(at, incarnation, protocol);
            }
            Some(Late::Renewal { incarnation, epoch }) => {
                self.renew(incarnation, epoch, protocol);
            }
            Some(Late::Report { incarnation, epoch, position }) => {
                self.report(incarnation, epoch, position, protocol);
            }
            None => {}
        }
    }

    fn take_in_instance(&mut self, at: usize, action: Action, protocol: &Protocol) {
        let position = protocol.position_to_report(self, at);
        let polled = self.database.snapshot(&protocol.bounds.writers);
        let instance = &mut self.instances[at];
        match action {
            Action::Start { .. } => {
                let apart = protocol.bounds.roles[at].start == Phase::Apart;
                instance.phase = if apart { Phase::Apart } else { Phase::Fresh };
            }
            Action::Register { .. } => {
                (instance.incarnation, self.used) = (self.used, self.used + 1);
                instance.request = Some(Request { epoch: instance.epoch, spent: false, outcome: Outcome::UnderWay });
            }
            Action::Renew { .. } => {
                let stray = instance.stray.take().map(|counter| Outcome::Granted { counter });
                let outcome = stray.unwrap_or(Outcome::UnderWay);
                instance.request = Some(Request { epoch: instance.epoch, spent: false, outcome });
            }
            Action::Hear { .. } => instance.hear(protocol),
            Action::Lose { .. } => {
                instance.give_up(protocol);
                self.lost += u8::from(protocol.bounds.progress);
            }
            Action::Poll { .. } => instance.poll = Some(polled),
            Action::Apply { .. } => instance.apply(protocol),
            Action::Report { .. } => {
                let (incarnation, epoch) = (instance.incarnation, instance.epoch);
                if protocol.bounds.late {
                    instance.late = Some(Late::Report { incarnation, epoch, position });
                } else {
                    self.report(incarnation, epoch, position, protocol);
                }
            }
            Action::Close { .. } => {
                (instance.phase, instance.request, instance.poll) = (Phase::Leaving, None, None);
            }
            Action::Leave { .. } => self.leave(at, protocol),
            Action::Crash { .. } => {
                instance.crash();
                self.call = self.call.filter(|call| call.instance() != at);
            }
            _ => unreachable!("an action of an instance"),
        }
    }

    fn leave(&mut self, at: usize, protocol: &Protocol) {
        let instance = &mut self.instances[at];
        let row = usize::from(instance.incarnation);
        assert!(row < ROWS, "an incarnation has a row");
        self.database.members[row] = None;
        if instance.phase == Phase::Leaving && self.call.is_none_or(|call| call.instance() != at) {
            *instance = Instance { crashes: instance.crashes, ..Instance::default() };
        }
        self.flush(protocol);
    }

    fn take_question(&mut self, action: Action, protocol: &Protocol) {
        let asked = self.acknowledged;
        match (action, self.call) {
            (Action::Answer { at, from, key }, _) => {
                if let Some(entry) = self.cached(at, from, key) {
                    *self = self.answer(at, from, &entry, asked, protocol);
                }
            }
            (Action::Ask { at, from, key }, _) => {
                let incarnation = self.instances[at].incarnation;
                let asking = |entry| Call::Asking { instance: at as u8, from, entry, incarnation, acknowledged: asked };
                self.call = self.cached(at, from, key).map(asking);
            }
            (Action::Load { at }, _) => {
                let entry = Entry::read(Key::Decision, &self.database.snapshot(&protocol.bounds.writers));
                self.call = Some(Call::Loading { instance: at as u8, entry, follower: None });
            }
            (Action::Follow, Some(Call::Loading { instance, entry, .. })) => {
                self.call = Some(Call::Loading { instance, entry, follower: Some(asked) });
            }
            (Action::AnswerCall, Some(Call::Asking { instance, from, entry, acknowledged, .. })) => {
                *self = self.answer(usize::from(instance), from, &entry, acknowledged, protocol);
            }
            (Action::AnswerCall, Some(Call::Loading { instance, entry, follower: Some(asked) })) => {
                *self = self.answer(usize::from(instance), Source::Flight, &entry, asked, protocol);
            }
            (Action::Promote, Some(Call::Asking { instance, mut entry, .. })) => {
                if protocol.makes(Mistake::PromotionStampedNow) {
                    entry.contains = self.database.snapshot(&protocol.bounds.writers).seen;
                }
                self.instances[usize::from(instance)].l1.put(entry);
                self.call = None;
            }
            (Action::Fill { into, .. }, Some(Call::Loading { instance, entry, .. })) => {
                match into {
                    Source::L1 => self.instances[usize::from(instance)].l1.put(entry),
                    _ => self.l2.put(entry),
                }
                self.call = None;
            }
            (Action::GiveUp, _) => self.call = None,
            _ => unreachable!("an action that fits the call"),
        }
    }
}

impl Instance {
    /// A registration or a renewal gets no answer.
    fn give_up(&mut self, protocol: &Protocol) {
        let Some(request) = self.request.take() else { return };
        match request.outcome {
            Outcome::UnderWay if protocol.bounds.late && self.late.is_none() => {
                let Self { incarnation, epoch, .. } = *self;
                let registers = self.phase == Phase::Fresh;
                let late =
                    if registers { Late::Registration { incarnation } } else { Late::Renewal { incarnation, epoch } };
                self.late = Some(late);
            }
            Outcome::Granted { counter } if protocol.makes(Mistake::AnswerToAnEarlierRenewal) => {
                self.stray = (self.phase != Phase::Fresh).then_some(counter);
            }
            _ => {}
        }
    }

    /// The answer to a registration or a renewal. What is left of the time since it was sent is what the lease has.
    fn hear(&mut self, protocol: &Protocol) {
        let Some(request) = self.request.take() else { return };
        let runs = !request.spent || protocol.makes(Mistake::LeaseFromTheReply);
        match request.outcome {
            Outcome::Granted { .. } => {
                if self.phase == Phase::Fresh {
                    self.enter(request.epoch, protocol);
                    let at_once = protocol.makes(Mistake::StartWithoutTheLog);
                    self.phase = if at_once { Phase::Joined } else { Phase::Registered };
                }
                self.extend(runs);
            }
            Outcome::Refused => self.rejoin(),
            Outcome::UnderWay => unreachable!("what is under way has no answer"),
        }
    }

    fn apply(&mut self, protocol: &Protocol) {
        let Some(poll) = self.poll.take() else { return };
        if !protocol.same_history(self.epoch, poll.epoch) {
            self.rejoin();
            self.enter(poll.epoch, protocol);
            return;
        }
        self.known.epoch = poll.epoch;
        self.known.seen = self.known.seen.and(poll.seen);
        self.known.revoked = self.known.revoked.and(poll.revoked);
        self.known.banned = self.known.banned.and(poll.banned);
        self.phase = Phase::Joined;
    }
}
