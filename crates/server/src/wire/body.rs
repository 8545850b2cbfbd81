//! The body of a request: JSON by its content type, no longer than it may be, looked over once, then read by the handler.

use std::marker::PhantomData;
use std::str::Utf8Error;
use std::sync::Arc;

use axum::body::{Body, Bytes};
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Deserialize;

use super::{Fields, strict};
use crate::app::App;
use crate::error::{Failure, Fault, Shape};

/// A message of a parser may quote what it read; more than this of it helps nobody.
const MAX_MESSAGE_CHARS: usize = 300;

/// A body that is strict JSON.
pub(crate) struct JsonBody<S> {
    bytes: Bytes,
    shape: PhantomData<S>,
}

impl<S> JsonBody<S> {
    /// Reads it. Fields that the type doesn't have are passed over, unless the type refuses them.
    ///
    /// # Errors
    /// Where it is no object, or a field is missing or has another type; with line and column.
    pub(crate) fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Fault> {
        let Fields(body) = serde_json::from_str(self.text()?).map_err(|error| unreadable(&error))?;
        Ok(body)
    }

    /// The text as it came.
    ///
    /// # Errors
    /// Never for a body that was looked over: that was UTF-8.
    pub(crate) fn text(&self) -> Result<&str, Fault> {
        std::str::from_utf8(&self.bytes).map_err(not_text)
    }
}

impl<S: Shape> FromRequest<Arc<App>> for JsonBody<S> {
    type Rejection = Failure<S>;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, Failure<S>> {
        require_json(request.headers())?;
        let max = app.settings.http.max_body_bytes;
        let announced = request.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        if announced.is_some_and(|length: usize| length > max) {
            return Err(Fault::too_large(max).into());
        }
        let bytes = collect(request.into_body(), max).await?;
        // Once for the whole text, and not for each string in it.
        let text = std::str::from_utf8(&bytes).map_err(not_text)?;
        strict::check(text).map_err(|error| unreadable(&error))?;
        Ok(Self { bytes, shape: PhantomData })
    }
}

/// A browser sends other content types to any address without asking first, but never this one: a page that somebody has open can't
/// reach a server on their own machine.
fn require_json(headers: &HeaderMap) -> Result<(), Fault> {
    let content_type = headers.get(CONTENT_TYPE).map(axum::http::HeaderValue::as_bytes).unwrap_or_default();
    let essence = content_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    if essence.eq_ignore_ascii_case(b"application/json") {
        return Ok(());
    }
    Err(Fault::invalid("the body must be JSON; send the header Content-Type: application/json"))
}

async fn collect(body: Body, max: usize) -> Result<Bytes, Fault> {
    match Limited::new(body, max).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Fault::too_large(max)),
        Err(_) => Err(Fault::invalid("the body ended before its end")),
    }
}

fn not_text(error: Utf8Error) -> Fault {
    Fault::invalid(format!("the body is no text: {error}"))
}

fn unreadable(error: &serde_json::Error) -> Fault {
    let message = format!("the body can't be read: {error}");
    if message.len() <= MAX_MESSAGE_CHARS {
        return Fault::invalid(message);
    }
    let cut: String = message.chars().take(MAX_MESSAGE_CHARS).collect();
    Fault::invalid(format!("{cut}… at line {} column {}", error.line(), error.column()))
}
