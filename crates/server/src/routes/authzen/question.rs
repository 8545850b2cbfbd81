//! What a caller asks, and how it becomes a question to the decision point.

use std::fmt;

use authz::decide::{CheckRequest, RequestProperties};
use authz::relation::Subject;
use authz::store::StoreId;
use serde::Deserialize;
use utoipa::ToSchema;

use super::parts::{Action, Entity, Environment, required};
use crate::acknowledge::Wanted;
use crate::error::Fault;
use crate::wire::Fields;

/// A question, which needs a subject, an action and a resource; among many questions they may come from the defaults.
#[derive(Clone, Debug, Default, Deserialize, ToSchema)]
#[schema(as = EvaluationRequest)]
pub(super) struct Question<'a> {
    #[serde(borrow, default)]
    pub(super) subject: Option<Fields<Entity<'a>>>,
    #[serde(borrow, default)]
    pub(super) action: Option<Fields<Action<'a>>>,
    #[serde(borrow, default)]
    pub(super) resource: Option<Fields<Entity<'a>>>,
    #[serde(borrow, default)]
    pub(super) context: Option<Environment<'a>>,
}

impl Question<'_> {
    /// The token of what the answer must contain; `part` names its context.
    pub(super) fn wanted(&self, part: impl fmt::Display) -> Option<Wanted<'_>> {
        self.context.as_ref()?.wanted(part)
    }

    /// The question to the decision point.
    ///
    /// # Errors
    /// Where a part is missing, or is not what its place allows.
    pub(super) fn request(&self, store: StoreId) -> Result<CheckRequest, Fault> {
        let subject = required(self.subject.as_ref(), "subject")?;
        let action = required(self.action.as_ref(), "action")?;
        let resource = required(self.resource.as_ref(), "resource")?;
        let context = self.context.as_ref();
        Ok(CheckRequest {
            store,
            model: None,
            subject: Subject::Object(subject.object("subject")?),
            relation: action.relation()?,
            object: resource.object("resource")?,
            contextual_tuples: Vec::new(),
            context: context.map(|context| context.values.clone()).unwrap_or_default(),
            properties: RequestProperties {
                subject: subject.properties(),
                resource: resource.properties(),
                action: action.properties(),
            },
            consistency: context.map(Environment::consistency).transpose()?.unwrap_or_default(),
        })
    }
}
