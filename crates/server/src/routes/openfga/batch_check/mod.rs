//! `POST /stores/{store_id}/batch-check`: many questions at once, each under an id by which the caller finds its answer.
//!
//! The ids are a matter of the whole request; whatever else is wrong with one question is its own answer, and the others are answered all the same.

mod ask;
mod result;

use std::collections::HashSet;
use std::sync::Arc;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::check::Scope;
use super::tuples::{TupleKey, TupleKeys};
use super::{Answered, Body, StorePath, given};
use crate::app::App;
use crate::error::Fault;
use crate::limits::Meter;
use crate::wire::{Word, ok};
use ask::ask;
use result::Results;

/// The longest id of a question.
const MAX_CORRELATION_ID_CHARS: usize = 36;

#[derive(Deserialize, ToSchema)]
#[serde(expecting = "an object")]
#[schema(as = BatchCheckRequest)]
pub(in crate::routes::openfga) struct BatchCheck<'a> {
    #[serde(borrow)]
    #[schema(required, nullable = false)]
    checks: Option<Vec<Item<'a>>>,
    /// A version of the model; the latest one without.
    #[serde(borrow)]
    authorization_model_id: Option<Word<'a>>,
    /// `MINIMIZE_LATENCY`, which is also meant without, or `HIGHER_CONSISTENCY`, which reads the origin. What an answer must contain, and no more, is
    /// for the header `Tiergate-At-Least` to say.
    #[serde(borrow)]
    consistency: Option<Word<'a>>,
}

#[derive(Deserialize, ToSchema)]
#[serde(expecting = "an object of tuple_key and correlation_id")]
#[schema(as = BatchCheckItem)]
struct Item<'a> {
    #[serde(borrow)]
    #[schema(required, nullable = false)]
    tuple_key: Option<TupleKey<'a>>,
    /// Relationships that hold for this question alone.
    #[serde(borrow)]
    contextual_tuples: Option<TupleKeys<'a>>,
    /// Values for the parameters of conditions.
    context: Option<Map<String, Value>>,
    /// By which the answer is found: 1 to 36 letters, digits, `_` and `-`, each once.
    #[serde(borrow)]
    #[schema(required, nullable = false)]
    correlation_id: Option<Word<'a>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = BatchCheckResponse)]
pub(in crate::routes::openfga) struct Answer<'a> {
    /// The answers by the ids of their questions.
    #[schema(value_type = BTreeMap<String, result::One>)]
    result: Results<'a>,
}

/// An answer for each question.
pub(crate) async fn batch_check(
    State(app): State<Arc<App>>,
    StorePath { store, .. }: StorePath,
    meter: Meter,
    body: Body,
) -> Answered {
    let BatchCheck { checks, authorization_model_id, consistency } = body.read()?;
    let scope = Scope::new(store, authorization_model_id.as_deref(), consistency.as_deref())?;
    let checks = checks.unwrap_or_default();
    check_ids(&checks, app.settings.http.max_batch)?;
    let (ids, questions): (Vec<_>, Vec<_>) = checks
        .into_iter()
        .map(|Item { tuple_key, contextual_tuples, context, correlation_id }| {
            (correlation_id, scope.question(tuple_key, contextual_tuples, context))
        })
        .unzip();
    let answers = ask(&app, scope, questions, &meter).await?;
    Ok(app.naming_its_state(ok(&Answer { result: Results::new(&ids, answers) })).await)
}

/// Whether there are no more questions than may be, each under an id of its own.
fn check_ids(checks: &[Item<'_>], max: usize) -> Result<(), Fault> {
    if !(1..=max).contains(&checks.len()) {
        return Err(Fault::invalid(format!("{} checks in one request; 1 to {max} are allowed", checks.len())));
    }
    let mut seen = HashSet::with_capacity(checks.len());
    for (at, check) in checks.iter().enumerate() {
        let id = given(check.correlation_id.as_deref())
            .ok_or_else(|| Fault::invalid(format!("checks[{at}].correlation_id is missing")))?;
        let of_an_id = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if id.len() > MAX_CORRELATION_ID_CHARS || !id.bytes().all(of_an_id) {
            return Err(Fault::invalid(format!(
                "checks[{at}].correlation_id is not 1 to {MAX_CORRELATION_ID_CHARS} letters, digits, '_' and '-'"
            )));
        }
        if !seen.insert(id) {
            return Err(Fault::invalid(format!("the correlation_id {id} stands twice; give each check its own")));
        }
    }
    Ok(())
}
