//! What can happen next, in the origin, in the instance, and to questions.

use super::call::{Call, Progress, fetch};
use super::instance::Poll;
use super::mistake::Mistake;
use super::origin::{Author, TAGS, Transaction, Xid, revision};
use super::protocol::Protocol;
use super::state::State;
use super::tier::{Entry, Key, PARTS, Source};

/// One step of somebody.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Action {
    // The origin, its log and its view.
    Begin {
        writer: u8,
    },
    Commit {
        xid: Xid,
    },
    RollBack {
        xid: Xid,
    },
    FailOver {
        kept: usize,
    },
    Trim,
    StartRefresh,
    EndRefresh,

    // The instance.
    Poll,
    ReadRows,
    ApplyStep,
    LosePosition,
    Forget {
        tag: usize,
    },
    Restart,

    // Others.
    PeerFills {
        key: Key,
    },

    // Questions.
    /// A question that is answered from a tier at once.
    Answer {
        from: Source,
    },
    Check,
    Hold {
        from: Source,
    },
    Load {
        parts: [bool; 2],
    },
    Follow {
        call: usize,
    },
    Open {
        call: usize,
        inside: Option<Xid>,
    },
    ApplyOwnPoll {
        call: usize,
    },
    AnswerCall {
        call: usize,
    },
    AnswerFollower {
        call: usize,
    },
    /// The entry that was checked is marked so.
    Mark {
        call: usize,
    },
    Promote {
        call: usize,
    },
    Fill {
        call: usize,
        into: Source,
        key: Key,
    },
    GiveUp {
        call: usize,
    },
}

impl Protocol {
    pub(crate) fn possible(&self, state: &State, actions: &mut Vec<Action>) {
        self.origin_actions(state, actions);
        self.instance_actions(state, actions);
        self.question_actions(state, actions);
    }

    fn origin_actions(&self, state: &State, actions: &mut Vec<Action>) {
        let (origin, bounds) = (&state.origin, &self.bounds);
        let has_room = origin.begun() < bounds.xids;
        for writer in 0..bounds.writers.len() as u8 {
            if has_room && origin.began(Author::Writer(writer)) == 0 {
                actions.push(Action::Begin { writer });
            }
        }
        for (xid, transaction) in origin.transactions() {
            if let Transaction::Open(Author::Writer(_)) = transaction {
                actions.push(Action::Commit { xid });
                if bounds.roll_backs {
                    actions.push(Action::RollBack { xid });
                }
            }
        }
        if bounds.failover && origin.epoch == 0 {
            actions.extend((0..=origin.commits().count()).map(|kept| Action::FailOver { kept }));
        }
        if bounds.trim && state.log.is_behind(origin) {
            actions.push(Action::Trim);
        }
        if state.view.refresh.is_some() {
            actions.push(Action::EndRefresh);
        } else if has_room && origin.began(Author::Refresh) < bounds.refreshes {
            actions.push(Action::StartRefresh);
        }
    }

    fn instance_actions(&self, state: &State, actions: &mut Vec<Action>) {
        let (instance, bounds) = (&state.instance, &self.bounds);
        match instance.poll {
            None => actions.push(Action::Poll),
            Some(Poll { rows_to_come: true, .. }) => actions.push(Action::ReadRows),
            Some(_) => actions.push(Action::ApplyStep),
        }
        if bounds.gaps && instance.joined && instance.position.is_some() && !instance.is_applying() {
            actions.push(Action::LosePosition);
        }
        if bounds.forget {
            actions.extend((0..TAGS).filter(|tag| self.may_forget(state, *tag)).map(|tag| Action::Forget { tag }));
        }
        if bounds.restart && !instance.restarted {
            actions.push(Action::Restart);
        }
        if bounds.peers {
            let peers_fill = |key| Action::PeerFills { key };
            actions.push(peers_fill(Key::Decision));
            actions
                .extend(PARTS.into_iter().zip(bounds.parts).filter(|(_, used)| *used).map(|(key, _)| peers_fill(key)));
        }
    }

