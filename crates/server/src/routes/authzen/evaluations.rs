//! `POST /access/v1/evaluations`: many questions at once.
//!
//! A key of an item replaces the request's default as a whole. A question that can't be answered is a deny with an error beside it, and the
//! others are answered all the same. A state that an answer must contain is a matter of the whole request: it is waited for once, before the first question,
//! and a token that can't be honoured is the request's fault.

use std::sync::Arc;

use authz::store::StoreId;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use futures_util::{StreamExt, stream};
use serde::Deserialize;
use utoipa::ToSchema;

use super::answer::{Answer, Answers};
use super::evaluation::{alone, answer};
use super::parts::{Action, Entity, Environment};
use super::question::Question;
use super::{Answered, Body, StorePath};
use crate::acknowledge::contain;
use crate::app::App;
use crate::credentials::Caller;
use crate::error::Fault;
use crate::limits::Meter;
use crate::middleware::Peer;
use crate::routes::AT_ONCE;
use crate::wire::{Fields, ok};

#[derive(Deserialize, ToSchema)]
#[schema(as = EvaluationsRequest)]
pub(super) struct Evaluations<'a> {
    #[serde(borrow, default)]
    subject: Option<Fields<Entity<'a>>>,
    #[serde(borrow, default)]
    action: Option<Fields<Action<'a>>>,
    #[serde(borrow, default)]
    resource: Option<Fields<Entity<'a>>>,
    #[serde(borrow, default)]
    context: Option<Environment<'a>>,
    #[serde(borrow, default)]
    evaluations: Option<Vec<Fields<Question<'a>>>>,
    #[serde(default)]
    options: Option<Fields<Options>>,
}

#[derive(Deserialize, ToSchema)]
#[schema(as = EvaluationsOptions)]
struct Options {
    #[serde(default)]
    evaluations_semantic: Option<Semantic>,
}

/// When to stop.
#[derive(Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = EvaluationsSemantic)]
enum Semantic {
    #[default]
    ExecuteAll,
    DenyOnFirstDeny,
    PermitOnFirstPermit,
}

/// Who asks, and where.
#[derive(Clone, Copy)]
struct Asking<'a> {
    app: &'a App,
    store: StoreId,
    peer: Peer,
    meter: &'a Meter,
}

/// In the default store.
pub(crate) async fn evaluations(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    caller: Caller,
    meter: Meter,
    body: Body,
) -> Answered {
    let request: Evaluations<'_> = body.read()?;
    Ok(answers(Asking { app: &app, store: app.default_store(&caller).await?, peer, meter: &meter }, request).await?)
}

/// In a store.
pub(crate) async fn store_evaluations(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    StorePath { store, .. }: StorePath,
    meter: Meter,
    body: Body,
) -> Answered {
    let request: Evaluations<'_> = body.read()?;
    Ok(answers(Asking { app: &app, store, peer, meter: &meter }, request).await?)
}

async fn answers(asking: Asking<'_>, request: Evaluations<'_>) -> Result<Response, Fault> {
    let Evaluations { subject, action, resource, context, evaluations, options } = request;
    let defaults = Question { subject, action, resource, context };
    let items = evaluations.unwrap_or_default();
    if items.is_empty() {
        // Without items it is one question, and is answered as one.
        let Asking { app, store, peer, meter } = asking;
        return alone(app, store, &defaults, peer, meter).await;
    }
    let max = asking.app.settings.http.max_batch;
    if items.len() > max {
        return Err(Fault::invalid(format!("{} evaluations in one request; at most {max} are allowed", items.len())));
    }
    let named =
        items.iter().enumerate().filter_map(|(at, item)| item.wanted(format_args!("evaluations[{at}].context")));
    contain(asking.app, defaults.wanted("context").into_iter().chain(named).collect()).await?;
    let questions: Vec<_> = items.into_iter().map(|Fields(item)| item.or(&defaults)).collect();
    let evaluations = match options.and_then(|Fields(options)| options.evaluations_semantic).unwrap_or_default() {
        Semantic::ExecuteAll => all(asking, &questions).await,
        Semantic::DenyOnFirstDeny => until(false, asking, &questions).await,
        Semantic::PermitOnFirstPermit => until(true, asking, &questions).await,
    };
    Ok(asking.app.naming_its_state(ok(&Answers { evaluations })).await)
}

async fn all(asking: Asking<'_>, questions: &[Question<'_>]) -> Vec<Answer> {
    let answers: Vec<_> = questions.iter().map(|question| asking.item(question)).collect();
    stream::iter(answers).buffered(AT_ONCE).collect().await
}

/// The answers up to and including the first one with that decision.
async fn until(decision: bool, asking: Asking<'_>, questions: &[Question<'_>]) -> Vec<Answer> {
    let mut answers = Vec::with_capacity(questions.len());
    for question in questions {
        let answer = asking.item(question).await;
        let decides = answer.decision == decision;
        answers.push(answer);
        if decides {
            break;
        }
    }
    answers
}

impl Asking<'_> {
    async fn answer(self, question: &Question<'_>) -> Result<Answer, Fault> {
        answer(self.app, self.store, question, self.peer, self.meter).await
    }

    async fn item(self, question: &Question<'_>) -> Answer {
        self.answer(question).await.unwrap_or_else(|fault| Answer::without(&fault))
    }
}

impl Question<'_> {
    /// This question, with the defaults for what it leaves out.
    fn or(self, defaults: &Self) -> Self {
        Self {
            subject: self.subject.or_else(|| defaults.subject.clone()),
            action: self.action.or_else(|| defaults.action.clone()),
            resource: self.resource.or_else(|| defaults.resource.clone()),
            context: self.context.or_else(|| defaults.context.clone()),
        }
    }
}
