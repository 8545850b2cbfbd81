//! `POST /admin/v1/invalidate`: values are not used any more, whatever they were computed from.

use std::sync::Arc;

use authz::store::{Committed, InvalidationScope};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Answered, Body};
use crate::acknowledge::Pledge;
use crate::app::App;
use crate::error::Fault;
use crate::wire::ok;

/// What to invalidate.
#[derive(Deserialize, ToSchema)]
#[serde(tag = "scope", rename_all = "snake_case", deny_unknown_fields)]
#[schema(as = InvalidationScope)]
pub(super) enum Scope {
    /// A user by their id: the subject `user:id`.
    User { id: String },
    /// A team by its id: the resource `team:id`, and with it whatever was decided through it.
    Team { id: String },
    /// `type:id`, as the one who asks.
    Subject { id: String },
    /// `type:id`, as that which is asked about.
    Resource { id: String },
    /// A cache type by its name.
    Type { name: String },
    /// A pattern, as `generation_rights:*` or `*:user:ann:*`.
    Pattern { pattern: String },
    /// Everything.
    All {},
}

#[derive(Serialize, ToSchema)]
#[schema(as = InvalidationReport)]
pub(super) struct Report {
    revision: u64,
    /// Instances on which it is in force: all that there are.
    confirmed_by: usize,
    errors: Vec<String>,
}

/// In force when it answers.
pub(crate) async fn invalidate(State(app): State<Arc<App>>, pledge: Pledge, body: Body) -> Answered {
    let scope: Scope = body.read()?;
    if let Scope::User { id } | Scope::Team { id } = &scope
        && id.contains(':')
    {
        let remedy = "leave the type out, as in {\"scope\":\"user\",\"id\":\"ann\"}, or give type:id to the scope subject or resource";
        return Err(Fault::invalid(format!("the id {id:?} names a type; {remedy}")).into());
    }
    let report = app.decisions.invalidate(scope.into()).await?;
    let revision = report.revision.get();
    tracing::info!(revision, "invalidated by an administrator");
    let acknowledged = app.acknowledge(Committed { revision: report.revision }, &pledge).await?;
    Ok(acknowledged.answer(|confirmed_by| ok(&Report { revision, confirmed_by, errors: report.errors })))
}

impl From<Scope> for InvalidationScope {
    fn from(scope: Scope) -> Self {
        match scope {
            Scope::User { id } => Self::Subject { id: format!("user:{id}") },
            Scope::Team { id } => Self::Resource { id: format!("team:{id}") },
            Scope::Subject { id } => Self::Subject { id },
            Scope::Resource { id } => Self::Resource { id },
            Scope::Type { name } => Self::Type { name },
            Scope::Pattern { pattern } => Self::Pattern { pattern },
            Scope::All {} => Self::All,
        }
    }
}
