//! What an answer must contain at least, and waiting for it.
//!
//! Invariant: a token that can't be honoured is an error, and never passed over: one that was altered, is of another deployment or another history,
//! or is so old that nobody can tell any more what it names. Whoever names several waits once, for all of them.

use authz::decide::CheckError;
use authz::store::StoreError;
use axum::http::{HeaderMap, HeaderName};
use futures_util::future::try_join_all;

use super::token::{Named, Token};
use crate::app::App;
use crate::error::{Fault, FaultKind};

/// Where a request says what its answer must contain.
pub(crate) const AT_LEAST_HEADER: HeaderName = HeaderName::from_static("tiergate-at-least");

/// A token in a request.
pub(crate) struct Wanted<'a> {
    /// Where it stands, for whoever must correct it.
    pub(crate) place: String,
    pub(crate) token: &'a str,
}

/// Waits for what the header names, each time that it is there.
///
/// # Errors
/// As [`contain`].
pub(crate) async fn contain_what_the_header_names(app: &App, headers: &HeaderMap) -> Result<(), Fault> {
    let place = || "Tiergate-At-Least".to_owned();
    let mut wanted = Vec::new();
    for value in headers.get_all(AT_LEAST_HEADER) {
        let token = value.to_str().map_err(|_| refused(&place(), UNKNOWN))?;
        wanted.push(Wanted { place: place(), token });
    }
    contain(app, wanted).await
}

/// Waits until whatever is asked for from now on rests on a state that contains what the tokens name.
///
/// # Errors
/// Where one can't be honoured, or takes too long.
pub(crate) async fn contain(app: &App, mut wanted: Vec<Wanted<'_>>) -> Result<(), Fault> {
    if wanted.is_empty() {
        return Ok(());
    }
    wanted.sort_by_key(|wanted| wanted.token);
    wanted.dedup_by_key(|wanted| wanted.token);
    let Some(history) = app.decisions.history() else { return Err(Fault::unavailable("the log is not followed")) };
    let mut named = Vec::with_capacity(wanted.len());
    for Wanted { place, token } in wanted {
        let token = app.tokens.read(token).await?.ok_or_else(|| refused(&place, UNKNOWN))?;
        if token.history != history {
            return Err(refused(&place, OF_ANOTHER_HISTORY));
        }
        named.push((place, token));
    }
    try_join_all(named.iter().map(|(place, token)| apply(app, place, token))).await.map(drop)
}

const UNKNOWN: &str =
    "none of this deployment; it was altered or cut, or comes from another one. Ask with the token as it was told";
const OF_ANOTHER_HISTORY: &str = "of another history: PostgreSQL was restored or failed over since, or a server with data of its own was started anew. Ask without it";
const EXPIRED: &str =
    "too old: the log that tells what it names is kept no longer, or ended with a crash of PostgreSQL. Ask without it";

async fn apply(app: &App, place: &str, token: &Token) -> Result<(), Fault> {
    let applied = match &token.names {
        Named::Change(revision) => app.decisions.apply_through(*revision).await,
        Named::State(position) => app.decisions.apply_state(position).await,
    };
    applied.map_err(|error| match error {
        CheckError::Store(StoreError::Expired) => refused(place, EXPIRED),
        CheckError::Store(StoreError::UnknownPosition) => refused(place, UNKNOWN),
        error => Fault::from(error),
    })
}

fn refused(place: &str, why: &str) -> Fault {
    Fault::new(FaultKind::Invalid, "invalid_token", format!("the token of {place} is {why}"))
}
