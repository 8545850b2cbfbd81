//! In the runs of progress every way ends. That something comes of every way is looked for at the ends of ways alone, so that one which
//! goes round in a circle would be passed over.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use stateright::Model;

use super::action::Action;
use super::bounds::Bounds;
use super::protocol::Protocol;
use super::state::State;

/// A state on the way that is gone at the moment, and what is still to be tried from it.
struct Step {
    digest: u64,
    state: State,
    untried: Vec<Action>,
}

fn digest(state: &State) -> u64 {
    let mut hasher = DefaultHasher::new();
    state.hash(&mut hasher);
    hasher.finish()
}

/// Depth first: a way that comes back to a state that lies on it is a circle.
fn every_way_ends(bounds: Bounds) {
    let name = bounds.name;
    let protocol = Protocol::sound(bounds);
    let step = |state: State| {
        let mut untried = Vec::new();
        protocol.actions(&state, &mut untried);
        Step { digest: digest(&state), state, untried }
    };
    // Whether the state lies on the way.
    let mut met = HashMap::new();
    let mut way: Vec<Step> = protocol.init_states().into_iter().map(step).collect();
    met.extend(way.iter().map(|first| (first.digest, true)));
    while let Some(last) = way.last_mut() {
        let Some(action) = last.untried.pop() else {
            met.insert(last.digest, false);
            way.pop();
            continue;
        };
        let next = protocol.next_state(&last.state, action).unwrap();
        match met.get(&digest(&next)) {
            Some(on_the_way) => assert!(!on_the_way, "the run {name:?} goes round by {action:?} from {:?}", last.state),
            None => {
                let next = step(next);
                met.insert(next.digest, true);
                way.push(next);
            }
        }
    }
    println!("{name}: all ways through {} states end", met.len());
}

#[test]
fn every_way_of_the_runs_of_progress_ends() {
    for bounds in [Bounds::progress(), Bounds::progress_of_two(), Bounds::progress_of_servers()] {
        every_way_ends(bounds);
    }
}
