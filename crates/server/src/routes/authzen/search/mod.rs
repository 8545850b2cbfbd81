//! Search: who may do this, what may be done to what, and what else may be done.
//!
//! A search finds whatever an evaluation would allow, or it is an error: never a part of it that looks whole. What the model doesn't know is found nowhere, and is no
//! error. Of a type that everybody of which may (`user:*`) nobody is listed for that reason; the answer's context says so.

pub(super) mod action;
mod page;
pub(super) mod resource;
mod sought;
pub(super) mod subject;

pub(crate) use action::{action, store_action};
pub(crate) use resource::{resource, store_resource};
pub(crate) use subject::{store_subject, subject};

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use authz::condition::Context;
use authz::decide::{CheckError, Consistency, RequestProperties};
use authz::relation::Text;
use authz::store::{ModelId, StoreId};
use axum::response::Response;
use serde::Serialize;
use ulid::Ulid;
use utoipa::ToSchema;

use super::parts::Environment;
use crate::acknowledge::{StateToken, contain};
use crate::app::App;
use crate::error::Fault;
use crate::ids::new_id;
use crate::middleware::Peer;
use crate::wire::ok;
use page::{PageOut, Paging};

/// What a search takes besides its entities.
struct Circumstances {
    context: Context,
    properties: RequestProperties,
    consistency: Consistency,
}

/// Where a search looks. The version of the model is the same on every page.
#[derive(Clone, Copy, Hash)]
struct Place {
    store: StoreId,
    model: ModelId,
}

/// What was found, all of it.
#[derive(Default)]
struct Findings {
    /// Sorted, each once.
    items: Arc<Vec<Text>>,
    /// Whether everybody of the type is among them, named or not.
    everyone: bool,
    /// The tier that had them.
    source: Option<&'static str>,
    /// Why there was nothing to look for.
    reason: Option<String>,
}

/// The answer to a search.
#[derive(Serialize, ToSchema)]
#[schema(as = SearchAnswer)]
pub(in crate::routes::authzen) struct Answer<T> {
    page: PageOut,
    context: AnswerContext,
    results: Vec<T>,
}

/// What stands beside the results.
#[derive(Serialize, ToSchema)]
#[schema(as = SearchContext)]
struct AnswerContext {
    /// Names this answer.
    #[schema(value_type = String)]
    id: Ulid,
    /// Everybody of the type that was searched for may, also who is not listed; only where it is so.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    everyone: bool,
    /// The tier that answered; for callers on this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'static str>,
    /// Why there was nothing to look for; for callers on this machine, because it tells what the model holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Names a state that contains whatever the answer rests on; the header `Tiergate-Token` has it too.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    token: Option<StateToken>,
}

impl Circumstances {
    fn new(context: Option<&Environment<'_>>, properties: RequestProperties) -> Result<Self, Fault> {
        Ok(Self {
            context: context.map(|context| context.values.clone()).unwrap_or_default(),
            properties,
            consistency: context.map(Environment::consistency).transpose()?.unwrap_or_default(),
        })
    }
}

impl Hash for Circumstances {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let Self { context, properties: RequestProperties { subject, resource, action }, consistency } = self;
        for values in [context, subject, resource, action] {
            hasher.write_usize(values.iter().count());
            values.iter().for_each(|value| value.hash(hasher));
        }
        (*consistency == Consistency::Full).hash(hasher);
    }
}

impl Place {
    /// Once the store's state contains what the caller's environment names.
    async fn of(app: &App, store: StoreId, context: Option<&Environment<'_>>) -> Result<Self, Fault> {
        contain(app, context.and_then(|context| context.wanted("context")).into_iter().collect()).await?;
        let (model, _) = app.decisions.latest_model(store).await?;
        Ok(Self { store, model })
    }
}

impl Findings {
    /// Nothing, where the model doesn't know what was asked for.
    fn nothing_for(error: CheckError) -> Result<Self, Fault> {
        match error {
            CheckError::UnknownType { .. } | CheckError::UnknownRelation { .. } => {
                Ok(Self { reason: Some(error.to_string()), ..Self::default() })
            }
            error => Err(Fault::from(error)),
        }
    }

    /// The page that was asked for.
    async fn answer<T: Serialize>(
        self,
        app: &App,
        paging: &Paging,
        peer: Peer,
        result: impl Fn(Text) -> T,
    ) -> Response {
        let token = app.state_token().await;
        let Self { items, everyone, source, reason } = self;
        let (results, page) = paging.cut(&items);
        let (source, reason) = if peer.sees_inside { (source, reason) } else { (None, None) };
        let context = AnswerContext { id: new_id(), everyone, source, reason, token: token.clone() };
        tracing::debug!(id = %context.id, total = page.total, source = context.source, "search");
        StateToken::put(token, ok(&Answer { page, context, results: results.iter().cloned().map(result).collect() }))
    }
}
