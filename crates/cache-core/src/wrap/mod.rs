//! Wrappers: tiers around a tier. Each forwards every method by name, so that a method which the trait gains can't be bypassed by accident.

mod deadline;
mod late;
mod switch;

pub use deadline::Deadline;
pub use late::{Late, LateHandle};
pub use switch::{Switch, SwitchHandle};
