//! No relation is computed from itself, on whatever way through other relations of the same object.
//!
//! Only `define a: b` counts as a step. What goes through relationships (`[doc#a]`, `a from parent`) may well come back to the
//! same relation, because it comes back to another object.

use super::{Index, leaves};
use crate::model::Rewrite;
use crate::model::error::{Faults, ModelError, ModelErrorKind};

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Unseen,
    /// On the way that is being followed.
    Open,
    Done,
}

/// A search in depth with a stack of its own, because a chain of relations may be as long as a model.
pub(super) fn check(index: &mut Index<'_>, faults: &mut Faults) {
    let mut state = vec![State::Unseen; index.relations.len()];
    for start in 0..index.relations.len() {
        if state[start] != State::Unseen {
            continue;
        }
        state[start] = State::Open;
        let mut way = vec![(start, next_relations(index, start))];
        while let Some((at, next)) = way.last_mut() {
            let Some(next) = next.pop() else {
                state[*at] = State::Done;
                way.pop();
                continue;
            };
            match state[next] {
                State::Done => {}
                State::Unseen => {
                    state[next] = State::Open;
                    way.push((next, next_relations(index, next)));
                }
                State::Open => {
                    let from = way.iter().position(|&(number, _)| number == next).unwrap_or(0);
                    let ring: Vec<usize> = way[from..].iter().map(|&(number, _)| number).collect();
                    tell(index, &ring, faults);
                    for number in ring {
                        index.relations[number].faulty = true;
                    }
                }
            }
        }
    }
}

/// The relations that one is computed from, last first.
fn next_relations(index: &Index<'_>, number: usize) -> Vec<usize> {
    let relation = &index.relations[number];
    let mut found: Vec<usize> = leaves(&relation.definition.rewrite)
        .filter_map(|leaf| match leaf {
            Rewrite::Computed { relation: computed } => index.relation(&relation.of.name, computed),
            _ => None,
        })
        .collect();
    found.reverse();
    found
}

fn tell(index: &Index<'_>, ring: &[usize], faults: &mut Faults) {
    const SHOWN: usize = 8;
    let Some(&first) = ring.first() else { return };
    let name = |number: usize| format!("`{}`", index.relations[number].definition.name);
    let mut steps: Vec<String> = ring.iter().take(SHOWN).map(|&number| name(number)).collect();
    if ring.len() > SHOWN {
        steps.push("...".to_owned());
    }
    steps.push(name(first));
    let first = &index.relations[first];
    faults.push(
        ModelError::new(
            ModelErrorKind::Cycle,
            format!("{} is computed from itself: {}", first.named(), steps.join(" from ")),
            "take one of the steps away",
        )
        .of(first.site),
    );
}
