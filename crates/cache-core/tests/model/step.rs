//! What each action does.

use super::action::Action;
use super::call::{Call, Progress, fetch};
use super::instance::Poll;
use super::mistake::Mistake;
use super::origin::{Author, TAGS};
use super::protocol::Protocol;
use super::state::State;
use super::tier::{Entry, Key, Source};

impl State {
    pub(crate) fn take(&mut self, action: Action, protocol: &Protocol) {
        match action {
            Action::Begin { writer } => {
                self.origin.begin(Author::Writer(writer));
            }
            Action::Commit { xid } => {
                self.origin.commit(xid, &protocol.bounds.writers);
                self.moment_passes();
            }
            Action::RollBack { xid } => self.origin.roll_back(xid),
            Action::FailOver { kept } => {
                self.lose_history(kept);
                self.view.refresh = None;
                self.moment_passes();
            }
            Action::Trim => self.log.trim(&self.origin, protocol),
            Action::StartRefresh => self.view.start_refresh(&mut self.origin),
            Action::EndRefresh => self.view.end_refresh(&mut self.origin, protocol),
            Action::PeerFills { key } => {
                let stamp = self.origin.snapshot().stamp();
                self.l2.put(key, Entry::new(key, self.origin.facts(), stamp, self.origin.epoch), protocol);
            }
            Action::Poll
            | Action::ReadRows
            | Action::ApplyStep
            | Action::LosePosition
            | Action::Forget { .. }
            | Action::Restart => self.take_in_instance(action, protocol),
            Action::Answer { .. } | Action::Check | Action::Hold { .. } | Action::Load { .. } => {
                self.take_question(action, protocol);
            }
            Action::Follow { call }
            | Action::Open { call, .. }
            | Action::ApplyOwnPoll { call }
            | Action::AnswerCall { call }
            | Action::AnswerFollower { call }
            | Action::Mark { call }
            | Action::Promote { call }
            | Action::Fill { call, .. }
            | Action::GiveUp { call } => self.take_in_call(call, action, protocol),
        }
    }

    fn take_in_instance(&mut self, action: Action, protocol: &Protocol) {
        match action {
            Action::Poll => {
                let response = self.log.poll(&self.origin, self.instance.cursor(protocol), protocol);
                let rows_to_come = protocol.makes(Mistake::TrimByTruncate);
                self.instance.poll = Some(Poll { response, applied: 0, news: false, rows_to_come });
            }
            Action::ReadRows => {
                let cursor = self.instance.cursor(protocol);
                let Some(poll) = &mut self.instance.poll else { return };
                poll.rows_to_come = false;
                poll.response.kills = [0; TAGS];
                self.log.rows(&mut poll.response, &self.origin, cursor, &protocol.bounds.writers);
            }
            Action::ApplyStep => self.apply_step(protocol),
            Action::LosePosition => (self.instance.position, self.instance.poll) = (None, None),
            Action::Forget { tag } => {
                let head = self.instance.forget(tag, protocol);
                self.head_did(head);
            }
            Action::Restart => {
                self.instance.restart();
                self.calls.fill(Call::Idle);
            }
            _ => unreachable!("an action of the instance"),
        }
    }

    fn apply_step(&mut self, protocol: &Protocol) {
        let Some(poll) = self.instance.poll else { return };
        if !protocol.same_log(poll.response.epoch, self.instance.epoch) {
            self.rejoin(poll.response.epoch);
            return;
        }
        if poll.applied == 0 && protocol.makes(Mistake::DeletionOnly) {
            let killed = (0..TAGS).filter(|tag| poll.response.kills[*tag] > 0).fold(0, |tags, tag| tags | 1 << tag);
            self.instance.l1.delete(killed);
            self.l2.delete(killed);
        }
        let head = self.instance.apply_step(protocol);
        self.head_did(head);
    }

