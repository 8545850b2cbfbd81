//! Types at check time. `Dyn` goes with everything, and is looked at again when the condition is evaluated.

use std::fmt;

use super::ParameterType;

/// A type without parts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Scalar {
    Null,
    Bool,
    Int,
    Uint,
    Double,
    String,
    Bytes,
    Duration,
    Timestamp,
    Ip,
    /// What `type()` tells.
    Kind,
}

/// The type of an expression.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Type {
    Dyn,
    Scalar(Scalar),
    List(Box<Type>),
    Map(Box<Type>, Box<Type>),
}

impl Type {
    pub(super) fn list(element: Self) -> Self {
        Self::List(Box::new(element))
    }

    pub(super) const BOOL: Self = Self::Scalar(Scalar::Bool);
    pub(super) const INT: Self = Self::Scalar(Scalar::Int);
    pub(super) const STRING: Self = Self::Scalar(Scalar::String);

    /// Whether a value of one may stand where the other is expected, as far as can be told now.
    pub(super) fn fits(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Dyn, _) | (_, Self::Dyn) => true,
            (Self::Scalar(Scalar::Null), Self::Scalar(scalar)) | (Self::Scalar(scalar), Self::Scalar(Scalar::Null)) => {
                matches!(scalar, Scalar::Null | Scalar::Duration | Scalar::Timestamp | Scalar::Ip)
            }
            (Self::Scalar(one), Self::Scalar(two)) => one == two,
            (Self::List(one), Self::List(two)) => one.fits(two),
            (Self::Map(key, value), Self::Map(key2, value2)) => key.fits(key2) && value.fits(value2),
            _ => false,
        }
    }

    /// What holds both, where both fit.
    pub(super) fn join(self, other: &Self) -> Self {
        if self == *other {
            return self;
        }
        match (self, other) {
            (Self::List(one), Self::List(two)) => Self::list(one.join(two)),
            (Self::Map(key, value), Self::Map(key2, value2)) => {
                Self::Map(Box::new(key.join(key2)), Box::new(value.join(value2)))
            }
            _ => Self::Dyn,
        }
    }
}

impl From<&ParameterType> for Type {
    fn from(declared: &ParameterType) -> Self {
        Self::Scalar(match declared {
            ParameterType::Any => return Self::Dyn,
            ParameterType::List(element) => return Self::list(Self::from(&**element)),
            ParameterType::Map(value) => {
                return Self::Map(Box::new(Self::STRING), Box::new(Self::from(&**value)));
            }
            ParameterType::Bool => Scalar::Bool,
            ParameterType::String => Scalar::String,
            ParameterType::Int => Scalar::Int,
            ParameterType::Uint => Scalar::Uint,
            ParameterType::Double => Scalar::Double,
            ParameterType::Duration => Scalar::Duration,
            ParameterType::Timestamp => Scalar::Timestamp,
            ParameterType::IpAddress => Scalar::Ip,
        })
    }
}

impl fmt::Display for Scalar {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Null => "null",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Uint => "uint",
            Self::Double => "double",
            Self::String => "string",
            Self::Bytes => "bytes",
            Self::Duration => "duration",
            Self::Timestamp => "timestamp",
            Self::Ip => "ipaddress",
            Self::Kind => "type",
        })
    }
}

impl fmt::Display for Type {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dyn => formatter.write_str("any"),
            Self::Scalar(scalar) => scalar.fmt(formatter),
            Self::List(element) => write!(formatter, "list<{element}>"),
            Self::Map(key, value) if **key == Self::STRING => write!(formatter, "map<{value}>"),
            Self::Map(key, value) => write!(formatter, "map<{key}, {value}>"),
        }
    }
}
