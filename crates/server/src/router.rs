//! All paths, in one place, each with its handler and its documentation. What is not here does not exist.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;

use crate::acknowledge;
use crate::app::App;
use crate::credentials::Access;
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
        .post(
            "/access/v1/evaluation",
            Access::CHECK.in_own_store(),
            authzen::evaluation,
            authzen::docs::evaluation(Of::Default),
        )
        .post(
            "/access/v1/evaluations",
            Access::CHECK.in_own_store(),
            authzen::evaluations,
            authzen::docs::evaluations(Of::Default),
        )
        .post(
            "/stores/{store_id}/access/v1/evaluation",
            Access::CHECK,
            authzen::store_evaluation,
            authzen::docs::evaluation(Of::Store),
        )
        .post(
            "/stores/{store_id}/access/v1/evaluations",
            Access::CHECK,
            authzen::store_evaluations,
            authzen::docs::evaluations(Of::Store),
        )
        .post(
            "/access/v1/search/subject",
            Access::CHECK.in_own_store(),
            authzen::search_subject,
            authzen::docs::search_subject(Of::Default),
        )
        .post(
            "/access/v1/search/resource",
            Access::CHECK.in_own_store(),
            authzen::search_resource,
            authzen::docs::search_resource(Of::Default),
        )
        .post(
            "/access/v1/search/action",
            Access::CHECK.in_own_store(),
            authzen::search_action,
            authzen::docs::search_action(Of::Default),
        )
        .post(
            "/stores/{store_id}/access/v1/search/subject",
            Access::CHECK,
            authzen::store_search_subject,
            authzen::docs::search_subject(Of::Store),
        )
        .post(
            "/stores/{store_id}/access/v1/search/resource",
            Access::CHECK,
            authzen::store_search_resource,
            authzen::docs::search_resource(Of::Store),
        )
        .post(
            "/stores/{store_id}/access/v1/search/action",
            Access::CHECK,
            authzen::store_search_action,
            authzen::docs::search_action(Of::Store),
        )
        .get(
            "/.well-known/authzen-configuration",
            Access::OPEN,
            authzen::metadata,
            authzen::docs::metadata(Of::Default),
        )
        .get(
            "/.well-known/authzen-configuration/stores/{store_id}",
            Access::CHECK,
            authzen::store_metadata,
            authzen::docs::metadata(Of::Store),
        )
        .post("/stores", Access::WRITE, openfga::create_store, openfga::docs::create_store())
        .get("/stores", Access::WRITE, openfga::list_stores, openfga::docs::list_stores())
        .get("/stores/{store_id}", Access::CHECK, openfga::get_store, openfga::docs::get_store())
        .delete("/stores/{store_id}", Access::WRITE, openfga::delete_store, openfga::docs::delete_store())
        .post(
            "/stores/{store_id}/authorization-models",
            Access::WRITE,
            openfga::write_model,
            openfga::docs::write_model(),
        )
        .get(
            "/stores/{store_id}/authorization-models",
            Access::CHECK,
            openfga::list_models,
            openfga::docs::list_models(),
        )
        .get(
            "/stores/{store_id}/authorization-models/{model_id}",
            Access::CHECK,
            openfga::get_model,
            openfga::docs::get_model(),
        )
        .post("/stores/{store_id}/check", Access::CHECK, openfga::check, openfga::docs::check())
        .post("/stores/{store_id}/write", Access::WRITE, openfga::write, openfga::docs::write())
        .post("/stores/{store_id}/read", Access::WRITE, openfga::read, openfga::docs::read())
        .get("/stores/{store_id}/changes", Access::WRITE, openfga::changes, openfga::docs::changes())
        .post("/stores/{store_id}/batch-check", Access::CHECK, openfga::batch_check, openfga::docs::batch_check())
        .post("/stores/{store_id}/expand", Access::EXPLAIN, openfga::expand, openfga::docs::expand())
        .post("/stores/{store_id}/list-objects", Access::CHECK, openfga::list_objects, openfga::docs::list_objects())
        .post(
            "/stores/{store_id}/streamed-list-objects",
            Access::CHECK,
            openfga::streamed_list_objects,
            openfga::docs::streamed_list_objects(),
        )
        .post("/stores/{store_id}/list-users", Access::CHECK, openfga::list_users, openfga::docs::list_users())
        .put(
            "/stores/{store_id}/assertions/{model_id}",
            Access::WRITE,
            openfga::write_assertions,
            openfga::docs::write_assertions(),
        )
        .get(
            "/stores/{store_id}/assertions/{model_id}",
            Access::WRITE,
            openfga::read_assertions,
            openfga::docs::read_assertions(),
        )
        .get(
            "/revocations/{token}",
            Access::WRITE.in_own_store(),
            acknowledge::revocation,
            acknowledge::docs::revocation(),
        )
        .any("/forward-auth", Access::CHECK.in_own_store(), gateway::forwarded, gateway::docs::forwarded())
        .any("/forward-auth/traefik", Access::CHECK.in_own_store(), gateway::forwarded, gateway::docs::traefik())
        .any("/forward-auth/caddy", Access::CHECK.in_own_store(), gateway::forwarded, gateway::docs::caddy())
        .any("/forward-auth/nginx", Access::CHECK.in_own_store(), gateway::nginx, gateway::docs::nginx())
        .any("/forward-auth/envoy/", Access::CHECK.in_own_store(), gateway::envoy, gateway::docs::envoy_root())
        .any("/forward-auth/envoy/{*path}", Access::CHECK.in_own_store(), gateway::envoy, gateway::docs::envoy())
        .get("/livez", Access::OPEN, health::live, health::docs::live())
        .get("/readyz", Access::OPEN, health::ready, health::docs::ready())
        .get("/healthz", Access::OPEN, health::ready, health::docs::healthy())
        .served(&PUBLIC)
        .fallback(nothing)
        .method_not_allowed_fallback(other_method)
        .with_state(app)
}

/// The paths for whoever operates the server, on a listener of their own.
pub fn admin(app: Arc<App>) -> Router {
    Routes::new()
        .post("/admin/v1/invalidate", Access::ADMIN, admin::invalidate, admin::docs::invalidate())
        .post("/admin/v1/reload", Access::ADMIN, admin::reload, admin::docs::reload())
        .post("/admin/v1/explain", Access::EXPLAIN.in_own_store(), admin::explain, admin::docs::explain())
        .get("/admin/v1/cache", Access::ADMIN, admin::cache, admin::docs::cache())
        .get("/admin/v1/pools", Access::ADMIN, admin::pools, admin::docs::pools())
        .post("/admin/v1/tiers/{name}", Access::ADMIN, admin::change_tier, admin::docs::change_tier())
        .put(
            "/admin/v1/stores/{store_id}/properties",
            Access::ADMIN,
            admin::write_properties,
            admin::docs::write_properties(),
        )
        .get(
            "/admin/v1/stores/{store_id}/properties",
            Access::ADMIN,
            admin::list_properties,
            admin::docs::list_properties(),
        )
        .get(
            "/admin/v1/stores/{store_id}/properties/{type}/{id}",
            Access::ADMIN,
            admin::get_properties,
            admin::docs::get_properties(),
        )
        .delete(
            "/admin/v1/stores/{store_id}/properties/{type}/{id}",
            Access::ADMIN,
            admin::delete_properties,
            admin::docs::delete_properties(),
        )
        .get("/livez", Access::OPEN, health::live, health::docs::live())
        .get("/readyz", Access::OPEN, health::ready_in_detail, health::docs::ready())
        .get("/healthz", Access::OPEN, health::ready_in_detail, health::docs::healthy())
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
