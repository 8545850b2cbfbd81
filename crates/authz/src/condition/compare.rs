//! Comparisons: numbers are compared exactly, whatever their types.

use std::cmp::Ordering;

use super::error::Stop;
use super::evaluate::{Machine, no_form};
use super::functions::Function;
use super::horizon::Threshold;
use super::value::Value;

impl Machine<'_> {
    pub(super) fn ordered(&mut self, function: Function, one: &Value, two: &Value) -> Result<bool, Stop> {
        let order = match (one, two) {
            (Value::Timestamp(one), Value::Timestamp(two)) | (Value::Duration(one), Value::Duration(two)) => {
                return Ok(self.ordered_times(function, *one, *two));
            }
            (Value::Bool(one), Value::Bool(two)) => Some(one.cmp(two)),
            (Value::String(one), Value::String(two)) => {
                self.budget.spend_bytes(one.len().min(two.len()))?;
                Some(one.cmp(two))
            }
            (Value::Bytes(one), Value::Bytes(two)) => {
                self.budget.spend_bytes(one.len().min(two.len()))?;
                Some(one.cmp(two))
            }
            _ if is_number(one) && is_number(two) => numbers(one, two),
            _ => return Err(no_form("the comparison", &[one, two])),
        };
        // What is not a number is neither below nor above anything.
        Ok(order.is_some_and(|order| match function {
            Function::Less => order.is_lt(),
            Function::LessOrEqual => order.is_le(),
            Function::Greater => order.is_gt(),
            _ => order.is_ge(),
        }))
    }

    /// Equality goes through lists and maps. Values of different types are not equal, except that numbers are compared as such.
    pub(super) fn equal(&mut self, one: &Value, two: &Value) -> Result<bool, Stop> {
        self.budget.spend(1)?;
        Ok(match (one, two) {
            (Value::Timestamp(one), Value::Timestamp(two)) | (Value::Duration(one), Value::Duration(two)) => {
                let difference = self.difference(*one, *two);
                self.horizon.compared(difference, Threshold(0));
                self.horizon.compared(difference, Threshold(1));
                difference.nanos == 0
            }
            (Value::String(one), Value::String(two)) => {
                self.budget.spend_bytes(one.len().min(two.len()))?;
                one == two
            }
            (Value::Bytes(one), Value::Bytes(two)) => {
                self.budget.spend_bytes(one.len().min(two.len()))?;
                one == two
            }
            (Value::Bool(one), Value::Bool(two)) => one == two,
            (Value::Kind(one), Value::Kind(two)) => one == two,
            (Value::Null, Value::Null) => true,
            (Value::Ip(one), Value::Ip(two)) => one == two,
            (Value::Ip(_), Value::Null) | (Value::Null, Value::Ip(_)) => false,
            (Value::Ip(_), _) | (_, Value::Ip(_)) => return Err(no_form("the comparison", &[one, two])),
            (Value::List(one), Value::List(two)) => {
                if one.len() != two.len() {
                    return Ok(false);
                }
                for (one, two) in one.iter().zip(two.iter()) {
                    if !self.equal(one, two)? {
                        return Ok(false);
                    }
                }
                true
            }
            (Value::Map(one), Value::Map(two)) => {
                if one.len() != two.len() {
                    return Ok(false);
                }
                for (key, (name, value)) in one.iter() {
                    self.spend_look(name)?;
                    match two.get(key) {
                        Some((_, other)) if self.equal(value, other)? => {}
                        _ => return Ok(false),
                    }
                }
                true
            }
            _ => is_number(one) && is_number(two) && numbers(one, two) == Some(Ordering::Equal),
        })
    }

    pub(super) fn contains(&mut self, element: &Value, within: &Value) -> Result<bool, Stop> {
        match within {
            Value::List(list) => {
                for other in list.iter() {
                    if self.equal(element, other)? {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Value::Map(map) => {
                self.spend_look(element)?;
                Ok(element.key().is_some_and(|key| map.contains_key(&key)))
            }
            _ => Err(no_form("`in`", &[element, within])),
        }
    }
}

const fn is_number(value: &Value) -> bool {
    matches!(value, Value::Int(_) | Value::Uint(_) | Value::Double(_))
}

/// Numbers of any type, exactly; nothing can be said of what is not a number.
fn numbers(one: &Value, two: &Value) -> Option<Ordering> {
    let whole = |value: &Value| match value {
        Value::Int(value) => Some(i128::from(*value)),
        Value::Uint(value) => Some(i128::from(*value)),
        _ => None,
    };
    match (one, two) {
        (Value::Double(one), Value::Double(two)) => one.partial_cmp(two),
        (Value::Double(one), two) => whole(two).and_then(|two| against(*one, two)),
        (one, Value::Double(two)) => whole(one).and_then(|one| against(*two, one)).map(Ordering::reverse),
        (one, two) => whole(one).zip(whole(two)).map(|(one, two)| one.cmp(&two)),
    }
}

/// A double against a whole number of at most 64 bits.
#[expect(clippy::cast_possible_truncation, reason = "beyond 128 bits the cast saturates, which compares rightly")]
fn against(one: f64, two: i128) -> Option<Ordering> {
    if one.is_nan() {
        return None;
    }
    let order = (one.trunc() as i128).cmp(&two);
    Some(order.then_with(|| one.fract().partial_cmp(&0.0).unwrap_or(Ordering::Equal)))
}
