//! How fresh an answer must be, as a caller says it in `context.consistency`.

use std::fmt;

use authz::decide::Consistency;
use serde::Deserialize;
use serde::de::{Deserializer, Error, MapAccess, Visitor};
use utoipa::openapi::schema::{ObjectBuilder, OneOfBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::error::Fault;
use crate::wire::Word;

const AT_LEAST: &str = "at_least";

/// A wish.
#[derive(Clone, Debug)]
pub(super) enum Wish<'a> {
    /// By its name.
    Named(Word<'a>),
    /// Not older than what a token names: `{"at_least": token}`.
    AtLeast(Word<'a>),
}

impl Wish<'_> {
    pub(super) fn consistency(&self) -> Result<Consistency, Fault> {
        match self {
            Self::Named(name) => match &**name {
                "minimize_latency" => Ok(Consistency::MinimizeLatency),
                "full" => Ok(Consistency::Full),
                // Taking it for a wish that may be ignored would give an answer that is older than the caller can bear.
                _ => Err(Fault::invalid(
                    "context.consistency is neither \"minimize_latency\", \"full\" nor {\"at_least\": token}",
                )),
            },
            // Once that is waited for, caches may answer: they hold nothing older.
            Self::AtLeast(_) => Ok(Consistency::MinimizeLatency),
        }
    }

    pub(super) fn token(&self) -> Option<&str> {
        match self {
            Self::Named(_) => None,
            Self::AtLeast(token) => Some(token),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Wish<'a> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Wish<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("\"minimize_latency\", \"full\" or {\"at_least\": token}")
            }

            fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Wish::Named(Word::from(text)))
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Wish::Named(Word::from(text.to_owned())))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
                let mut token = None;
                while let Some(name) = entries.next_key::<Word<'de>>()? {
                    match &*name {
                        AT_LEAST => token = Some(entries.next_value()?),
                        // Elsewhere it would be passed over. A wish that is not understood must not be.
                        other => return Err(A::Error::unknown_field(other, &[AT_LEAST])),
                    }
                }
                token.map(Wish::AtLeast).ok_or_else(|| A::Error::missing_field(AT_LEAST))
            }
        }
        reader.deserialize_any(Reader)
    }
}

impl PartialSchema for Wish<'_> {
    fn schema() -> RefOr<Schema> {
        let named = ObjectBuilder::new().schema_type(Type::String).enum_values(Some(["minimize_latency", "full"]));
        let at_least = ObjectBuilder::new()
            .property(AT_LEAST, ObjectBuilder::new().schema_type(Type::String))
            .required(AT_LEAST)
            .additional_properties(Some(utoipa::openapi::schema::AdditionalProperties::FreeForm(false)));
        OneOfBuilder::new()
            .item(named)
            .item(at_least)
            .description(Some(
                "How fresh the answer must be. `minimize_latency`, which is also meant without: from a cache where possible. `full`: from the origin. \
                 `at_least`, with the token of a change or of an answer: not older than that; a token that can't be honoured is an error.",
            ))
            .into()
    }
}

impl ToSchema for Wish<'_> {}
