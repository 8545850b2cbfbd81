//! `POST /stores/{store_id}/check`: one question, with relationships that hold for it alone.

use std::sync::Arc;

use authz::decide::{CheckRequest, Consistency};
use authz::relation::Tuple;
use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::tuples::{TupleKey, TupleKeys};
use super::{Answered, Body, StorePath, given, model_id};
use crate::app::App;
use crate::error::Fault;
use crate::wire::{AnyObject, ok};

#[derive(Deserialize)]
struct Question {
    tuple_key: Option<TupleKey>,
    authorization_model_id: Option<String>,
    contextual_tuples: Option<TupleKeys>,
    consistency: Option<String>,
    /// For conditions, which no model can hold yet.
    #[serde(rename = "context")]
    _context: Option<AnyObject>,
}

#[derive(Serialize)]
struct Answer {
    allowed: bool,
    /// Always empty: OpenFGA's clients read the field, and nothing writes into it.
    resolution: &'static str,
}

/// Whether the user stands in the relation to the object.
pub(crate) async fn check(State(app): State<Arc<App>>, StorePath { store, .. }: StorePath, body: Body) -> Answered {
    let question: Question = body.read()?;
    let key = question.tuple_key.as_ref().ok_or_else(|| Fault::invalid("tuple_key is missing"))?;
    let Tuple { object, relation, subject } = key.tuple()?;
    let request = CheckRequest {
        store,
        model: model_id(question.authorization_model_id.as_deref())?,
        subject,
        relation,
        object,
        contextual_tuples: question
            .contextual_tuples
            .unwrap_or_default()
            .tuples()?
            .into_iter()
            .map(Into::into)
            .collect(),
        context: Default::default(),
        properties: Default::default(),
        consistency: consistency(question.consistency.as_deref())?,
    };
    let decision = app.decisions.check(&request).await.map_err(|error| app.fault(error))?;
    Ok(ok(&Answer { allowed: decision.allowed, resolution: "" }))
}

pub(super) fn consistency(preference: Option<&str>) -> Result<Consistency, Fault> {
    match given(preference) {
        None | Some("UNSPECIFIED" | "MINIMIZE_LATENCY") => Ok(Consistency::MinimizeLatency),
        Some("HIGHER_CONSISTENCY") => Ok(Consistency::Full),
        Some(_) => Err(Fault::invalid("consistency is neither MINIMIZE_LATENCY nor HIGHER_CONSISTENCY")),
    }
}
