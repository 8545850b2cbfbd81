//! All paths, in one place, each with its handler and its documentation. What is not here does not exist.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;

use crate::acknowledge;
use crate::app::App;
use crate::error::{Api, Fault, FaultKind};
use crate::openapi::{About, Routes};
use crate::routes::authzen::docs::Of;
use crate::routes::{admin, authzen, gateway, health, openfga};

const PUBLIC: About = About {
    title: "Tiergate",
    description: "Decisions, models and relationships. A path under `/stores/{store_id}` asks one store; AuthZEN's paths without a store ask the \
                  default one.",
    groups: &[
        ("AuthZEN", "Decisions by OpenID's Authorization API 1.0. Errors are a JSON string."),
        (
            "OpenFGA",
            "Stores, models, relationships and decisions, as OpenFGA's clients ask. Errors are an object of code and message.",
        ),
        ("Gateways", "Whether a request may go through to an application."),
        ("Health", "Probes. They may be asked under any name."),
        ("Documentation", "This document, and a page to try it."),
    ],
};

const ADMINISTRATION: About = About {
    title: "Tiergate administration",
    description: "For whoever operates the server, on a listener of its own. A field that isn't known is refused.",
    groups: &[
        (
            "Administration",
            "The caches, explanations, and stored properties. Errors are an object of code and message.",
        ),
        ("Health", "Probes, with the reasons. They may be asked under any name."),
        ("Documentation", "This document, and a page to try it."),
    ],
};

/// The paths for decisions, models and relationships.
pub fn public(app: Arc<App>) -> Router {
    Routes::new()
        .post("/access/v1/evaluation", authzen::evaluation, authzen::docs::evaluation(Of::Default))
        .post("/access/v1/evaluations", authzen::evaluations, authzen::docs::evaluations(Of::Default))
        .post(
            "/stores/{store_id}/access/v1/evaluation",
            authzen::store_evaluation,
            authzen::docs::evaluation(Of::Store),
        )
        .post(
            "/stores/{store_id}/access/v1/evaluations",
            authzen::store_evaluations,
            authzen::docs::evaluations(Of::Store),
        )
        .post("/access/v1/search/subject", authzen::search_subject, authzen::docs::search_subject(Of::Default))
        .post("/access/v1/search/resource", authzen::search_resource, authzen::docs::search_resource(Of::Default))
        .post("/access/v1/search/action", authzen::search_action, authzen::docs::search_action(Of::Default))
        .post(
            "/stores/{store_id}/access/v1/search/subject",
            authzen::store_search_subject,
            authzen::docs::search_subject(Of::Store),
        )
        .post(
            "/stores/{store_id}/access/v1/search/resource",
            authzen::store_search_resource,
            authzen::docs::search_resource(Of::Store),
        )
        .post(
            "/stores/{store_id}/access/v1/search/action",
            authzen::store_search_action,
            authzen::docs::search_action(Of::Store),
        )
        .get("/.well-known/authzen-configuration", authzen::metadata, authzen::docs::metadata(Of::Default))
        .get(
            "/.well-known/authzen-configuration/stores/{store_id}",
            authzen::store_metadata,
            authzen::docs::metadata(Of::Store),
        )
        .post("/stores", openfga::create_store, openfga::docs::create_store())
        .get("/stores", openfga::list_stores, openfga::docs::list_stores())
        .get("/stores/{store_id}", openfga::get_store, openfga::docs::get_store())
        .delete("/stores/{store_id}", openfga::delete_store, openfga::docs::delete_store())
        .post("/stores/{store_id}/authorization-models", openfga::write_model, openfga::docs::write_model())
        .get("/stores/{store_id}/authorization-models", openfga::list_models, openfga::docs::list_models())
        .get("/stores/{store_id}/authorization-models/{model_id}", openfga::get_model, openfga::docs::get_model())
        .post("/stores/{store_id}/check", openfga::check, openfga::docs::check())
        .post("/stores/{store_id}/write", openfga::write, openfga::docs::write())
        .post("/stores/{store_id}/read", openfga::read, openfga::docs::read())
        .get("/stores/{store_id}/changes", openfga::changes, openfga::docs::changes())
        .post("/stores/{store_id}/batch-check", openfga::batch_check, openfga::docs::batch_check())
        .post("/stores/{store_id}/expand", openfga::expand, openfga::docs::expand())
        .post("/stores/{store_id}/list-objects", openfga::list_objects, openfga::docs::list_objects())
        .post(
            "/stores/{store_id}/streamed-list-objects",
            openfga::streamed_list_objects,
            openfga::docs::streamed_list_objects(),
        )
        .post("/stores/{store_id}/list-users", openfga::list_users, openfga::docs::list_users())
        .put("/stores/{store_id}/assertions/{model_id}", openfga::write_assertions, openfga::docs::write_assertions())
        .get("/stores/{store_id}/assertions/{model_id}", openfga::read_assertions, openfga::docs::read_assertions())
        .get("/revocations/{token}", acknowledge::revocation, acknowledge::docs::revocation())
        .any("/forward-auth", gateway::forwarded, gateway::docs::forwarded())
        .any("/forward-auth/traefik", gateway::forwarded, gateway::docs::traefik())
        .any("/forward-auth/caddy", gateway::forwarded, gateway::docs::caddy())
        .any("/forward-auth/nginx", gateway::nginx, gateway::docs::nginx())
        .any("/forward-auth/envoy/", gateway::envoy, gateway::docs::envoy_root())
        .any("/forward-auth/envoy/{*path}", gateway::envoy, gateway::docs::envoy())
        .get("/livez", health::live, health::docs::live())
        .get("/readyz", health::ready, health::docs::ready())
        .get("/healthz", health::ready, health::docs::healthy())
        .served(&PUBLIC)
        .fallback(nothing)
        .method_not_allowed_fallback(other_method)
        .with_state(app)
}

/// The paths for whoever operates the server, on a listener of their own.
pub fn admin(app: Arc<App>) -> Router {
    Routes::new()
        .post("/admin/v1/invalidate", admin::invalidate, admin::docs::invalidate())
        .post("/admin/v1/explain", admin::explain, admin::docs::explain())
        .get("/admin/v1/cache", admin::cache, admin::docs::cache())
        .get("/admin/v1/pools", admin::pools, admin::docs::pools())
        .post("/admin/v1/tiers/{name}", admin::change_tier, admin::docs::change_tier())
        .put("/admin/v1/stores/{store_id}/properties", admin::write_properties, admin::docs::write_properties())
        .get("/admin/v1/stores/{store_id}/properties", admin::list_properties, admin::docs::list_properties())
        .get("/admin/v1/stores/{store_id}/properties/{type}/{id}", admin::get_properties, admin::docs::get_properties())
        .delete(
            "/admin/v1/stores/{store_id}/properties/{type}/{id}",
            admin::delete_properties,
            admin::docs::delete_properties(),
        )
        .get("/livez", health::live, health::docs::live())
        .get("/readyz", health::ready_in_detail, health::docs::ready())
        .get("/healthz", health::ready_in_detail, health::docs::healthy())
        .served(&ADMINISTRATION)
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
