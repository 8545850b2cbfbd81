//! Answers. None of them may be kept by a cache that is not ours: a revocation would not reach it.

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use serde::Serialize;

/// A usual answer fits without growing.
const USUAL_BYTES: usize = 160;

/// 200 with a body.
pub(crate) fn ok(body: &impl Serialize) -> Response {
    reply(StatusCode::OK, body)
}

/// 201 with a body.
pub(crate) fn created(body: &impl Serialize) -> Response {
    reply(StatusCode::CREATED, body)
}

/// 204.
pub(crate) fn no_content() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

pub(crate) fn reply(status: StatusCode, body: &impl Serialize) -> Response {
    let mut bytes = Vec::with_capacity(USUAL_BYTES);
    // Our own types serialize: they hold no maps with keys that are no text.
    if serde_json::to_writer(&mut bytes, body).is_err() {
        return crate::error::Api::OpenFga.response(&crate::error::Fault::internal());
    }
    let mut response = Response::new(Body::from(bytes));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
