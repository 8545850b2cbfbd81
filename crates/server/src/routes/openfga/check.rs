//! `POST /stores/{store_id}/check`: one question, with relationships and values that hold for it alone.

use std::sync::Arc;

use authz::decide::{CheckRequest, Consistency};
use authz::relation::Tuple;
use authz::store::{ModelId, StoreId};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::tuples::{TupleKey, TupleKeys, context};
use super::{Answered, Body, StorePath, given, model_id};
use crate::app::App;
use crate::error::Fault;
use crate::limits::Meter;
use crate::wire::{Word, ok};

#[derive(Deserialize, ToSchema)]
#[serde(expecting = "an object")]
#[schema(as = CheckRequest)]
pub(super) struct Check<'a> {
    #[serde(borrow)]
    #[schema(required, nullable = false)]
    tuple_key: Option<TupleKey<'a>>,
    /// A version of the model; the latest one without.
    #[serde(borrow)]
    authorization_model_id: Option<Word<'a>>,
    /// Relationships that hold for this question alone.
    #[serde(borrow)]
    contextual_tuples: Option<TupleKeys<'a>>,
    /// Values for the parameters of conditions.
    context: Option<Map<String, Value>>,
    /// `MINIMIZE_LATENCY`, which is also meant without, or `HIGHER_CONSISTENCY`, which reads the origin. What an answer must contain, and no more, is
    /// for the header `Tiergate-At-Least` to say.
    #[serde(borrow)]
    consistency: Option<Word<'a>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = CheckResponse)]
pub(super) struct Answer {
    allowed: bool,
    /// Always empty: OpenFGA's clients read the field, and nothing writes into it.
    resolution: &'static str,
}

/// What the questions of one request have in common.
#[derive(Clone, Copy)]
pub(super) struct Scope {
    pub(super) store: StoreId,
    pub(super) model: Option<ModelId>,
    pub(super) consistency: Consistency,
}

/// Whether the user stands in the relation to the object.
pub(crate) async fn check(
    State(app): State<Arc<App>>,
    StorePath { store, .. }: StorePath,
    meter: Meter,
    body: Body,
) -> Answered {
    let Check { tuple_key, authorization_model_id, contextual_tuples, context, consistency } = body.read()?;
    let scope = Scope::new(store, authorization_model_id.as_deref(), consistency.as_deref())?;
    let request = scope.question(tuple_key, contextual_tuples, context)?;
    let decision = app.decisions.check_admitted(&request, &meter).await?;
    app.access_log.note(&request, decision.allowed);
    Ok(app.naming_its_state(ok(&Answer { allowed: decision.allowed, resolution: "" })).await)
}

impl Scope {
    pub(super) fn new(store: StoreId, model: Option<&str>, consistency: Option<&str>) -> Result<Self, Fault> {
        Ok(Self { store, model: model_id(model)?, consistency: self::consistency(consistency)? })
    }

    /// One question.
    pub(super) fn question(
        self,
        key: Option<TupleKey<'_>>,
        contextual: Option<TupleKeys<'_>>,
        values: Option<Map<String, Value>>,
    ) -> Result<CheckRequest, Fault> {
        let Self { store, model, consistency } = self;
        let key = key.ok_or_else(|| Fault::invalid("tuple_key is missing"))?;
        let Tuple { object, relation, subject } = key.question()?;
        Ok(CheckRequest {
            store,
            model,
            subject,
            relation,
            object,
            contextual_tuples: contextual.unwrap_or_default().contextual()?,
            context: context(values),
            properties: Default::default(),
            consistency,
        })
    }
}

pub(super) fn consistency(preference: Option<&str>) -> Result<Consistency, Fault> {
    match given(preference) {
        None | Some("UNSPECIFIED" | "MINIMIZE_LATENCY") => Ok(Consistency::MinimizeLatency),
        Some("HIGHER_CONSISTENCY") => Ok(Consistency::Full),
        Some(_) => Err(Fault::invalid("consistency is neither MINIMIZE_LATENCY nor HIGHER_CONSISTENCY")),
    }
}
