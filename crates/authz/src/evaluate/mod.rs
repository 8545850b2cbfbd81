//! Evaluation: from a model and relationships to an answer, with what the answer rests on.
//!
//! [`Plan`] is a model made ready; [`Graph`] is one question on its way. Neither does I/O: the decision point drives them, and so do tests.

mod account;
mod context;
mod graph;
mod judge;
pub mod list;
mod plan;
pub(crate) mod tags;

pub use account::Account;
pub use graph::{Graph, Justified, MAX_PATH_STEPS, NodeId, Operator, PathStep, Provenance, ReadId, TooComplex};
pub use judge::{Judge, Judged, Judgement, NoConditions};
pub use plan::Plan;
pub(crate) use plan::Rules;

use crate::condition::DEFAULT_MAX_STEPS;

/// The bounds of one evaluation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// The most objects in a row on the way from the question to a relationship. OpenFGA's default.
    pub max_depth: usize,
    /// The most pairs of object and relation that are looked at.
    pub max_nodes: usize,
    /// The most look-ups.
    pub max_reads: usize,
    /// The most links from enumerations to objects, counted for each way. They bound the time that an evaluation computes between two reads.
    pub max_edges: usize,
    /// The most tags of a read set before it is coarsened.
    pub max_read_set: usize,
    /// The most steps of conditions.
    pub max_condition_steps: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_depth: 25,
            max_nodes: 10_000,
            max_reads: 10_000,
            max_edges: 500_000,
            max_read_set: 48,
            max_condition_steps: DEFAULT_MAX_STEPS,
        }
    }
}
