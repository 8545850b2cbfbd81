//! `POST /access/v1/evaluation`: one question.

use std::sync::Arc;

use authz::store::StoreId;
use axum::Extension;
use axum::extract::State;

use super::answer::Answer;
use super::decide::decide;
use super::question::Question;
use super::{Answered, Body, StorePath};
use crate::app::App;
use crate::error::Fault;
use crate::limits::Meter;
use crate::middleware::Peer;
use crate::wire::ok;

/// In the default store.
pub(crate) async fn evaluation(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    meter: Meter,
    body: Body,
) -> Answered {
    let question: Question<'_> = body.read()?;
    Ok(ok(&answer(&app, app.default_store().await?, &question, peer, &meter).await?))
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
    Ok(ok(&answer(&app, store, &question, peer, &meter).await?))
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
