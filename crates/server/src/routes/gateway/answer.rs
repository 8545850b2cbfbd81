//! What a gateway is told: 200, 401 or 403, which all of them understand, and 503 or 429 where there is no answer, which none takes for an allow.

use authz::condition::Context;
use authz::decide::{CheckRequest, Consistency, RequestProperties};
use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use ulid::Ulid;

use crate::app::App;
use crate::credentials::Caller;
use crate::error::{Fault, FaultKind, Gateway, Shape};
use crate::gateway::{Meaning, Original, Refusal};
use crate::limits::Meter;
use crate::routes::authzen::decide;

/// Names the decision, for the application's log.
const DECISION_ID: HeaderName = HeaderName::from_static("x-tiergate-decision-id");
/// The longest part of a client's path that is logged.
const MAX_LOGGED_BYTES: usize = 128;

/// Decides about a request.
pub(super) async fn answer(
    app: &App,
    original: Original<'_>,
    headers: &HeaderMap,
    caller: &Caller,
    meter: &Meter,
) -> Response {
    match app.gateway.meaning(original, headers) {
        Ok(meaning) => {
            decided(app, meaning, caller, meter).await.unwrap_or_else(|fault| Gateway::response(&no_answer(fault)))
        }
        Err(refusal) => refused(app, &refusal, Some(original)),
    }
}

async fn decided(app: &App, meaning: Meaning, caller: &Caller, meter: &Meter) -> Result<Response, Fault> {
    let Meaning::Question { store, subject, relation, resource } = meaning else {
        return Ok(reply(StatusCode::OK, None));
    };
    let store = match store {
        Some(store) => store,
        None => app.default_store(caller).await?,
    };
    // The map is the operator's, and the key may be for another store.
    caller.may_name(store)?;
    let (model, contextual_tuples, consistency) = (None, Vec::new(), Consistency::MinimizeLatency);
    let (context, properties) = (Context::default(), RequestProperties::default());
    let request = CheckRequest {
        store,
        model,
        subject,
        relation,
        object: resource,
        contextual_tuples,
        context,
        properties,
        consistency,
    };
    let verdict = decide(app, &request, meter).await?;
    if let Some(reason) = &verdict.reason {
        // The map and the model don't fit: nobody would ever get through.
        tracing::warn!(id = %verdict.id, reason, "a route of the gateway asks for what the model does not have");
    }
    if verdict.allowed {
        Ok(app.naming_its_state(reply(StatusCode::OK, Some(verdict.id))).await)
    } else {
        // Some gateways pass a refusal on to the client whole: it learns nothing of the origin.
        Ok(reply(StatusCode::FORBIDDEN, Some(verdict.id)))
    }
}

/// The answer to what nobody was asked about. The client learns no reason; the log has it, and the path where everything is logged.
pub(super) fn refused(app: &App, refusal: &Refusal, original: Option<Original<'_>>) -> Response {
    let is_debug = tracing::enabled!(tracing::Level::DEBUG);
    let path = original.filter(|_| is_debug).map(|original| shown(original.target));
    let method = original.map(|original| shown(original.method));
    if *refusal == Refusal::Unauthenticated {
        tracing::debug!(method, path, "a request through the gateway names nobody");
        return unauthenticated(app.gateway.challenge());
    }
    let no_routes = app.gateway.is_empty().then_some("gateway.routes is empty");
    tracing::info!(reason = %refusal, method, path, no_routes, "a request through the gateway was refused");
    reply(StatusCode::FORBIDDEN, None)
}

fn unauthenticated(challenge: Option<&HeaderValue>) -> Response {
    let mut response = reply(StatusCode::UNAUTHORIZED, None);
    if let Some(challenge) = challenge {
        response.headers_mut().insert(WWW_AUTHENTICATE, challenge.clone());
    }
    response
}

/// Whatever kept the decision point from deciding is no fault of the client: its words were checked before.
fn no_answer(fault: Fault) -> Fault {
    if matches!(fault.kind, FaultKind::RateLimited { .. }) {
        return fault;
    }
    if fault.kind != FaultKind::Unavailable {
        tracing::warn!(reason = %fault.message, "a request through the gateway can't be decided");
    }
    Fault { kind: FaultKind::Unavailable, ..fault }
}

fn reply(status: StatusCode, decision: Option<Ulid>) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // The letters of a ULID are those of a header.
    if let Some(id) = decision.and_then(|id| HeaderValue::from_str(&id.to_string()).ok()) {
        headers.insert(DECISION_ID, id);
    }
    response
}

/// Without the query, which may hold secrets; cut, and safe on a line.
fn shown(bytes: &[u8]) -> String {
    let path = bytes.split(|byte| *byte == b'?').next().unwrap_or_default();
    path.get(..MAX_LOGGED_BYTES).unwrap_or(path).escape_ascii().to_string()
}
