//! The protocol as a model that can be searched: its bounds, its mistake if one is planted, and where everything else is.

use stateright::{Model, Property};

use super::action::Action;
use super::bounds::Bounds;
use super::checking::Run;
use super::mistake::Mistake;
use super::promises;
use super::state::State;

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

    pub(crate) fn same_history(&self, one: u8, other: u8) -> bool {
        one == other || self.makes(Mistake::IdentityMissing)
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
        vec![State::new(&self.bounds)]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if state.answered.is_none() {
            self.possible(state, actions);
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        let mut state = *last;
        state.take(action, self);
        if state.answered.is_none() {
            state.acknowledge(self);
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        promises::of(self)
    }
}
