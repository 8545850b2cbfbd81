//! `/stores/{store_id}/assertions/{model_id}`: expectations that a model was once tested with.
//!
//! This release doesn't keep any, and says so only to whoever brings some: an import of a store without tests, and an export, go through.

use std::sync::Arc;

use axum::extract::State;
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::models::ModelPath;
use super::{Answered, Body, StorePath};
use crate::app::App;
use crate::error::Fault;
use crate::wire::{no_content, ok};

#[derive(Deserialize)]
struct Write {
    assertions: Option<Vec<IgnoredAny>>,
}

#[derive(Serialize)]
struct Assertions {
    authorization_model_id: String,
    assertions: [(); 0],
}

/// There are none.
pub(crate) async fn read_assertions(
    State(app): State<Arc<App>>,
    StorePath { store, .. }: StorePath,
    ModelPath(model): ModelPath,
) -> Answered {
    app.decisions.model(store, model).await.map_err(|error| app.fault(error))?;
    Ok(ok(&Assertions { authorization_model_id: model.0.to_string(), assertions: [] }))
}

/// None can be kept.
pub(crate) async fn write_assertions(
    State(app): State<Arc<App>>,
    StorePath { store, .. }: StorePath,
    ModelPath(model): ModelPath,
    body: Body,
) -> Answered {
    let Write { assertions } = body.read()?;
    app.decisions.model(store, model).await.map_err(|error| app.fault(error))?;
    if assertions.is_some_and(|assertions| !assertions.is_empty()) {
        return Err(
            Fault::unsupported("assertions are not kept by this release; test the model with its store file").into()
        );
    }
    Ok(no_content())
}
