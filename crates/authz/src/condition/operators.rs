//! Operators that make a value of others: arithmetic fails rather than wraps.

use super::error::Stop;
use super::evaluate::{Answer, Machine, missing_key, no_form};
use super::functions::Function;
use super::value::{Key, Value};

pub(super) fn overflow() -> Stop {
    Stop::failed("a number left the range of its type")
}

impl Machine<'_> {
    pub(super) fn arithmetic(&mut self, function: Function, values: &[Value]) -> Answer {
        match values {
            [Value::Int(one), Value::Int(two)] => int(function, *one, *two).map(Value::Int),
            [Value::Uint(one), Value::Uint(two)] => uint(function, *one, *two).map(Value::Uint),
            [Value::Double(one), Value::Double(two)] if function != Function::Modulo => {
                Ok(Value::Double(match function {
                    Function::Add => one + two,
                    Function::Subtract => one - two,
                    Function::Multiply => one * two,
                    _ => one / two,
                }))
            }
            [Value::Int(value)] => value.checked_neg().map(Value::Int).ok_or_else(overflow),
            [Value::Double(value)] => Ok(Value::Double(-value)),
            [Value::Timestamp(one) | Value::Duration(one), Value::Timestamp(two) | Value::Duration(two)] => {
                self.times(function, values, *one, *two)
            }
            [one, two] if function == Function::Add => self.joined(one, two),
            _ => Err(no_form("the operator", &values.iter().collect::<Vec<_>>())),
        }
    }

    /// Texts, bytes and lists, one behind the other.
    fn joined(&mut self, one: &Value, two: &Value) -> Answer {
        match (one, two) {
            (Value::String(one), Value::String(two)) => {
                self.budget.spend_bytes(one.len() + two.len())?;
                Ok(Value::text(format!("{one}{two}")))
            }
            (Value::Bytes(one), Value::Bytes(two)) => {
                self.budget.spend_bytes(one.len() + two.len())?;
                Ok(Value::Bytes(one.iter().chain(two.iter()).copied().collect()))
            }
            (Value::List(one), Value::List(two)) => {
                self.budget.spend_elements(one.len() + two.len())?;
                Ok(Value::list(one.iter().chain(two.iter()).cloned().collect()))
            }
            _ => Err(no_form("`+`", &[one, two])),
        }
    }

    pub(super) fn index(&mut self, within: &Value, at: &Value) -> Answer {
        match within {
            Value::List(list) => {
                let position = match at {
                    Value::Int(_) | Value::Uint(_) | Value::Double(_) => at.key(),
                    _ => return Err(no_form("`[]`", &[within, at])),
                };
                let found = match position {
                    Some(Key::Number(position)) => usize::try_from(position).ok(),
                    _ => None,
                };
                let found = found.and_then(|position| list.get(position)).cloned();
                found.ok_or_else(|| Stop::failed(format!("a list of {} has no such position", list.len())))
            }
            Value::Map(map) => {
                self.spend_look(at)?;
                let found = at.key().and_then(|key| map.get(&key)).map(|(_, value)| value.clone());
                found.ok_or_else(|| match at {
                    Value::String(key) => missing_key(key),
                    other => Stop::failed(format!("the map has no such {}", other.kind())),
                })
            }
            _ => Err(no_form("`[]`", &[within, at])),
        }
    }
}

fn int(function: Function, one: i64, two: i64) -> Result<i64, Stop> {
    if two == 0 && matches!(function, Function::Divide | Function::Modulo) {
        return Err(Stop::failed("a number was divided by zero"));
    }
    match function {
        Function::Add => one.checked_add(two),
        Function::Subtract => one.checked_sub(two),
        Function::Multiply => one.checked_mul(two),
        Function::Divide => one.checked_div(two),
        _ => one.checked_rem(two),
    }
    .ok_or_else(overflow)
}

fn uint(function: Function, one: u64, two: u64) -> Result<u64, Stop> {
    if two == 0 && matches!(function, Function::Divide | Function::Modulo) {
        return Err(Stop::failed("a number was divided by zero"));
    }
    match function {
        Function::Add => one.checked_add(two),
        Function::Subtract => one.checked_sub(two),
        Function::Multiply => one.checked_mul(two),
        Function::Divide => one.checked_div(two),
        _ => one.checked_rem(two),
    }
    .ok_or_else(overflow)
}
