//! The metadata document: where what can be found. Only what exists is named; there are no capabilities beyond that, so that they are left out.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Answered, StorePath};
use crate::app::App;
use crate::wire::ok;

#[derive(Serialize, ToSchema)]
#[schema(as = PolicyDecisionPointMetadata)]
pub(super) struct Metadata {
    policy_decision_point: String,
    access_evaluation_endpoint: String,
    access_evaluations_endpoint: String,
    search_subject_endpoint: String,
    search_resource_endpoint: String,
    search_action_endpoint: String,
}

/// Of the default store.
pub(crate) async fn metadata(State(app): State<Arc<App>>) -> Response {
    ok(&Metadata::of(app.public_url.clone()))
}

/// Of a store.
pub(crate) async fn store_metadata(State(app): State<Arc<App>>, StorePath { store, .. }: StorePath) -> Answered {
    app.decisions.store(store).await?;
    Ok(ok(&Metadata::of(format!("{}/stores/{}", app.public_url, store.0))))
}

impl Metadata {
    fn of(base: String) -> Self {
        Self {
            access_evaluation_endpoint: format!("{base}/access/v1/evaluation"),
            access_evaluations_endpoint: format!("{base}/access/v1/evaluations"),
            search_subject_endpoint: format!("{base}/access/v1/search/subject"),
            search_resource_endpoint: format!("{base}/access/v1/search/resource"),
            search_action_endpoint: format!("{base}/access/v1/search/action"),
            policy_decision_point: base,
        }
    }
}
