//! What one HTTP request takes from its caller's quotas, and what it is told of them.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use authz::decide::{Admission, Asked, Refused};
use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::request::Parts;

use super::{Limits, Payer, Standings, headers};

/// Meters one request, all of its questions together. Where there are no limits it lets everything through.
#[derive(Clone, Debug, Default)]
pub(crate) struct Meter(Option<Arc<Metered>>);

#[derive(Debug)]
struct Metered {
    limits: Arc<Limits>,
    payer: Payer,
    /// The least that was left under each policy.
    standings: Mutex<Standings>,
}

impl Meter {
    /// Of a request that somebody pays for.
    pub(crate) fn new(limits: &Arc<Limits>, payer: Payer) -> Self {
        Self(Some(Arc::new(Metered { limits: Arc::clone(limits), payer, standings: Mutex::default() })))
    }

    /// Tells the caller where it stands, if the request took anything or was refused it.
    pub(crate) fn put(&self, headers: &mut HeaderMap) {
        let Some(metered) = &self.0 else { return };
        let standings = metered.standings.lock().unwrap_or_else(PoisonError::into_inner);
        headers::put(headers, metered.limits.policies.all(), &standings);
    }
}

impl Metered {
    /// Keeps what says more: a refusal, the longest of them; else the least that is left.
    fn note(&self, new: &Standings) {
        let mut known = self.standings.lock().unwrap_or_else(PoisonError::into_inner);
        for (policy, standing) in new {
            match known.iter_mut().find(|(known, _)| known == policy) {
                None => known.push((*policy, *standing)),
                Some((_, kept)) => {
                    let says_more = (standing.refused_for, kept.remaining) > (kept.refused_for, standing.remaining);
                    if says_more {
                        *kept = *standing;
                    }
                }
            }
        }
        known.sort_unstable_by_key(|(policy, _)| *policy);
    }
}

#[async_trait]
impl Admission for Meter {
    async fn admit(&self, asked: &Asked<'_>) -> Result<(), Refused> {
        let Some(metered) = &self.0 else { return Ok(()) };
        let outcome = metered.limits.admit(&metered.payer, asked).await;
        metered.note(&outcome.standings);
        match outcome.refused_for {
            Some(retry_after) => Err(Refused { retry_after }),
            None => Ok(()),
        }
    }
}

/// What the edge put into the request.
impl<S: Sync> FromRequestParts<S> for Meter {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}
