//! `/forward-auth`: a gateway asks whether a request may go through to its application.
//!
//! Each gateway has a path of its own, because each says in other headers what the request was: a client that sends the headers of another
//! gateway changes nothing. Bodies of requests are never read, and those of answers say nothing: some gateways show them to the client.

mod answer;
pub(crate) mod docs;
mod original;

use std::sync::Arc;

use axum::extract::State;
use axum::http::request::Parts;
use axum::response::Response;

use crate::app::App;
use crate::credentials::Caller;
use crate::gateway::Refusal;
use crate::limits::Meter;
use answer::{answer, refused};

/// For nginx's `auth_request`: `X-Original-Method` and `X-Original-URI`.
pub(crate) async fn nginx(State(app): State<Arc<App>>, caller: Caller, meter: Meter, parts: Parts) -> Response {
    with(&app, &parts, original::nginx(&parts), &caller, &meter).await
}

/// For Traefik's `ForwardAuth` and Caddy's `forward_auth`: `X-Forwarded-Method` and `X-Forwarded-Uri`.
pub(crate) async fn forwarded(State(app): State<Arc<App>>, caller: Caller, meter: Meter, parts: Parts) -> Response {
    with(&app, &parts, original::forwarded(&parts), &caller, &meter).await
}

/// For Envoy's `ext_authz` over HTTP: the request's own method, and its path after the prefix.
pub(crate) async fn envoy(State(app): State<Arc<App>>, caller: Caller, meter: Meter, parts: Parts) -> Response {
    with(&app, &parts, original::envoy(&parts), &caller, &meter).await
}

async fn with(
    app: &App,
    parts: &Parts,
    original: Result<crate::gateway::Original<'_>, Refusal>,
    caller: &Caller,
    meter: &Meter,
) -> Response {
    match original {
        Ok(original) => answer(app, original, &parts.headers, caller, meter).await,
        Err(refusal) => refused(app, &refusal, None),
    }
}
