//! A function with its arguments.

use super::bounds::STEPS_PER_PATTERN;
use super::conversion;
use super::error::{Stop, shown};
use super::evaluate::{Answer, Machine, no_form};
use super::functions::Function;
use super::pattern::Pattern;
use super::time;
use super::value::Value;

impl Machine<'_> {
    pub(super) fn apply(&mut self, function: Function, values: &[Value]) -> Answer {
        match (function, values) {
            (Function::Equal, [one, two]) => self.equal(one, two).map(Value::Bool),
            (Function::NotEqual, [one, two]) => self.equal(one, two).map(|equal| Value::Bool(!equal)),
            (Function::Less | Function::LessOrEqual | Function::Greater | Function::GreaterOrEqual, [one, two]) => {
                self.ordered(function, one, two).map(Value::Bool)
            }
            (Function::In, [element, within]) => self.contains(element, within).map(Value::Bool),
            (Function::Index, [within, at]) => self.index(within, at),
            (Function::ToDyn, [value]) => Ok(value.clone()),
            (Function::ToKind, [value]) => Ok(Value::Kind(value.kind())),
            (Function::Not, [Value::Bool(value)]) => Ok(Value::Bool(!value)),
            (Function::Get(part), [time, zone @ ..]) => self.part(part, time, zone.first()),
            (
                Function::Add
                | Function::Subtract
                | Function::Multiply
                | Function::Divide
                | Function::Modulo
                | Function::Negate,
                _,
            ) => self.arithmetic(function, values),
            (Function::ToTimestamp, [time @ Value::Timestamp(_)])
            | (Function::ToDuration, [time @ Value::Duration(_)]) => Ok(time.clone()),
            (_, [value]) if function != Function::Size => self.converted(function, value),
            _ => self.about_text(function, values),
        }
    }

    fn converted(&mut self, function: Function, value: &Value) -> Answer {
        self.spend_look(value)?;
        if let Value::Timestamp(time) | Value::Duration(time) = value {
            // A timestamp is an int in whole seconds; everything else tells each nanosecond.
            match (function, value) {
                (Function::ToInt, Value::Timestamp(_)) => self.horizon.rounded(*time, time::NANOS_PER_SECOND),
                _ if time.slope != 0 => self.horizon.touch(),
                _ => {}
            }
        }
        conversion::convert(function, value)
    }

    fn about_text(&mut self, function: Function, values: &[Value]) -> Answer {
        let size = |size: usize| Value::Int(i64::try_from(size).unwrap_or(i64::MAX));
        Ok(match (function, values) {
            (Function::Size, [Value::String(text)]) => {
                self.budget.spend_bytes(text.len())?;
                size(text.chars().count())
            }
            (Function::Size, [Value::Bytes(bytes)]) => size(bytes.len()),
            (Function::Size, [Value::List(list)]) => size(list.len()),
            (Function::Size, [Value::Map(map)]) => size(map.len()),
            (_, [Value::String(text), Value::String(part)]) => {
                self.budget.spend_bytes(text.len())?;
                self.budget.spend_bytes(part.len())?;
                Value::Bool(match function {
                    Function::Contains => text.contains(&**part),
                    Function::StartsWith => text.starts_with(&**part),
                    Function::EndsWith => text.ends_with(&**part),
                    _ => {
                        self.budget.spend(STEPS_PER_PATTERN)?;
                        Pattern::compile(part).map_err(Stop::Failed)?.is_match(text, self.budget)?
                    }
                })
            }
            (Function::InCidr, [Value::Ip(address), Value::String(range)]) => {
                let range = conversion::cidr(range).ok_or_else(|| {
                    Stop::failed(format!("\"{}\" is no range such as \"192.0.2.0/24\"", shown(range)))
                })?;
                Value::Bool(conversion::in_cidr(*address, range))
            }
            _ => return Err(no_form("the function", &values.iter().collect::<Vec<_>>())),
        })
    }
}
