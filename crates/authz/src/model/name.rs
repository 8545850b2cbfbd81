//! Names of conditions and of their parameters: what may be a type's name may be one of these.

use crate::relation::{IdentError, Text, check_type};

/// A checked name of a condition.
///
/// # Errors
/// Where it is empty, too long, or holds a character that it may not.
pub fn check_condition(name: &str) -> Result<Text, IdentError> {
    check("the condition", name)
}

/// A checked name of a parameter.
pub(super) fn check_parameter(name: &str) -> Result<Text, IdentError> {
    check("the parameter", name)
}

/// The rules are those of a type's name; what differs is what a message calls it.
fn check(called: &'static str, name: &str) -> Result<Text, IdentError> {
    check_type(name).map_err(|mut error| {
        if let IdentError::Empty { what, .. } | IdentError::TooLong { what, .. } | IdentError::Character { what, .. } =
            &mut error
        {
            *what = called;
        }
        error
    })
}
