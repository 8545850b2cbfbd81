//! `/stores/{store_id}/assertions/{model_id}`: questions with the answers that somebody expects, kept beside a version of a model.
//!
//! They are kept as they are to be read, after every one of them was found to make sense under that version.

use std::sync::Arc;

use authz::condition::Context;
use authz::decide::{CheckRequest, Consistency};
use authz::relation::Relationship;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::check::Scope;
use super::models::ModelPath;
use super::stored::{TupleKeyOut, Values};
use super::tuples::{TupleKey, TupleKeys};
use super::{Answered, Body, StorePath};
use crate::app::App;
use crate::error::{Fault, FaultKind};
use crate::wire::{no_content, ok};

/// The most assertions of one version of a model.
const MAX_ASSERTIONS: usize = 100;

#[derive(Deserialize, ToSchema)]
#[serde(expecting = "an object")]
#[schema(as = WriteAssertionsRequest)]
pub(super) struct Write<'a> {
    #[serde(borrow)]
    assertions: Option<Vec<Assertion<'a>>>,
}

#[derive(Deserialize, ToSchema)]
#[serde(expecting = "an object of tuple_key and expectation")]
struct Assertion<'a> {
    #[serde(borrow)]
    #[schema(required, nullable = false)]
    tuple_key: Option<TupleKey<'a>>,
    expectation: Option<bool>,
    #[serde(borrow)]
    contextual_tuples: Option<Vec<TupleKey<'a>>>,
    context: Option<Map<String, Value>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = KeptAssertion)]
struct Kept<'a> {
    tuple_key: TupleKeyOut<'a>,
    expectation: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    contextual_tuples: Vec<TupleKeyOut<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Map<String, Value>>)]
    context: Option<Values<'a>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ReadAssertionsResponse)]
pub(super) struct Assertions {
    authorization_model_id: String,
    #[schema(value_type = Vec<Kept<'static>>)]
    assertions: Box<RawValue>,
}

/// Those that were written last; none where none were ever written.
pub(crate) async fn read_assertions(
    State(app): State<Arc<App>>,
    StorePath { store, .. }: StorePath,
    ModelPath(model): ModelPath,
) -> Answered {
    let kept = app.decisions.assertions(store, model).await?;
    let assertions = RawValue::from_string(kept.unwrap_or_else(|| "[]".to_owned())).map_err(|error| {
        tracing::error!(%error, model = %model.0, "stored assertions can't be read");
        Fault::internal()
    })?;
    Ok(ok(&Assertions { authorization_model_id: model.0.to_string(), assertions }))
}

/// In place of those that were there before.
pub(crate) async fn write_assertions(
    State(app): State<Arc<App>>,
    StorePath { store, .. }: StorePath,
    ModelPath(model): ModelPath,
    body: Body,
) -> Answered {
    let Write { assertions } = body.read()?;
    let assertions = assertions.unwrap_or_default();
    if assertions.len() > MAX_ASSERTIONS {
        let message = format!("{} assertions; a version of a model has at most {MAX_ASSERTIONS}", assertions.len());
        return Err(Fault::new(FaultKind::Invalid, "assertions_too_many_items", message).into());
    }
    let scope = Scope { store, model: Some(model), consistency: Consistency::MinimizeLatency };
    let mut questions = Vec::with_capacity(assertions.len());
    for (at, Assertion { tuple_key, expectation, contextual_tuples, context }) in assertions.into_iter().enumerate() {
        let contextual = TupleKeys { tuple_keys: contextual_tuples };
        let question = scope.question(tuple_key, Some(contextual), context).map_err(|fault| among(at, fault))?;
        app.decisions.validate(&question).await.map_err(|error| among(at, Fault::from(error)))?;
        questions.push((question, expectation.unwrap_or_default()));
    }
    let body = kept(&questions)?;
    app.decisions.write_assertions(store, model, &body).await?;
    Ok(no_content())
}

/// Their JSON form.
fn kept(questions: &[(CheckRequest, bool)]) -> Result<String, Fault> {
    let kept: Vec<_> = questions.iter().map(|(question, expectation)| Kept::new(question, *expectation)).collect();
    serde_json::to_string(&kept).map_err(|_| Fault::internal())
}

/// The fault of one of them; one of the store or the model stays as it is.
fn among(at: usize, fault: Fault) -> Fault {
    match fault.code {
        "authorization_model_not_found" | "store_id_not_found" => fault,
        _ => Fault { message: format!("assertions[{at}]: {}", fault.message).into(), ..fault },
    }
}

impl<'a> Kept<'a> {
    fn new(question: &'a CheckRequest, expectation: bool) -> Self {
        let given = |Relationship { tuple, condition }: &'a Relationship| TupleKeyOut::new(tuple, condition.as_deref());
        let context: &Context = &question.context;
        Self {
            tuple_key: TupleKeyOut::asked(question),
            expectation,
            contextual_tuples: question.contextual_tuples.iter().map(given).collect(),
            context: (!context.is_empty()).then_some(Values(context)),
        }
    }
}
