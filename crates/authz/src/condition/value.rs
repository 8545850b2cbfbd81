//! Values at evaluation. A time knows how it moves, so that whoever compares it can tell when the comparison will turn out otherwise.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

/// A value of an expression. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    String(Arc<str>),
    Bytes(Arc<[u8]>),
    Duration(Moving),
    Timestamp(Moving),
    Ip(IpAddr),
    List(Arc<Vec<Value>>),
    Map(Arc<BTreeMap<Key, (Value, Value)>>),
    Kind(&'static str),
}

/// A time in nanoseconds, and by how many nanoseconds it moves in one of the clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Moving {
    pub(super) nanos: i128,
    pub(super) slope: i64,
}

impl Moving {
    pub(super) const fn fixed(nanos: i128) -> Self {
        Self { nanos, slope: 0 }
    }
}

/// What a map finds its entries by: whole numbers are one, whatever their type.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Key {
    Bool(bool),
    Number(i128),
    String(Arc<str>),
}

impl Value {
    pub(super) fn text(text: impl Into<Arc<str>>) -> Self {
        Self::String(text.into())
    }

    pub(super) fn list(values: Vec<Self>) -> Self {
        Self::List(Arc::new(values))
    }

    /// Its type, as `type()` and messages name it.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null_type",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Uint(_) => "uint",
            Self::Double(_) => "double",
            Self::String(_) => "string",
            Self::Bytes(_) => "bytes",
            Self::Duration(_) => "duration",
            Self::Timestamp(_) => "timestamp",
            Self::Ip(_) => "ipaddress",
            Self::List(_) => "list",
            Self::Map(_) => "map",
            Self::Kind(_) => "type",
        }
    }

    /// As the key of a map; none where no map can have it.
    pub(super) fn key(&self) -> Option<Key> {
        Some(match self {
            Self::Bool(value) => Key::Bool(*value),
            Self::Int(value) => Key::Number(i128::from(*value)),
            Self::Uint(value) => Key::Number(i128::from(*value)),
            Self::Double(value) => Key::Number(whole(*value)?),
            Self::String(text) => Key::String(Arc::clone(text)),
            _ => return None,
        })
    }

    /// Whether it moves with the clock itself; what a list or map holds is not looked at.
    pub(super) const fn moves(&self) -> bool {
        matches!(self, Self::Duration(time) | Self::Timestamp(time) if time.slope != 0)
    }
}

/// A number without a fraction that is exactly an integer of 64 bits, signed or not.
#[expect(clippy::cast_possible_truncation, reason = "the range is looked at first")]
pub(super) fn whole(value: f64) -> Option<i128> {
    (value.fract() == 0.0 && value.abs() <= 18_446_744_073_709_551_616.0).then_some(value as i128)
}
