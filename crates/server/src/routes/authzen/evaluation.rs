//! `POST /access/v1/evaluation`: one question.

use std::sync::Arc;

use authz::store::StoreId;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;

use super::answer::Answer;
use super::decide::decide;
use super::question::Question;
use super::{Answered, Body, StorePath};
use crate::acknowledge::contain;
use crate::app::App;
use crate::credentials::Caller;
use crate::error::Fault;
use crate::limits::Meter;
use crate::middleware::Peer;

/// In the default store.
pub(crate) async fn evaluation(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    caller: Caller,
    meter: Meter,
    body: Body,
) -> Answered {
    let question: Question<'_> = body.read()?;
    Ok(alone(&app, app.default_store(&caller).await?, &question, peer, &meter).await?)
}

/// In a store.
pub(crate) async fn store_evaluation(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    StorePath { store, .. }: StorePath,
    meter: Meter,
    body: Body,
) -> Answered {
    let question: Question<'_> = body.read()?;
    Ok(alone(&app, store, &question, peer, &meter).await?)
}

/// The only question of a request.
pub(super) async fn alone(
    app: &App,
    store: StoreId,
    question: &Question<'_>,
    peer: Peer,
    meter: &Meter,
) -> Result<Response, Fault> {
    contain(app, question.wanted("context").into_iter().collect()).await?;
    Ok(answer(app, store, question, peer, meter).await?.alone(app).await)
}

pub(super) async fn answer(
    app: &App,
    store: StoreId,
    question: &Question<'_>,
    peer: Peer,
    meter: &Meter,
) -> Result<Answer, Fault> {
    let request = question.request(store)?;
    Ok(Answer::of(decide(app, &request, meter).await?, peer))
}
