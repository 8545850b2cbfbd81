//! A condition as a model defines it.

use crate::model::{Module, Place};
use crate::relation::Text;

/// `condition valid_until(current_time: timestamp, expiry: timestamp) { current_time < expiry }`
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ConditionDefinition {
    /// Its name.
    pub name: Text,
    /// What it may read, in the order in which it was written.
    pub parameters: Vec<Parameter>,
    /// The expression in the Common Expression Language, as it was written but for comments and the gaps around it.
    pub expression: String,
    /// The module that defines it; none outside of modular models.
    pub module: Option<Module>,
    /// Where its name stands in the DSL; none for models that came as JSON.
    pub place: Option<Place>,
    /// Where its expression begins in the DSL.
    pub expression_place: Option<Place>,
}

/// A value that a condition may read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parameter {
    /// Its name.
    pub name: Text,
    /// Its type.
    pub kind: ParameterType,
}

/// The type of a [`Parameter`]. Where JSON has no such type, the value is written as text.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum ParameterType {
    /// Whatever JSON can say.
    Any,
    /// `true`, `false`
    Bool,
    /// Text.
    String,
    /// A signed integer of 64 bits, as a number without a fraction, or as text.
    Int,
    /// An unsigned integer of 64 bits, in the same way.
    Uint,
    /// A floating point number of 64 bits, as a number or as text.
    Double,
    /// Text as `1h30m`, `250ms`.
    Duration,
    /// Text as RFC 3339 has it: `2026-01-31T12:00:00Z`.
    Timestamp,
    /// Text: an IPv4 or IPv6 address.
    IpAddress,
    /// A list of one type.
    List(Box<ParameterType>),
    /// An object whose values have one type.
    Map(Box<ParameterType>),
}
