//! How the two forms of a model call the types of parameters.

use std::fmt;

use super::ParameterType;

/// The types without an element type: in memory, in the DSL, and in JSON.
const SIMPLE: [(ParameterType, &str, &str); 9] = [
    (ParameterType::Any, "any", "TYPE_NAME_ANY"),
    (ParameterType::Bool, "bool", "TYPE_NAME_BOOL"),
    (ParameterType::String, "string", "TYPE_NAME_STRING"),
    (ParameterType::Int, "int", "TYPE_NAME_INT"),
    (ParameterType::Uint, "uint", "TYPE_NAME_UINT"),
    (ParameterType::Double, "double", "TYPE_NAME_DOUBLE"),
    (ParameterType::Duration, "duration", "TYPE_NAME_DURATION"),
    (ParameterType::Timestamp, "timestamp", "TYPE_NAME_TIMESTAMP"),
    (ParameterType::IpAddress, "ipaddress", "TYPE_NAME_IPADDRESS"),
];

impl ParameterType {
    /// The type that the DSL calls so, where it has no element type.
    pub(super) fn simple(name: &str) -> Option<Self> {
        SIMPLE.iter().find(|(_, dsl, _)| *dsl == name).map(|(kind, _, _)| kind.clone())
    }

    /// The type that JSON calls so, where it has no element type.
    pub(super) fn simple_of_json(name: &str) -> Option<Self> {
        SIMPLE.iter().find(|(_, _, json)| *json == name).map(|(kind, _, _)| kind.clone())
    }

    /// How JSON calls it.
    pub(super) fn json_name(&self) -> &'static str {
        match self {
            Self::List(_) => "TYPE_NAME_LIST",
            Self::Map(_) => "TYPE_NAME_MAP",
            simple => SIMPLE.iter().find(|(kind, _, _)| kind == simple).map_or("TYPE_NAME_ANY", |(_, _, json)| json),
        }
    }

    /// The element type of a list or a map.
    pub(super) fn element(&self) -> Option<&Self> {
        match self {
            Self::List(element) | Self::Map(element) => Some(element),
            _ => None,
        }
    }
}

/// As the DSL has it: `map<list<int>>`.
impl fmt::Display for ParameterType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List(element) => write!(f, "list<{element}>"),
            Self::Map(element) => write!(f, "map<{element}>"),
            simple => f.write_str(SIMPLE.iter().find(|(kind, _, _)| kind == simple).map_or("any", |(_, dsl, _)| dsl)),
        }
    }
}