    fn may_forget(&self, state: &State, tag: usize) -> bool {
        let killed_at = state.instance.horizon.killed_at(tag);
        let reaches = |entry: &Entry| entry.tags & (1 << tag) != 0 && !entry.stamp.contains(revision(killed_at));
        let needed = || state.instance.l1.entries().chain(state.l2.entries()).any(reaches);
        killed_at > 0 && !state.instance.is_applying() && !(self.makes(Mistake::ForgettingByAge) && needed())
    }

    fn question_actions(&self, state: &State, actions: &mut Vec<Action>) {
        let (instance, bounds) = (&state.instance, &self.bounds);
        for from in [Source::L1, Source::L2, Source::View] {
            if self.cached(state, from).is_some_and(|entry| instance.may_use(&entry, self)) {
                actions.push(Action::Answer { from });
            }
        }
        // Before it has joined an instance asks the origin alone and fills nothing: there is nothing to find in that.
        if instance.joined && state.calls[..bounds.calls].contains(&Call::Idle) {
            if let Some(entry) = self.cached(state, Source::L1).filter(|entry| !entry.checked)
                && (instance.may_use(&entry, self) || !self.makes(Mistake::HeadAfterLookup))
            {
                actions.push(Action::Check);
            }
            for from in [Source::L2, Source::View] {
                if self.cached(state, from).is_some() {
                    actions.push(Action::Hold { from });
                }
            }
            for parts in [[false, false], [false, true], [true, false], [true, true]] {
                let found = fetch(state, parts, self);
                let allowed = parts.iter().zip(bounds.parts).all(|(wanted, allowed)| !wanted || allowed);
                if allowed
                    && !bounds.fills.is_empty()
                    && parts.iter().zip(found).all(|(wanted, found)| !wanted || found.is_some())
                {
                    actions.push(Action::Load { parts });
                }
            }
        }
        for (call, of) in state.calls.iter().enumerate() {
            self.call_actions(state, call, of, actions);
        }
    }

    fn call_actions(&self, state: &State, call: usize, of: &Call, actions: &mut Vec<Action>) {
        let instance = &state.instance;
        match of {
            Call::Idle => return,
            Call::Checking { entry, .. } => {
                if self.makes(Mistake::HeadAfterLookup) || instance.may_use(entry, self) {
                    actions.push(Action::Mark { call });
                }
            }
            Call::Holding { entry, .. } => {
                if instance.may_use(entry, self) {
                    actions.extend([Action::AnswerCall { call }, Action::Promote { call }]);
                }
            }
            Call::Loading { load, .. } => {
                if self.bounds.flights && load.follower.is_none() {
                    actions.push(Action::Follow { call });
                }
                match load.progress {
                    Progress::Ticketed => self.open_actions(state, call, actions),
                    Progress::Open => {
                        // Appliers take turns: a half applied poll makes its news look old to the next one.
                        if !instance.is_applying() || self.makes(Mistake::AppliersInterleave) {
                            actions.push(Action::ApplyOwnPoll { call });
                        }
                    }
                    Progress::Ready => {
                        actions.push(Action::AnswerCall { call });
                        let result = load.result(Key::Decision, state, self);
                        if load.follower.is_some_and(|follower| follower.may_take(load, &result, state, self).is_some())
                        {
                            actions.push(Action::AnswerFollower { call });
                        }
                        for (into, key) in self.bounds.fills.iter().copied() {
                            let belongs = into != Source::L1 || self.same_log(result.epoch, instance.epoch);
                            if belongs && (key == Key::Decision || !load.composed) {
                                actions.push(Action::Fill { call, into, key });
                            }
                        }
                    }
                }
            }
        }
        actions.push(Action::GiveUp { call });
    }

    fn open_actions(&self, state: &State, call: usize, actions: &mut Vec<Action>) {
        actions.push(Action::Open { call, inside: None });
        if self.makes(Mistake::ReadInsideAWriter) {
            let open = state.origin.transactions().filter(|(xid, _)| state.origin.is_open(*xid));
            actions.extend(open.map(|(xid, _)| Action::Open { call, inside: Some(xid) }));
        }
    }
}
