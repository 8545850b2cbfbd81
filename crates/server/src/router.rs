//! All paths, in one place. What is not here does not exist.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::{any, get, post, put};

use crate::app::App;
use crate::error::{Api, Fault, FaultKind};
use crate::routes::{admin, authzen, gateway, health, openfga};

/// The paths for decisions, models and relationships.
pub fn public(app: Arc<App>) -> Router {
    Router::new()
        .route("/access/v1/evaluation", post(authzen::evaluation))
        .route("/access/v1/evaluations", post(authzen::evaluations))
        .route("/stores/{store_id}/access/v1/evaluation", post(authzen::store_evaluation))
        .route("/stores/{store_id}/access/v1/evaluations", post(authzen::store_evaluations))
        .route("/access/v1/search/subject", post(authzen::search_subject))
        .route("/access/v1/search/resource", post(authzen::search_resource))
        .route("/access/v1/search/action", post(authzen::search_action))
        .route("/stores/{store_id}/access/v1/search/subject", post(authzen::store_search_subject))
        .route("/stores/{store_id}/access/v1/search/resource", post(authzen::store_search_resource))
        .route("/stores/{store_id}/access/v1/search/action", post(authzen::store_search_action))
        .route("/.well-known/authzen-configuration", get(authzen::metadata))
        .route("/.well-known/authzen-configuration/stores/{store_id}", get(authzen::store_metadata))
        .route("/stores", post(openfga::create_store).get(openfga::list_stores))
        .route("/stores/{store_id}", get(openfga::get_store).delete(openfga::delete_store))
        .route("/stores/{store_id}/authorization-models", post(openfga::write_model).get(openfga::list_models))
        .route("/stores/{store_id}/authorization-models/{model_id}", get(openfga::get_model))
        .route("/stores/{store_id}/check", post(openfga::check))
        .route("/stores/{store_id}/write", post(openfga::write))
        .route("/stores/{store_id}/read", post(openfga::read))
        .route("/stores/{store_id}/changes", get(openfga::changes))
        .route("/stores/{store_id}/batch-check", post(openfga::batch_check))
        .route("/stores/{store_id}/expand", post(openfga::expand))
        .route("/stores/{store_id}/list-objects", post(openfga::list_objects))
        .route("/stores/{store_id}/streamed-list-objects", post(openfga::streamed_list_objects))
        .route("/stores/{store_id}/list-users", post(openfga::list_users))
        .route("/stores/{store_id}/assertions/{model_id}", put(openfga::write_assertions).get(openfga::read_assertions))
        .route("/forward-auth", any(gateway::forwarded))
        .route("/forward-auth/traefik", any(gateway::forwarded))
        .route("/forward-auth/caddy", any(gateway::forwarded))
        .route("/forward-auth/nginx", any(gateway::nginx))
        .route("/forward-auth/envoy/", any(gateway::envoy))
        .route("/forward-auth/envoy/{*path}", any(gateway::envoy))
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready))
        .route("/healthz", get(health::ready))
        .fallback(nothing)
        .method_not_allowed_fallback(other_method)
        .with_state(app)
}

/// The paths for whoever operates the server, on a listener of their own.
pub fn admin(app: Arc<App>) -> Router {
    Router::new()
        .route("/admin/v1/invalidate", post(admin::invalidate))
        .route("/admin/v1/explain", post(admin::explain))
        .route("/admin/v1/cache", get(admin::cache))
        .route("/admin/v1/tiers/{name}", post(admin::change_tier))
        .route("/admin/v1/stores/{store_id}/properties", put(admin::write_properties).get(admin::list_properties))
        .route(
            "/admin/v1/stores/{store_id}/properties/{type}/{id}",
            get(admin::get_properties).delete(admin::delete_properties),
        )
        .route("/livez", get(health::live))
        .route("/readyz", get(health::ready_in_detail))
        .route("/healthz", get(health::ready_in_detail))
        .fallback(nothing)
        .method_not_allowed_fallback(other_method)
        .with_state(app)
}

async fn nothing(request: Request) -> Response {
    let fault = Fault::new(FaultKind::NotFound, "undefined_endpoint", "there is nothing under this path");
    Api::of(request.uri().path()).response(&fault)
}

async fn other_method(request: Request) -> Response {
    let fault = Fault::new(FaultKind::Method, "undefined_endpoint", "this path does not have this method");
    Api::of(request.uri().path()).response(&fault)
}
