//! Where each gateway says what the client asked for. A header that has to be there once is refused otherwise.

use axum::http::HeaderMap;
use axum::http::request::Parts;

use crate::gateway::{Original, Refusal};

/// The path under which Envoy's requests come; `path_prefix` in its configuration.
pub(crate) const ENVOY_PREFIX: &str = "/forward-auth/envoy";

pub(super) fn nginx(parts: &Parts) -> Result<Original<'_>, Refusal> {
    of(&parts.headers, "x-original-method", "x-original-uri")
}

pub(super) fn forwarded(parts: &Parts) -> Result<Original<'_>, Refusal> {
    of(&parts.headers, "x-forwarded-method", "x-forwarded-uri")
}

pub(super) fn envoy(parts: &Parts) -> Result<Original<'_>, Refusal> {
    let path = parts.uri.path();
    // The router let in only what begins so; what doesn't begin with a slash behind it is refused with the path.
    let target = path.strip_prefix(ENVOY_PREFIX).unwrap_or_default();
    Ok(Original { method: parts.method.as_str().as_bytes(), target: target.as_bytes() })
}

fn of<'a>(headers: &'a HeaderMap, method: &'static str, target: &'static str) -> Result<Original<'a>, Refusal> {
    Ok(Original { method: once(headers, method)?, target: once(headers, target)? })
}

fn once<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<&'a [u8], Refusal> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (Some(value), None) => Ok(value.as_bytes()),
        _ => Err(Refusal::NotSet(name)),
    }
}
