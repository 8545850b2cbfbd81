//! Operators: arithmetic that fails rather than wraps, comparisons that tell how long they hold.

use std::cmp::Ordering;

use super::error::Stop;
use super::evaluate::{Answer, Machine, missing_key, no_form};
use super::functions::Function;
use super::horizon::Threshold;
use super::time::{self, Part};
use super::value::{Moving, Value};

fn overflow() -> Stop {
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

    fn times(&mut self, function: Function, values: &[Value], one: Moving, two: Moving) -> Answer {
        use Value::{Duration, Timestamp};
        let is_timestamp = match (function, values) {
            (Function::Add, [Timestamp(_), Duration(_)] | [Duration(_), Timestamp(_)])
            | (Function::Subtract, [Timestamp(_), Duration(_)]) => true,
            (Function::Add | Function::Subtract, [Duration(_), Duration(_)])
            | (Function::Subtract, [Timestamp(_), Timestamp(_)]) => false,
            _ => return Err(no_form("the operator", &values.iter().collect::<Vec<_>>())),
        };
        let (nanos, slope) = if function == Function::Add {
            (one.nanos + two.nanos, one.slope.checked_add(two.slope))
        } else {
            (one.nanos - two.nanos, one.slope.checked_sub(two.slope))
        };
        let (from, to) =
            if is_timestamp { (time::FIRST, time::LAST) } else { (i128::from(i64::MIN), i128::from(i64::MAX)) };
        if !(from..=to).contains(&nanos) {
            return Err(overflow());
        }
        let slope = slope.unwrap_or_else(|| {
            self.horizon.touch();
            0
        });
        let result = Moving { nanos, slope };
        self.horizon.within(result, from, to);
        Ok(if is_timestamp { Timestamp(result) } else { Duration(result) })
    }

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

    fn ordered_times(&mut self, function: Function, one: Moving, two: Moving) -> bool {
        let difference = self.difference(one, two);
        // All four are `difference < threshold`, or its opposite.
        let threshold = i128::from(matches!(function, Function::LessOrEqual | Function::Greater));
        self.horizon.compared(difference, Threshold(threshold));
        let below = difference.nanos < threshold;
        below == matches!(function, Function::Less | Function::LessOrEqual)
    }

    fn difference(&mut self, one: Moving, two: Moving) -> Moving {
        let slope = one.slope.checked_sub(two.slope).unwrap_or_else(|| {
            self.horizon.touch();
            0
        });
        Moving { nanos: one.nanos - two.nanos, slope }
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

    pub(super) fn index(&mut self, within: &Value, at: &Value) -> Answer {
        match within {
            Value::List(list) => {
                let position = match at {
                    Value::Int(_) | Value::Uint(_) | Value::Double(_) => at.key(),
                    _ => return Err(no_form("`[]`", &[within, at])),
                };
                let found = match position {
                    Some(super::value::Key::Number(position)) => usize::try_from(position).ok(),
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

    pub(super) fn part(&mut self, part: Part, time: &Value, zone: Option<&Value>) -> Answer {
        let value = match (time, zone) {
            (Value::Duration(time), None) => {
                // Towards zero, units end on the other side of a multiple.
                if time.slope != 0 && time.nanos < 0 {
                    self.horizon.touch();
                }
                self.horizon.rounded(*time, part.unit());
                part.of_duration(time.nanos)
            }
            (Value::Timestamp(time), zone) => {
                let offset = match zone {
                    None => 0,
                    Some(Value::String(text)) => time::zone(text).ok_or_else(|| {
                        let shown = super::error::shown(text);
                        Stop::failed(format!(
                            "\"{shown}\" is no time zone that is supported; offsets such as \"+02:00\" are"
                        ))
                    })?,
                    Some(other) => return Err(no_form("the part of a time", &[other])),
                };
                let local = Moving { nanos: time.nanos + i128::from(offset) * time::NANOS_PER_SECOND, ..*time };
                self.horizon.rounded(local, part.unit());
                part.of_timestamp(local.nanos)
            }
            (other, _) => return Err(no_form("the part of a time", &[other])),
        };
        value.map(Value::Int).ok_or_else(overflow)
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
