//! The protocol as a model that can be searched: its bounds, its mistake if one is planted, and where everything else is.

use stateright::{Model, Property};

use super::action::Action;
use super::bounds::Bounds;
use super::checking::Run;
use super::mistake::Mistake;
use super::promises;
use super::state::State;
use super::tier::{Entry, Key, Source};

#[derive(Clone, Debug)]
pub(crate) struct Protocol {
    pub(crate) bounds: Bounds,
    pub(crate) mistake: Option<Mistake>,
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
}

impl Run for Protocol {
    fn name(&self) -> &'static str {
        self.bounds.name
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
        self.possible(state, actions);
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = *last;
        state.take(action, self);
        state.acknowledge(self);
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        promises::of(self)
    }
}
