//! What must hold in every state, and what must happen in some: a promise that is kept because nothing happens is none.

use stateright::Property;

use super::call::Call;
use super::protocol::Protocol;
use super::state::State;
use super::tier::{Key, Source};

/// The names of what must hold.
pub(crate) const NO_STALE_ALLOW: &str = "no stale allow";
pub(crate) const CACHING_CHANGES_NO_ANSWER: &str = "caching changes no answer";

fn answered(state: &State, source: Source) -> bool {
    state.answered.is_some_and(|answered| answered.source == source)
}

pub(crate) fn of(protocol: &Protocol) -> Vec<Property<Protocol>> {
    let bounds = &protocol.bounds;
    let mut properties = vec![
        Property::always(NO_STALE_ALLOW, |_, state: &State| {
            !state.answered.is_some_and(|answered| answered.stale_allow)
        }),
        Property::always(CACHING_CHANGES_NO_ANSWER, |_, state: &State| {
            !state.answered.is_some_and(|answered| answered.never_true)
        }),
    ];
    if protocol.mistake.is_some() {
        return properties;
    }
    properties.push(Property::sometimes("L1 answers", |_, state| answered(state, Source::L1)));
    if !bounds.fills.is_empty() {
        properties.push(Property::sometimes("the origin answers", |_, state| answered(state, Source::Origin)));
    }
    if bounds.fills.contains(&(Source::L2, Key::Decision)) {
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
        properties
            .push(Property::sometimes("something is forgotten", |_, state: &State| state.instance.horizon.floor > 0));
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
