//! Conditions: expressions that decide, with what a question brings, whether a relationship counts.
//!
//! A condition is defined in the model ([`ConditionDefinition`]), named by a relationship, and evaluated with values of the relationship
//! and of the question ([`Context`]). Its error is never false.

mod context;
mod definition;

pub use context::Context;
pub use definition::{ConditionDefinition, Parameter, ParameterType};
mod stub;
pub use stub::*;
