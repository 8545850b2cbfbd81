//! A given value becomes what its parameter was declared as, or is refused: nothing is guessed, rounded or cut off.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use serde_json::Value as Json;

use super::ParameterType;
use super::bounds::MAX_VALUE_DEPTH;
use super::budget::Budget;
use super::error::{Stop, shown};
use super::time;
use super::value::{Key, Moving, Value, whole};

/// Why a value was refused.
pub(super) enum Refusal {
    Type { expected: String, found: String },
    Stop(Stop),
}

impl From<Stop> for Refusal {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

/// Converts a value; a value costs what it takes to look at it.
pub(super) fn convert(json: &Json, to: &ParameterType, budget: &mut Budget) -> Result<Value, Refusal> {
    Converter { budget }.convert(json, to, MAX_VALUE_DEPTH)
}

struct Converter<'b> {
    budget: &'b mut Budget,
}

impl Converter<'_> {
    fn convert(&mut self, json: &Json, to: &ParameterType, depth: usize) -> Result<Value, Refusal> {
        self.budget.spend(1)?;
        if let Json::String(text) = json {
            self.budget.spend_bytes(text.len())?;
        }
        let Some(depth) = depth.checked_sub(1) else {
            let limit = u64::try_from(MAX_VALUE_DEPTH).unwrap_or(u64::MAX);
            return Err(Stop::Exceeded { bound: "levels in a given value", limit }.into());
        };
        match (to, json) {
            (ParameterType::List(element), Json::Array(values)) => self.list(values, element, depth),
            (ParameterType::Map(value), Json::Object(fields)) => self.map(fields, value, depth),
            (ParameterType::Any, Json::Array(values)) => self.list(values, &ParameterType::Any, depth),
            (ParameterType::Any, Json::Object(fields)) => self.map(fields, &ParameterType::Any, depth),
            _ => scalar(json, to).ok_or_else(|| Refusal::Type { expected: expected(to), found: found(json) }),
        }
    }

    fn list(&mut self, values: &[Json], element: &ParameterType, depth: usize) -> Result<Value, Refusal> {
        values.iter().map(|value| self.convert(value, element, depth)).collect::<Result<_, _>>().map(Value::list)
    }

    fn map(
        &mut self,
        fields: &serde_json::Map<String, Json>,
        kind: &ParameterType,
        depth: usize,
    ) -> Result<Value, Refusal> {
        let mut entries = BTreeMap::new();
        for (name, value) in fields {
            self.budget.spend_bytes(name.len())?;
            let name: Arc<str> = Arc::from(name.as_str());
            let value = self.convert(value, kind, depth)?;
            entries.insert(Key::String(Arc::clone(&name)), (Value::String(name), value));
        }
        Ok(Value::Map(Arc::new(entries)))
    }
}

fn scalar(json: &Json, to: &ParameterType) -> Option<Value> {
    Some(match (to, json) {
        (ParameterType::Any, Json::Null) => Value::Null,
        (ParameterType::Any | ParameterType::Bool, Json::Bool(value)) => Value::Bool(*value),
        (ParameterType::Any | ParameterType::String, Json::String(text)) => Value::text(text.as_str()),
        // JSON knows one type of numbers, as the reference engine reads it.
        (ParameterType::Any | ParameterType::Double, Json::Number(number)) => Value::Double(number.as_f64()?),
        (ParameterType::Int, _) => Value::Int(i64::try_from(integer(json)?).ok()?),
        (ParameterType::Uint, _) => Value::Uint(u64::try_from(integer(json)?).ok()?),
        (ParameterType::Double, Json::String(text)) => Value::Double(double(text)?),
        (ParameterType::Duration, Json::String(text)) => {
            Value::Duration(Moving::fixed(i128::from(time::duration(text)?)))
        }
        (ParameterType::Timestamp, Json::String(text)) => Value::Timestamp(Moving::fixed(time::timestamp(text)?)),
        (ParameterType::IpAddress, Json::String(text)) => Value::Ip(ip(text)?),
        _ => return None,
    })
}

/// An address; IPv4 within IPv6 is the IPv4 address itself, as otherwise it would slip past ranges of IPv4.
pub(super) fn ip(text: &str) -> Option<IpAddr> {
    text.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

fn integer(json: &Json) -> Option<i128> {
    match json {
        Json::Number(number) => number
            .as_i64()
            .map(i128::from)
            .or_else(|| number.as_u64().map(i128::from))
            .or_else(|| whole(number.as_f64()?)),
        Json::String(text) => text.parse::<i128>().ok().or_else(|| whole(decimal(text)?)),
        _ => None,
    }
}

fn double(text: &str) -> Option<f64> {
    match text {
        "inf" | "Inf" | "+inf" | "+Inf" => Some(f64::INFINITY),
        "-inf" | "-Inf" => Some(f64::NEG_INFINITY),
        _ => decimal(text),
    }
}

/// A number in digits. What is too large for one is none, rather than infinite.
pub(super) fn decimal(text: &str) -> Option<f64> {
    let plain = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E');
    text.bytes().all(plain).then(|| text.parse::<f64>().ok()).flatten().filter(|value| value.is_finite())
}

fn expected(to: &ParameterType) -> String {
    match to {
        ParameterType::Any => "any value".to_owned(),
        ParameterType::Bool => "true or false".to_owned(),
        ParameterType::String => "a text".to_owned(),
        ParameterType::Int => "an integer of 64 bits, as a number or as text".to_owned(),
        ParameterType::Uint => "an integer of 64 bits that is not negative, as a number or as text".to_owned(),
        ParameterType::Double => "a number, or text that is one".to_owned(),
        ParameterType::Duration => "a duration such as \"1h30m\"".to_owned(),
        ParameterType::Timestamp => "a timestamp such as \"2026-01-31T12:00:00Z\"".to_owned(),
        ParameterType::IpAddress => "an IPv4 or IPv6 address".to_owned(),
        ParameterType::List(_) => "a list".to_owned(),
        ParameterType::Map(_) => "an object".to_owned(),
    }
}

fn found(json: &Json) -> String {
    match json {
        Json::Null => "null".to_owned(),
        Json::Bool(value) => value.to_string(),
        Json::Number(number) => format!("the number {}", shown(&number.to_string())),
        Json::String(text) => format!("the text \"{}\"", shown(text)),
        Json::Array(values) => format!("a list of {}", values.len()),
        Json::Object(fields) => format!("an object of {}", fields.len()),
    }
}
