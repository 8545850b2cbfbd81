//! One type from another, and ranges of addresses. What does not survive a conversion whole is an error, except for the fraction of a double.

use std::net::IpAddr;
use std::sync::Arc;

use super::convert::{decimal, ip};
use super::error::{Stop, shown};
use super::functions::Function;
use super::time::{self, NANOS_PER_SECOND};
use super::value::{Moving, Value};

/// Applies a conversion to a value that does not move.
pub(super) fn convert(function: Function, value: &Value) -> Result<Value, Stop> {
    let converted = match function {
        Function::ToInt => to_int(value).map(Value::Int),
        Function::ToUint => to_uint(value).map(Value::Uint),
        Function::ToDouble => to_double(value).map(Value::Double),
        Function::ToString => to_string(value).map(Value::String),
        Function::ToBool => to_bool(value).map(Value::Bool),
        Function::ToBytes => match value {
            Value::Bytes(bytes) => Some(Value::Bytes(Arc::clone(bytes))),
            Value::String(text) => Some(Value::Bytes(Arc::from(text.as_bytes()))),
            _ => None,
        },
        Function::ToTimestamp => to_timestamp(value).map(|nanos| Value::Timestamp(Moving::fixed(nanos))),
        Function::ToDuration => match value {
            Value::Duration(time) => Some(Value::Duration(*time)),
            Value::String(text) => time::duration(text).map(|nanos| Value::Duration(Moving::fixed(nanos.into()))),
            _ => None,
        },
        Function::ToIp => match value {
            Value::String(text) => ip(text).map(Value::Ip),
            _ => None,
        },
        _ => None,
    };
    converted.ok_or_else(|| Stop::failed(format!("{} can't be made of {}", target(function), described(value))))
}

fn target(function: Function) -> &'static str {
    match function {
        Function::ToInt => "an int",
        Function::ToUint => "a uint",
        Function::ToDouble => "a double",
        Function::ToString => "a string",
        Function::ToBool => "a bool",
        Function::ToBytes => "bytes",
        Function::ToTimestamp => "a timestamp",
        Function::ToDuration => "a duration",
        _ => "an IP address",
    }
}

fn described(value: &Value) -> String {
    match value {
        Value::String(text) => format!("the text \"{}\"", shown(text)),
        Value::Int(value) => format!("the int {value}"),
        Value::Uint(value) => format!("the uint {value}"),
        Value::Double(value) => format!("the double {}", shown(&double_text(*value))),
        other => format!("this {}", other.kind()),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the range is looked at first, and the fraction is meant to go")]
fn to_int(value: &Value) -> Option<i64> {
    const EDGE: f64 = 9_223_372_036_854_775_808.0;
    match value {
        Value::Int(value) => Some(*value),
        Value::Uint(value) => i64::try_from(*value).ok(),
        Value::Double(value) => (*value > -EDGE && *value < EDGE).then_some(*value as i64),
        Value::String(text) => text.parse().ok(),
        Value::Timestamp(time) => i64::try_from(time.nanos.div_euclid(NANOS_PER_SECOND)).ok(),
        Value::Duration(time) => i64::try_from(time.nanos).ok(),
        _ => None,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the range is looked at first, and the fraction is meant to go"
)]
fn to_uint(value: &Value) -> Option<u64> {
    match value {
        Value::Uint(value) => Some(*value),
        Value::Int(value) => u64::try_from(*value).ok(),
        Value::Double(value) => (*value >= 0.0 && *value < 18_446_744_073_709_551_616.0).then_some(*value as u64),
        Value::String(text) => text.parse().ok().filter(|_| !text.starts_with('+')),
        _ => None,
    }
}

#[expect(clippy::cast_precision_loss, reason = "the nearest double is meant")]
fn to_double(value: &Value) -> Option<f64> {
    match value {
        Value::Double(value) => Some(*value),
        Value::Int(value) => Some(*value as f64),
        Value::Uint(value) => Some(*value as f64),
        Value::String(text) => match text.trim_start_matches(['+', '-']).to_ascii_lowercase().as_str() {
            "inf" | "infinity" | "nan" => text.parse().ok(),
            _ => decimal(text),
        },
        _ => None,
    }
}

fn to_string(value: &Value) -> Option<Arc<str>> {
    Some(match value {
        Value::String(text) => Arc::clone(text),
        Value::Bool(value) => Arc::from(value.to_string()),
        Value::Int(value) => Arc::from(value.to_string()),
        Value::Uint(value) => Arc::from(value.to_string()),
        Value::Double(value) => Arc::from(double_text(*value)),
        Value::Bytes(bytes) => Arc::from(std::str::from_utf8(bytes).ok()?),
        Value::Timestamp(time) => Arc::from(time::timestamp_text(time.nanos)?),
        Value::Duration(time) => Arc::from(time::duration_text(time.nanos)),
        _ => return None,
    })
}

/// The shortest digits that tell a double, with an exponent where it is below 10⁻⁴ or not below 10⁶, as the reference engine writes it.
fn double_text(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        return value.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.abs())
}

fn to_bool(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(value) => Some(*value),
        Value::String(text) => match &**text {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
            _ => None,
        },
        _ => None,
    }
}

fn to_timestamp(value: &Value) -> Option<i128> {
    match value {
        Value::Timestamp(time) => Some(time.nanos),
        Value::String(text) => time::timestamp(text),
        Value::Int(seconds) => {
            let nanos = i128::from(*seconds) * NANOS_PER_SECOND;
            (time::FIRST..=time::LAST).contains(&nanos).then_some(nanos)
        }
        _ => None,
    }
}

/// An address and how many bits of it count.
pub(super) fn cidr(text: &str) -> Option<(IpAddr, u32)> {
    let (address, bits) = text.split_once('/')?;
    if bits.is_empty() || bits.len() > 3 || !bits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    if bits.len() > 1 && bits.starts_with('0') {
        return None;
    }
    let (address, bits): (IpAddr, u32) = (address.parse().ok()?, bits.parse().ok()?);
    let most = if address.is_ipv4() { 32 } else { 128 };
    (bits <= most).then_some((address, bits))
}

/// Whether a range has an address. Addresses of the other family are in none.
pub(super) fn in_cidr(address: IpAddr, (range, bits): (IpAddr, u32)) -> bool {
    match (address, range) {
        (IpAddr::V4(one), IpAddr::V4(two)) => {
            let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
            one.to_bits() & mask == two.to_bits() & mask
        }
        (IpAddr::V6(one), IpAddr::V6(two)) => {
            let mask = u128::MAX.checked_shl(128 - bits).unwrap_or(0);
            one.to_bits() & mask == two.to_bits() & mask
        }
        _ => false,
    }
}
