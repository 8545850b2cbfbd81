//! How each interface says that something went wrong.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Fault, FaultKind};

/// Seconds after which asking again makes sense.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

/// What to show instead of nothing (RFC 6750).
const CHALLENGE: HeaderValue = HeaderValue::from_static("Bearer realm=\"tiergate\"");

/// An interface's way to answer with an error.
pub trait Shape: Send + Sync + 'static {
    /// The answer.
    fn response(fault: &Fault) -> Response;
}

/// OpenID AuthZEN: the message as a JSON string.
#[derive(Debug)]
pub struct AuthZen;

/// OpenFGA: an object of code and message. Its clients silently repeat 409, 413 and 500 for a minute, so that every fault of the
/// input is 400 here.
#[derive(Debug)]
pub struct OpenFga;

/// What went wrong.
#[derive(Serialize, ToSchema)]
#[schema(as = Error)]
pub(crate) struct ErrorBody<'a> {
    /// What clients decide by.
    code: &'a str,
    /// What people read: what is wrong, where, and what to do.
    message: &'a str,
}

/// What gateways understand: the request was not allowed (403), or there is no answer (503, and 429 where it was asked for too often). Nothing else is said, because some of them
/// show the answer to the client.
#[derive(Debug)]
pub struct Gateway;

/// The interface that a path belongs to, for answers that no handler gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// `/access/v1/…`, also under a store, and its metadata.
    AuthZen,
    /// `/forward-auth` and what lies under it.
    Gateway,
    /// Everything else that clients use.
    OpenFga,
    /// The probes of whoever runs the server.
    Health,
}

impl Api {
    /// The interface of a path.
    #[must_use]
    pub fn of(path: &str) -> Self {
        match path {
            "/livez" | "/readyz" | "/healthz" => Self::Health,
            _ if path.starts_with("/forward-auth") => Self::Gateway,
            _ if path.starts_with("/access/v1/") || path.starts_with("/.well-known/") => Self::AuthZen,
            _ if path.starts_with("/stores/") && path.contains("/access/v1/") => Self::AuthZen,
            _ => Self::OpenFga,
        }
    }

    /// The answer in that interface's shape.
    #[must_use]
    pub fn response(self, fault: &Fault) -> Response {
        match self {
            Self::AuthZen | Self::Health => AuthZen::response(fault),
            Self::Gateway => Gateway::response(fault),
            Self::OpenFga => OpenFga::response(fault),
        }
    }
}

impl Shape for AuthZen {
    fn response(fault: &Fault) -> Response {
        let status = match fault.kind {
            FaultKind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            _ => status(fault.kind),
        };
        respond(status, fault, &fault.message)
    }
}

impl Shape for OpenFga {
    fn response(fault: &Fault) -> Response {
        respond(status(fault.kind), fault, &ErrorBody { code: fault.code, message: &fault.message })
    }
}

impl Shape for Gateway {
    fn response(fault: &Fault) -> Response {
        let (status, body) = match fault.kind {
            // A path under /forward-auth that is none: a gateway that was set up wrongly should not look like one that denies.
            FaultKind::NotFound | FaultKind::Method => (StatusCode::NOT_FOUND, "there is no such gateway"),
            FaultKind::Invalid | FaultKind::TooLarge | FaultKind::Forbidden => (StatusCode::FORBIDDEN, "forbidden"),
            FaultKind::RateLimited { .. } => (StatusCode::TOO_MANY_REQUESTS, "too many requests"),
            // The gateway's own credential: its client has done nothing wrong, and must not be asked to log in.
            FaultKind::Unauthenticated | FaultKind::Unavailable | FaultKind::Uncertain | FaultKind::Internal => {
                (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
            }
        };
        if matches!(fault.kind, FaultKind::Forbidden | FaultKind::Unauthenticated) {
            tracing::warn!(reason = %fault.message, "a request to /forward-auth was refused");
        }
        respond(status, fault, &body)
    }
}

fn status(kind: FaultKind) -> StatusCode {
    match kind {
        FaultKind::Invalid | FaultKind::TooLarge => StatusCode::BAD_REQUEST,
        FaultKind::Unauthenticated => StatusCode::UNAUTHORIZED,
        FaultKind::Forbidden => StatusCode::FORBIDDEN,
        FaultKind::NotFound => StatusCode::NOT_FOUND,
        FaultKind::Method => StatusCode::METHOD_NOT_ALLOWED,
        FaultKind::RateLimited { .. } => StatusCode::TOO_MANY_REQUESTS,
        FaultKind::Unavailable | FaultKind::Uncertain => StatusCode::SERVICE_UNAVAILABLE,
        FaultKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn respond(status: StatusCode, fault: &Fault, body: &impl Serialize) -> Response {
    // Strings always serialize.
    let body = serde_json::to_vec(body).unwrap_or_default();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, CHALLENGE);
    }
    if let FaultKind::RateLimited { retry_after_seconds } = fault.kind {
        headers.insert(RETRY_AFTER, HeaderValue::from(retry_after_seconds));
    } else if status == StatusCode::SERVICE_UNAVAILABLE && fault.kind != FaultKind::Uncertain {
        headers.insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
    }
    response
}
