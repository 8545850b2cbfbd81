//! Conditions: expressions that decide, with what a question brings, whether a relationship counts.
//!
//! A condition is defined in the model ([`ConditionDefinition`]), named by a relationship, and evaluated with values of the relationship
//! and of the question ([`Context`]). Its error is never false.
//!
//! [`Program::compile`] bounds the text (`scan`), has it parsed (`parse`), and gives every part a type (`check`). [`Program::evaluate`] turns what is
//! given into what was declared (`convert`) and walks the checked tree (`evaluate`, `apply`) within a [`Budget`]; `horizon` keeps how long
//! the outcome holds.
//!
//! ```
//! use std::sync::Arc;
//!
//! use authz::condition::{Budget, ConditionDefinition, DEFAULT_MAX_STEPS, Parameter, ParameterType, Program};
//! use serde_json::json;
//!
//! let parameter = |name: &str, kind| Parameter { name: Arc::from(name), kind };
//! let program = Program::compile(&ConditionDefinition {
//!     name: Arc::from("granted"),
//!     parameters: vec![parameter("now", ParameterType::Timestamp), parameter("expiry", ParameterType::Timestamp)],
//!     expression: "now < expiry".to_owned(),
//!     module: None,
//!     place: None,
//!     expression_place: None,
//! })
//! .expect("a good condition");
//!
//! let context = json!({"expiry": "2026-01-31T12:00:00Z"});
//! let noon = 1_769_860_800_000;
//! let mut budget = Budget::new(DEFAULT_MAX_STEPS);
//! let outcome = program.evaluate(&|name| context.get(name), Some(("now", noon - 5)), &mut budget)?;
//! assert!(outcome.met);
//! assert_eq!(outcome.until, Some(noon));
//! # Ok::<(), authz::condition::ConditionError>(())
//! ```

mod apply;
mod bounds;
mod budget;
mod check;
mod check_call;
mod compare;
mod context;
mod conversion;
mod convert;
mod definition;
mod error;
mod evaluate;
mod fault;
mod functions;
mod horizon;
mod node;
mod operators;
mod parse;
mod pattern;
mod program;
mod scan;
mod time;
mod times;
mod types;
mod value;

#[cfg(test)]
mod tests;

pub use bounds::{
    BYTES_PER_STEP, DEFAULT_MAX_STEPS, MAX_EXPRESSION_BYTES, MAX_EXPRESSION_DEPTH, MAX_FAULTS, MAX_NESTED_MACROS,
    MAX_PARAMETERS, MAX_PATTERN_BYTES, MAX_PATTERN_DEPTH, MAX_PATTERN_SIZE, MAX_QUOTED_CHARS, MAX_TYPE_DEPTH,
    MAX_VALUE_DEPTH,
};
pub use budget::Budget;
pub use context::Context;
pub use definition::{ConditionDefinition, Parameter, ParameterType};
pub use error::ConditionError;
pub use fault::ConditionFault;
pub use program::{Outcome, Program};
