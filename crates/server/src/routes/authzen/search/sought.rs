//! What a search looks for.

use authz::condition::Context;
use authz::relation::{Text, check_type};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::error::Fault;
use crate::routes::authzen::parts::{Properties, context, missing};
use crate::wire::Word;

/// The subject or the resource that a search looks for. An id is not among its fields: it is passed over, whatever it is.
#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(super) struct Sought<'a> {
    #[serde(borrow, default, rename = "type")]
    #[schema(required, nullable = false)]
    type_name: Option<Word<'a>>,
    #[serde(default)]
    #[schema(value_type = Option<serde_json::Map<String, serde_json::Value>>)]
    properties: Option<Properties>,
}

impl Sought<'_> {
    pub(super) fn type_name(&self, part: &str) -> Result<Text, Fault> {
        let type_name = self.type_name.as_ref().ok_or_else(|| missing(&format!("{part}.type")))?;
        check_type(type_name).map_err(|error| Fault::invalid(format!("{part}: {error}")))
    }

    pub(super) fn properties(&self) -> Context {
        context(self.properties.as_ref())
    }
}
