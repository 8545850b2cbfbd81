//! How each interface says that something went wrong.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde::Serialize;

use super::{Fault, FaultKind};

/// Seconds after which asking again makes sense.
const RETRY_AFTER_SECONDS: HeaderValue = HeaderValue::from_static("1");

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

/// The interface that a path belongs to, for answers that no handler gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Api {
    /// `/access/v1/…`, also under a store, and its metadata.
    AuthZen,
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
        respond(status, &fault.message)
    }
}

impl Shape for OpenFga {
    fn response(fault: &Fault) -> Response {
        #[derive(Serialize)]
        struct Body<'a> {
            code: &'a str,
            message: &'a str,
        }
        respond(status(fault.kind), &Body { code: fault.code, message: &fault.message })
    }
}

fn status(kind: FaultKind) -> StatusCode {
    match kind {
        FaultKind::Invalid | FaultKind::TooLarge => StatusCode::BAD_REQUEST,
        FaultKind::Forbidden => StatusCode::FORBIDDEN,
        FaultKind::NotFound => StatusCode::NOT_FOUND,
        FaultKind::Method => StatusCode::METHOD_NOT_ALLOWED,
        FaultKind::Unsupported => StatusCode::NOT_IMPLEMENTED,
        FaultKind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        FaultKind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn respond(status: StatusCode, body: &impl Serialize) -> Response {
    // Strings always serialize.
    let body = serde_json::to_vec(body).unwrap_or_default();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(RETRY_AFTER, RETRY_AFTER_SECONDS);
    }
    response
}
