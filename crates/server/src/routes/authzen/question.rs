//! What a caller asks, and how it becomes a question to the decision point.
//!
//! Every part is optional here: which parts may be missing depends on where they stand, and is said with the name of the part.

use authz::decide::{CheckRequest, Consistency};
use authz::relation::{Object, Subject, check_relation};
use authz::store::StoreId;
use serde::Deserialize;

use crate::error::Fault;
use crate::wire::{AnyObject, Word};

/// A question, or the defaults of many.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Question<'a> {
    #[serde(borrow, default)]
    pub(super) subject: Option<Entity<'a>>,
    #[serde(borrow, default)]
    pub(super) action: Option<Action<'a>>,
    #[serde(borrow, default)]
    pub(super) resource: Option<Entity<'a>>,
    #[serde(borrow, default)]
    pub(super) context: Option<Context<'a>>,
}

/// A subject or a resource. Its properties are an input of conditions, which no model can hold yet.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Entity<'a> {
    #[serde(borrow, default, rename = "type")]
    type_name: Option<Word<'a>>,
    #[serde(borrow, default)]
    id: Option<Word<'a>>,
    #[serde(default, rename = "properties")]
    _properties: Option<AnyObject>,
}

/// An action.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Action<'a> {
    #[serde(borrow, default)]
    name: Option<Word<'a>>,
    #[serde(default, rename = "properties")]
    _properties: Option<AnyObject>,
}

/// The caller's own environment; of its keys we know `consistency` only.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Context<'a> {
    #[serde(borrow, default)]
    consistency: Option<Word<'a>>,
}

impl Question<'_> {
    /// The question to the decision point.
    ///
    /// # Errors
    /// Where a part is missing, or is not what its place allows.
    pub(super) fn request(&self, store: StoreId) -> Result<CheckRequest, Fault> {
        let subject = self.subject.as_ref().ok_or_else(|| missing("subject"))?;
        let action = self.action.as_ref().ok_or_else(|| missing("action"))?;
        let resource = self.resource.as_ref().ok_or_else(|| missing("resource"))?;
        let action = action.name.as_ref().ok_or_else(|| missing("action.name"))?;
        Ok(CheckRequest {
            store,
            model: None,
            subject: Subject::Object(subject.object("subject")?),
            relation: check_relation(action).map_err(|error| Fault::invalid(format!("action.name: {error}")))?,
            object: resource.object("resource")?,
            contextual_tuples: Vec::new(),
            context: Default::default(),
            properties: Default::default(),
            consistency: self.consistency()?,
        })
    }

    fn consistency(&self) -> Result<Consistency, Fault> {
        match self.context.as_ref().and_then(|context| context.consistency.as_deref()) {
            None | Some("minimize_latency") => Ok(Consistency::MinimizeLatency),
            Some("full") => Ok(Consistency::Full),
            // Taking it for a wish that may be ignored would give an answer that is older than the caller can bear.
            Some(_) => Err(Fault::invalid("context.consistency is neither minimize_latency nor full")),
        }
    }
}

impl Entity<'_> {
    fn object(&self, part: &str) -> Result<Object, Fault> {
        let type_name = self.type_name.as_ref().ok_or_else(|| missing(&format!("{part}.type")))?;
        let id = self.id.as_ref().ok_or_else(|| missing(&format!("{part}.id")))?;
        Object::new(type_name, id).map_err(|error| Fault::invalid(format!("{part}: {error}")))
    }
}

fn missing(part: &str) -> Fault {
    Fault::invalid(format!("{part} is missing"))
}
