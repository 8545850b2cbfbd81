//! The protocol as a model: what can happen next, what comes of it, and what must hold.

use stateright::{Model, Property};

use super::bounds::Bounds;
use super::call::{Call, Progress, fetch};
use super::instance::Poll;
use super::mistake::Mistake;
use super::origin::{Author, TAGS, Transaction, Xid};
use super::state::State;
use super::tier::{Entry, Key, PARTS, Source};

/// The names of what must hold.
pub(crate) const NO_STALE_ALLOW: &str = "no stale allow";
pub(crate) const CACHING_CHANGES_NO_ANSWER: &str = "caching changes no answer";

#[derive(Clone, Debug)]
pub(crate) struct Protocol {
    pub(crate) bounds: Bounds,
    pub(crate) mistake: Option<Mistake>,
}

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
    pub(crate) fn sound(bounds: Bounds) -> Self {
        Self { bounds, mistake: None }
    }

    pub(crate) fn makes(&self, mistake: Mistake) -> bool {
        self.mistake == Some(mistake)
    }

    /// Whether the highest revision applied plays a part; else it is not kept, because it would only multiply states.
    pub(crate) fn looks_at_the_highest(&self) -> bool {
        use Mistake::{ConfirmationByTheHighest, CursorByTheHighest, HeadFromRevision};
        [HeadFromRevision, CursorByTheHighest, ConfirmationByTheHighest].into_iter().any(|mistake| self.makes(mistake))
    }

    pub(crate) fn same_log(&self, one: u8, other: u8) -> bool {
        one == other || self.makes(Mistake::IdentityMissing)
    }

    /// Whether time may pass between a load's ticket and its first statement. Where nobody looks at that difference, the two are one step.
    pub(crate) fn opens_later(&self) -> bool {
        self.bounds.flights || self.makes(Mistake::ReadInsideAWriter)
    }

    /// What a tier or the view has of the decision, with its place's mark.
    pub(crate) fn cached(&self, state: &State, from: Source) -> Option<Entry> {
        match from {
            Source::L1 => state.instance.l1.get(Key::Decision, self),
            Source::L2 => state.l2.get(Key::Decision, self),
            Source::View => state.view.row,
            Source::Origin | Source::Flight => None,
        }
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
        let reaches =
            |entry: &Entry| entry.tags & (1 << tag) != 0 && !entry.stamp.contains(super::origin::revision(killed_at));
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

impl Model for Protocol {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::new(self.bounds.initial)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.answered.is_some() {
            return;
        }
        self.origin_actions(state, actions);
        self.instance_actions(state, actions);
        self.question_actions(state, actions);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = *last;
        state.take(action, self);
        state.acknowledge(self);
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let bounds = &self.bounds;
        let mut properties = vec![
            Property::always(NO_STALE_ALLOW, |_, state: &State| {
                !state.answered.is_some_and(|answered| answered.stale_allow)
            }),
            Property::always(CACHING_CHANGES_NO_ANSWER, |_, state: &State| {
                !state.answered.is_some_and(|answered| answered.never_true)
            }),
        ];
        if self.mistake.is_some() {
            return properties;
        }
        fn answered(state: &State, source: Source) -> bool {
            state.answered.is_some_and(|answered| answered.source == source)
        }
        properties.push(Property::sometimes("L1 answers", |_, state| answered(state, Source::L1)));
        if !bounds.fills.is_empty() {
            properties.push(Property::sometimes("the origin answers", |_, state| answered(state, Source::Origin)));
        }
        if bounds.fills.iter().any(|fill| *fill == (Source::L2, Key::Decision)) {
            properties.push(Property::sometimes("L2 answers", |_, state| answered(state, Source::L2)));
        }
        if bounds.refreshes > 0 {
            properties.push(Property::sometimes("the view answers", |_, state| answered(state, Source::View)));
        }
        if bounds.flights {
            properties.push(Property::sometimes("a flight answers", |_, state| answered(state, Source::Flight)));
        }
        if bounds.parts != [false; 2] {
            properties.push(Property::sometimes("a decision is composed", |_, state: &State| {
                state.calls.iter().any(|call| matches!(call, Call::Loading { load, .. } if load.composed))
            }));
        }
        if bounds.trim {
            properties.push(Property::sometimes("the log is trimmed", |_, state: &State| state.log.was_trimmed()));
            properties.push(Property::sometimes("the log is trimmed before it was read", |_, state: &State| {
                state.instance.joined && state.instance.horizon.floor > 0
            }));
        }
        if bounds.forget || bounds.gaps {
            properties.push(Property::sometimes("something is forgotten", |_, state: &State| {
                state.instance.horizon.floor > 0
            }));
        }
        if bounds.gaps {
            properties.push(Property::sometimes("a position is lost", |_, state: &State| {
                state.instance.joined && state.instance.position.is_none()
            }));
        }
        if bounds.restart {
            properties.push(Property::sometimes("a second life is served by a warm L2", |_, state: &State| {
                state.answered.is_some_and(|answered| answered.after_restart && answered.source == Source::L2)
            }));
        }
        if bounds.failover {
            properties.push(Property::sometimes("another history is joined", |_, state: &State| {
                state.instance.joined && state.instance.epoch > 0
            }));
        }
        properties
    }
}
