//! What the answer to a change needs, had before the change begins.
//!
//! Invariant: nothing that can fail stands between a commit and the token that names it. So whoever is told to try again has changed nothing.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use cache_core::Identity;
use tokio::time::Instant;

use super::token::Key;
use super::{MAX_TIMEOUT_MS, WaitQuery};
use crate::app::App;
use crate::error::{Failure, Fault, OpenFga};

/// Whoever may change something takes this first.
pub(crate) struct Pledge {
    pub(super) history: Identity,
    /// Authenticates the token.
    pub(super) key: Key,
    pub(super) query: WaitQuery,
    pub(super) longer: Longer,
}

/// Until when a request may take, where that is longer than any other: its change is committed, and its writer waits for the others.
#[derive(Clone, Debug, Default)]
pub(crate) struct Longer(Arc<OnceLock<Instant>>);

impl Longer {
    /// From now on; once.
    pub(super) fn allow(&self, most: Duration) {
        let _ = self.0.set(Instant::now() + most);
    }

    /// None where nothing was committed, or nobody waits.
    pub(crate) fn until(&self) -> Option<Instant> {
        self.0.get().copied()
    }
}

impl FromRequestParts<Arc<App>> for Pledge {
    type Rejection = Failure<OpenFga>;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Self::Rejection> {
        let Query(query): Query<WaitQuery> =
            Query::try_from_uri(&parts.uri).map_err(|error| Fault::invalid(error.body_text()))?;
        query.wait()?;
        if let Some(ms) = query.timeout_ms.filter(|ms| *ms > MAX_TIMEOUT_MS) {
            return Err(Fault::invalid(format!("timeout_ms is {ms}; it may be 0 to {MAX_TIMEOUT_MS}")).into());
        }
        let Some(history) = app.decisions.history() else {
            return Err(Fault::unavailable("the log of the origin is not followed yet; try again").into());
        };
        let key = *app.tokens.key().await?;
        let longer = parts.extensions.get::<Longer>().cloned().unwrap_or_default();
        Ok(Self { history, key, query, longer })
    }
}
