//! The parts of which questions are made: entities, actions, and the caller's environment.
//!
//! Every part and every field is optional here: which of them may be missing depends on where they stand, and is said with the name of the part.

use std::fmt;

use authz::condition::Context;
use authz::decide::Consistency;
use authz::relation::{Object, Text, check_relation};
use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::{Map, Value};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use super::wish::Wish;
use crate::acknowledge::Wanted;
use crate::error::Fault;
use crate::wire::Word;

/// A subject or a resource.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(super) struct Entity<'a> {
    #[serde(borrow, default, rename = "type")]
    #[schema(required, nullable = false)]
    type_name: Option<Word<'a>>,
    #[serde(borrow, default)]
    #[schema(required, nullable = false)]
    id: Option<Word<'a>>,
    #[serde(default)]
    #[schema(value_type = Option<Map<String, Value>>)]
    properties: Option<Properties>,
}

/// An action.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(super) struct Action<'a> {
    #[serde(borrow, default)]
    #[schema(required, nullable = false)]
    name: Option<Word<'a>>,
    #[serde(default)]
    #[schema(value_type = Option<Map<String, Value>>)]
    properties: Option<Properties>,
}

/// Properties of an entity, as conditions read them.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "Map<String, Value>")]
pub(super) struct Properties(Context);

/// The caller's own environment. What is not an extension of ours is a value for the parameters of conditions.
#[derive(Clone, Debug, Default)]
pub(super) struct Environment<'a> {
    consistency: Option<Wish<'a>>,
    pub(super) values: Context,
}

/// The caller's own environment. What is no extension of ours is a value for the parameters of conditions.
#[derive(ToSchema)]
#[schema(as = Environment)]
#[expect(dead_code, reason = "a shape: it is read by hand")]
pub(super) struct EnvironmentShape {
    #[schema(inline)]
    consistency: Option<Wish<'static>>,
    #[serde(flatten)]
    values: Map<String, Value>,
}

impl PartialSchema for Environment<'_> {
    fn schema() -> RefOr<Schema> {
        EnvironmentShape::schema()
    }
}

impl ToSchema for Environment<'_> {}

impl Entity<'_> {
    pub(super) fn object(&self, part: &str) -> Result<Object, Fault> {
        let type_name = self.type_name.as_ref().ok_or_else(|| missing(&format!("{part}.type")))?;
        let id = self.id.as_ref().ok_or_else(|| missing(&format!("{part}.id")))?;
        Object::new(type_name, id).map_err(|error| Fault::invalid(format!("{part}: {error}")))
    }

    pub(super) fn properties(&self) -> Context {
        context(self.properties.as_ref())
    }
}

impl Action<'_> {
    /// The relation that an action is.
    pub(super) fn relation(&self) -> Result<Text, Fault> {
        let name = self.name.as_ref().ok_or_else(|| missing("action.name"))?;
        check_relation(name).map_err(|error| Fault::invalid(format!("action.name: {error}")))
    }

    pub(super) fn properties(&self) -> Context {
        context(self.properties.as_ref())
    }
}

impl Environment<'_> {
    pub(super) fn consistency(&self) -> Result<Consistency, Fault> {
        self.consistency.as_ref().map(Wish::consistency).transpose().map(Option::unwrap_or_default)
    }

    /// The token of what the answer must contain; `part` is where this stands.
    pub(super) fn wanted(&self, part: impl fmt::Display) -> Option<Wanted<'_>> {
        let token = self.consistency.as_ref().and_then(Wish::token)?;
        Some(Wanted { place: format!("{part}.consistency.at_least"), token })
    }
}

/// The part, or the fault that it is not there.
pub(super) fn required<'p, T>(part: Option<&'p T>, name: &str) -> Result<&'p T, Fault> {
    part.ok_or_else(|| missing(name))
}

pub(super) fn missing(part: &str) -> Fault {
    Fault::invalid(format!("{part} is missing"))
}

pub(super) fn context(properties: Option<&Properties>) -> Context {
    properties.map(|Properties(context)| context.clone()).unwrap_or_default()
}

impl From<Map<String, Value>> for Properties {
    fn from(properties: Map<String, Value>) -> Self {
        Self(Context::from(properties))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Environment<'a> {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Environment<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Environment<'de>, A::Error> {
                let (mut consistency, mut values) = (None, Vec::new());
                while let Some(name) = entries.next_key::<Word<'de>>()? {
                    match &*name {
                        "consistency" => consistency = entries.next_value()?,
                        // To conditions these names are the entities of the question itself: what a caller passes on from elsewhere takes no entity's place.
                        "explain" | "subject" | "resource" | "action" => {
                            entries.next_value::<IgnoredAny>()?;
                        }
                        _ => values.push((Text::from(&*name), entries.next_value::<Value>()?)),
                    }
                }
                Ok(Environment { consistency, values: Context::new(values) })
            }
        }
        reader.deserialize_map(Reader)
    }
}
