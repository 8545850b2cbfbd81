//! What must hold in every state, what must happen in some, and what must come of every way to its end.

use stateright::Property;

use super::bounds::{Change, Role};
use super::database::Set;
use super::entry::{Key, Source};
use super::instance::{Instance, Outcome, Phase, Request};
use super::protocol::Protocol;
use super::state::{Answered, State};

/// The names of what must hold.
pub(crate) const NO_STALE_ALLOW: &str = "no stale allow";
pub(crate) const WHAT_IS_ACKNOWLEDGED_IS_COMMITTED: &str = "what is acknowledged is committed";
pub(crate) const THE_ACKNOWLEDGEMENT_COMES: &str = "the acknowledgement comes";

fn answered(state: &State, how: impl Fn(&Answered) -> bool) -> bool {
    state.answered.as_ref().is_some_and(how)
}

pub(crate) fn of(protocol: &Protocol) -> Vec<Property<Protocol>> {
    let bounds = &protocol.bounds;
    let mut properties = vec![
        Property::always(NO_STALE_ALLOW, |_, state: &State| !answered(state, |answered| answered.stale_allow)),
        Property::always(WHAT_IS_ACKNOWLEDGED_IS_COMMITTED, |_, state: &State| {
            state.database.writers().covers(state.acknowledged)
        }),
    ];
    if bounds.progress {
        // Once true it stays so: only a failover takes acknowledgements back, and it is behind us then. A search that meets a state on two ways needs that, for it goes on
        // from there once.
        properties.push(Property::eventually(THE_ACKNOWLEDGEMENT_COMES, |protocol: &Protocol, state: &State| {
            let writers = (0..).zip(&protocol.bounds.writers);
            let revoke = writers.filter(|(_, change)| **change != Change::Bystands);
            let all = revoke.fold(Set::default(), |all, (writer, _)| all.with(writer));
            state.acknowledged.covers(all) && (!protocol.bounds.failover || state.database.epoch > 0)
        }));
    }
    if protocol.mistake.is_some() {
        return properties;
    }
    sometimes(protocol, &mut properties);
    properties
}

fn sometimes(protocol: &Protocol, properties: &mut Vec<Property<Protocol>>) {
    let bounds = &protocol.bounds;
    let mut some = |name, condition: fn(&Protocol, &State) -> bool| {
        properties.push(Property::sometimes(name, condition));
    };
    some("a change is acknowledged", |_, state| !state.acknowledged.is_empty());
    some("a member is fenced", |_, state| state.database.members.iter().flatten().any(|row| row.fenced));
    some("a renewal is refused", |_, state| {
        let refused = |request: Request| request.outcome == Outcome::Refused;
        state.instances.iter().any(|instance| instance.request.is_some_and(refused))
    });
    some("an instance joins anew", |_, state| {
        let joined = |instance: &Instance| instance.phase == Phase::Joined;
        state.instances.iter().any(|instance| joined(instance) && usize::from(instance.incarnation) > 0)
    });
    some("an acknowledged change is in force by its lease's end alone", |_, state| {
        let unaware = |instance: &Instance| {
            instance.phase == Phase::Joined && instance.known.seen.is_empty() && !instance.lease_runs
        };
        !state.acknowledged.is_empty() && state.instances.iter().any(unaware)
    });
    if bounds.server_crash {
        some("the server crashes", |_, state| state.crashed);
    }
    if bounds.failover {
        some("another history is joined", |_, state| {
            state.instances.iter().any(|instance| instance.phase == Phase::Joined && instance.epoch > 0)
        });
        some("a change is acknowledged in another history", |_, state| {
            state.database.epoch > 0 && !state.acknowledged.is_empty()
        });
        some("a judge is silent", |_, state| state.instances.iter().any(|instance| instance.silent));
    }
    if bounds.roles.iter().any(|role| role.leaves) {
        some("an instance leaves", |_, state| state.database.members.iter().all(Option::is_none));
    }
    if bounds.roles.iter().all(|role| role.judges) {
        some("two judges are asked for the same", |_, state| {
            state.instances.iter().all(|instance| instance.judge.is_some())
        });
    }
    if bounds.progress {
        return;
    }
    for (source, _) in &bounds.warm {
        match source {
            Source::L1 => {
                some("L1 allows", |_, state| {
                    answered(state, |answered| answered.allow && answered.source == Source::L1)
                });
            }
            _ => {
                some("L2 allows", |_, state| {
                    answered(state, |answered| answered.allow && answered.source == Source::L2)
                });
            }
        }
    }
    // Otherwise nobody has to join anew but whoever was fenced, and knows after joining what it was fenced for.
    let comes_back = |role: &Role| role.is_asked && (role.crashes > 0 || role.leaves);
    if bounds.loads || bounds.roles.iter().any(comes_back) {
        some("an instance that has joined anew answers", |_, state| answered(state, |answered| answered.rejoined));
    }
    if bounds.warm.iter().any(|(_, key)| *key == Key::Ban) {
        some("an allow is composed", |_, state| answered(state, |answered| answered.allow && answered.composed));
    }
    if bounds.loads {
        some("a flight allows", |_, state| {
            answered(state, |answered| answered.allow && answered.source == Source::Flight)
        });
        some("L2 denies", |_, state| answered(state, |answered| !answered.allow && answered.source == Source::L2));
    }
}
