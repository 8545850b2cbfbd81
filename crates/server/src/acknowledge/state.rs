//! The token of an answer: it names a state in which whatever the answer rests on is contained.
//!
//! Invariant: it is taken *after* the answer was made. Whoever carries it to any instance, in `Tiergate-At-Least` or in `context.consistency`, is never
//! answered from an older state. It may name more than the answer contains: what was applied while the answer was on its way.
//!
//! An answer does not wait for its token where the secret of tokens can't be had: then it has none. What a *request* names is never passed over.

use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderValue;
use axum::response::Response;
use serde::{Serialize, Serializer};

use super::TOKEN_HEADER;
use super::token::{Named, Token};
use crate::app::App;

/// How long an answer waits for the secret of tokens, which is read once.
const SECRET_PATIENCE: Duration = Duration::from_millis(250);

/// The token of an answer.
#[derive(Clone, Debug)]
pub(crate) struct StateToken(HeaderValue);

impl App {
    /// The token of an answer that was just made.
    pub(crate) async fn state_token(&self) -> Option<StateToken> {
        let number = self.decisions.state_number()?;
        match &*self.tokens.told.load() {
            Some(told) if told.0 == number => return Some(told.1.clone()),
            _ => {}
        }
        let (history, position) = self.decisions.state(number)?;
        let token = Token { history, names: Named::State(position) };
        let text = match tokio::time::timeout(SECRET_PATIENCE, self.tokens.write(&token)).await {
            Ok(Ok(text)) => text,
            Ok(Err(fault)) => {
                tracing::debug!(reason = %fault.message, "an answer has no token");
                return None;
            }
            Err(_) => {
                tracing::debug!(reason = "the secret of tokens was not read in time", "an answer has no token");
                return None;
            }
        };
        let token = StateToken(HeaderValue::try_from(text).ok()?);
        // Whoever puts an older one in place of a newer one costs somebody another encoding.
        self.tokens.told.store(Some(Arc::new((number, token.clone()))));
        Some(token)
    }

    /// An answer that was just made, with its token.
    pub(crate) async fn naming_its_state(&self, response: Response) -> Response {
        StateToken::put(self.state_token().await, response)
    }
}

impl StateToken {
    /// Puts a token, if there is one, on an answer.
    pub(crate) fn put(token: Option<Self>, mut response: Response) -> Response {
        if let Some(Self(token)) = token {
            response.headers_mut().insert(TOKEN_HEADER, token);
        }
        response
    }
}

impl Serialize for StateToken {
    fn serialize<S: Serializer>(&self, writer: S) -> Result<S::Ok, S::Error> {
        // The letters of a token are those of base64.
        writer.serialize_str(self.0.to_str().unwrap_or_default())
    }
}