    fn take_question(&mut self, action: Action, protocol: &Protocol) {
        let call = match action {
            Action::Answer { from } => {
                if let Some(entry) = protocol.cached(self, from) {
                    *self = self.answer(from, entry.value, entry.mixed, self.moments());
                }
                return;
            }
            Action::Check => protocol.cached(self, Source::L1).map(|entry| Call::Checking { entry, head: true }),
            Action::Hold { from } => protocol.cached(self, from).map(|entry| Call::Holding {
                from,
                entry: entry.unchecked(),
                moments: self.moments(),
            }),
            Action::Load { parts } => {
                let mut call = Call::load(self, fetch(self, parts, protocol));
                if let Call::Loading { load, .. } = &mut call
                    && !protocol.opens_later()
                {
                    load.open(self, None, protocol);
                }
                Some(call)
            }
            _ => unreachable!("an action that puts a question"),
        };
        let idle = self.calls.iter_mut().find(|call| **call == Call::Idle);
        if let (Some(place), Some(call)) = (idle, call) {
            *place = call;
        }
        self.calls[..protocol.bounds.calls].sort_unstable();
    }

    fn take_in_call(&mut self, at: usize, action: Action, protocol: &Protocol) {
        let before = *self;
        let mut call = std::mem::replace(&mut self.calls[at], Call::Idle);
        match (action, &mut call) {
            (Action::Follow { .. }, Call::Loading { load, .. }) => load.follow(&before),
            (Action::Open { inside, .. }, Call::Loading { load, .. }) => load.open(&before, inside, protocol),
            (Action::ApplyOwnPoll { .. }, Call::Loading { load, .. }) => {
                let Some(response) = load.take_response() else { return };
                self.calls[at] = call;
                self.apply_own_poll(at, &response, protocol);
                return;
            }
            (Action::AnswerCall { .. }, Call::Holding { from, entry, moments }) => {
                *self = before.answer(*from, entry.value, entry.mixed, *moments);
                return;
            }
            (Action::AnswerCall { .. }, Call::Loading { load, moments }) => {
                let result = load.result(Key::Decision, &before, protocol);
                *self = before.answer(Source::Origin, result.value, result.mixed, *moments);
                return;
            }
            (Action::AnswerFollower { .. }, Call::Loading { load, .. }) => {
                let result = load.result(Key::Decision, &before, protocol);
                if let Some(moments) =
                    load.follower.and_then(|follower| follower.may_take(load, &result, &before, protocol))
                {
                    *self = before.answer(Source::Flight, result.value, result.mixed, moments);
                }
                return;
            }
            (Action::Mark { .. }, Call::Checking { entry, head }) => {
                let checked = *head || protocol.makes(Mistake::HeadAfterLookup);
                if self.instance.l1.get(Key::Decision, protocol) == Some(*entry) {
                    self.instance.l1.put(Key::Decision, Entry { checked, ..*entry }, protocol);
                }
                call = Call::Idle;
            }
            (Action::Promote { .. }, Call::Holding { entry, .. }) => {
                let mut promoted = entry.unchecked();
                if protocol.makes(Mistake::PromotionStampedNow) {
                    promoted.stamp = self.origin.snapshot().stamp();
                }
                self.instance.l1.put(Key::Decision, promoted, protocol);
                call = Call::Idle;
            }
            (Action::Fill { into, key, .. }, Call::Loading { load, .. }) => {
                let result = load.result(key, &before, protocol);
                if into == Source::L1 {
                    self.instance.l1.put(key, result, protocol);
                } else {
                    self.l2.put(key, result.unchecked(), protocol);
                }
                call = Call::Idle;
            }
            (Action::GiveUp { .. }, _) => call = Call::Idle,
            _ => unreachable!("an action that fits the call"),
        }
        self.calls[at] = call;
        self.calls[..protocol.bounds.calls].sort_unstable();
    }

    /// What the load's transaction saw of the log is applied before any cached part is judged.
    fn apply_own_poll(&mut self, at: usize, response: &super::log::Response, protocol: &Protocol) {
        if !protocol.same_log(response.epoch, self.instance.epoch) {
            self.rejoin(response.epoch);
        } else {
            let head = self.instance.apply_at_once(response, protocol);
            self.head_did(head);
        }
        let before = *self;
        if let Call::Loading { load, .. } = &mut self.calls[at]
            && load.progress == Progress::Open
        {
            load.judge(&before, protocol);
        }
        self.calls[..protocol.bounds.calls].sort_unstable();
    }
}
