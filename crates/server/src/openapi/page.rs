//! The page to try the interface, and the document that it reads.
//!
//! The page is one file, made of the three beside this one. It loads nothing but the document, sends only to the server that it came from, and
//! never makes markup of what it is answered.

use std::sync::LazyLock;

use axum::body::{Body, Bytes};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::Response;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::operation::Operation;
use crate::ids::new_id;

/// What of a document its readers look at first.
#[derive(ToSchema)]
#[schema(as = OpenApiDocument)]
#[expect(dead_code, reason = "a shape: documents are made by a library")]
struct Document {
    openapi: String,
    info: Map<String, Value>,
    paths: Map<String, Value>,
}

/// Stands in the page where the nonce of an answer goes.
const NONCE: &str = "{{nonce}}";

static PAGE: LazyLock<String> = LazyLock::new(|| {
    include_str!("page.html")
        .replace("{{style}}", include_str!("page.css"))
        .replace("{{script}}", include_str!("page.js"))
});

pub(super) fn document_operation() -> Operation {
    Operation::documentation("openapi", "This document").answers::<Document>(
        200,
        "An OpenAPI document of what this listener serves.",
        json!({"openapi": "3.1.0", "info": {"title": "Tiergate", "version": env!("CARGO_PKG_VERSION")}, "paths": {}}),
    )
}

pub(super) fn page_operation() -> Operation {
    Operation::documentation("docs", "A page to try the operations of this document").answers_as::<String>(
        "text/html",
        200,
        "The page.",
        json!("<!doctype html>"),
    )
}

/// The answer with the document.
pub(super) fn document(text: Bytes) -> Response {
    with_headers(Body::from(text), &[(CONTENT_TYPE, HeaderValue::from_static("application/json"))])
}

/// The answer with the page. Its style and its script are known by a nonce that is new each time: nothing else runs in it.
pub(super) fn page() -> Response {
    let nonce = new_id().to_string();
    let policy = format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    );
    // The letters of a ULID are those of a header.
    let policy = HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static("default-src 'none'"));
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8")),
        (CONTENT_SECURITY_POLICY, policy),
        (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
        (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    ];
    with_headers(Body::from(PAGE.replace(NONCE, &nonce)), &headers)
}

fn with_headers(body: Body, headers: &[(HeaderName, HeaderValue)]) -> Response {
    let mut response = Response::new(body);
    let map: &mut HeaderMap = response.headers_mut();
    map.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    map.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    map.extend(headers.iter().cloned());
    response
}
