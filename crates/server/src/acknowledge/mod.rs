//! When a change is answered: committed, in force here, or in force everywhere.
//!
//! Invariant: 200, 201 and 204 mean that the change is in force on every instance that answers from what it has cached. A time limit never turns into
//! one of them. Whoever says that it does not want to wait gets 202, with a token by which any instance says how far the change has got.

mod at_least;
mod pledge;
mod state;
mod token;

use std::sync::Arc;
use std::time::Duration;

use authz::store::Committed;
use axum::extract::{Path, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use cache_core::Standing;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

pub(crate) use self::at_least::{AT_LEAST_HEADER, Wanted, contain, contain_what_the_header_names};
pub(crate) use self::pledge::{Longer, Pledge};
pub(crate) use self::state::StateToken;
pub use self::token::Tokens;
use self::token::{Named, Token, write};
use crate::app::App;
use crate::error::{Failure, Fault, FaultKind, NOT_IN_FORCE_YET, OpenFga};
use crate::wire::{ok, reply};

/// Where a token is told: of a change, or of the state that an answer rests on.
pub(crate) const TOKEN_HEADER: HeaderName = HeaderName::from_static("tiergate-token");
/// The most that somebody may want to wait.
const MAX_TIMEOUT_MS: u64 = 60_000;
/// How much longer than its writer's patience a change may take to be judged: PostgreSQL is asked at the end once more, which may take the judge 2 s.
const LAST_LOOK: Duration = Duration::from_millis(2_500);

/// How long to wait.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct WaitQuery {
    /// `all`, which is also meant without: until it is in force on every instance. `local`: on this one. `none`: until it is committed. Of the latter
    /// two the answer is 202 where there are other instances.
    wait: Option<String>,
    /// How long to wait for the others, at most 60000; `postgres.acknowledge_timeout_ms` without.
    timeout_ms: Option<u64>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Wait {
    None,
    Local,
    All,
}

/// How far a change has got.
#[derive(Serialize, ToSchema)]
#[schema(as = ChangeStanding)]
pub(crate) struct Progress {
    /// Whether it is in force on every instance.
    in_force: bool,
    /// Instances on which it is in force; absent where they were not asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    confirmed_by: Option<usize>,
    /// Instances on which it may not be.
    lagging: Vec<Lagging>,
    /// Milliseconds for which there may be others that nobody knows of: PostgreSQL was restored, or failed over.
    #[serde(skip_serializing_if = "Option::is_none")]
    silence_ms: Option<u64>,
    /// Names the change.
    token: String,
    /// Where to ask again.
    url: String,
}

#[derive(Serialize)]
struct Nothing {}

/// Something that a change made, which may not be in force everywhere.
#[derive(Serialize)]
struct Pending<'m, M> {
    #[serde(flatten)]
    made: &'m M,
    #[serde(flatten)]
    progress: Progress,
}

#[derive(Serialize, ToSchema)]
#[schema(as = LaggingInstance)]
struct Lagging {
    instance: String,
    /// For how long it has not been heard of.
    silent_ms: u64,
}

/// A change with what is known of its way to the others.
pub(crate) struct Acknowledged {
    token: String,
    standing: Option<Standing>,
}

impl WaitQuery {
    fn wait(&self) -> Result<Wait, Fault> {
        match self.wait.as_deref() {
            None | Some("all") => Ok(Wait::All),
            Some("local") => Ok(Wait::Local),
            Some("none") => Ok(Wait::None),
            Some(_) => Err(Fault::invalid("wait is neither none, local nor all")),
        }
    }
}

impl App {
    /// Waits for a change as its writer wants it.
    ///
    /// # Errors
    /// Where it was to be in force everywhere, and is not in time. It is committed all the same, and the message says by which token to ask for it.
    pub(crate) async fn acknowledge(&self, committed: Committed, pledge: &Pledge) -> Result<Acknowledged, Fault> {
        let Pledge { history, key, query, longer } = pledge;
        let token = write(key, &Token { history: *history, names: Named::Change(committed.revision) });
        if !self.decisions.has_peers() {
            return Ok(Acknowledged { token, standing: Some(Standing::alone()) });
        }
        match query.wait()? {
            Wait::None | Wait::Local => Ok(Acknowledged { token, standing: None }),
            Wait::All => {
                let patience = query.timeout_ms.unwrap_or(self.settings.postgres.acknowledge_timeout_ms);
                let patience = Duration::from_millis(patience);
                let most = patience.saturating_add(LAST_LOOK);
                // Only where even that does not end, the request's own limit does.
                longer.allow(most.saturating_add(LAST_LOOK));
                let standing = tokio::time::timeout(most, self.decisions.in_force(committed.revision, patience)).await;
                match standing {
                    Ok(Ok(standing)) if standing.is_in_force() || query.wait.is_some() => {
                        Ok(Acknowledged { token, standing: Some(standing) })
                    }
                    // Whoever did not ask for 202 may take it for the acknowledgement.
                    Ok(Ok(standing)) => Err(not_yet(&standing, &token)),
                    Ok(Err(error)) => {
                        tracing::error!(%error, "a change was committed, and where it is in force could not be asked");
                        Err(not_known(&token))
                    }
                    Err(_) => Err(not_known(&token)),
                }
            }
        }
    }
}

/// Nobody can tell at the moment.
fn not_known(token: &str) -> Fault {
    let message = format!(
        "the change is stored, and whether it is in force everywhere is not known; don't repeat it, ask GET /revocations/{token}"
    );
    Fault::uncertain(NOT_IN_FORCE_YET, message)
}

fn not_yet(standing: &Standing, token: &str) -> Fault {
    let names: Vec<_> = standing.lagging.iter().map(|laggard| laggard.name.as_str()).collect();
    let who = if names.is_empty() { "instances of before a restore".to_owned() } else { names.join(", ") };
    let message = format!(
        "the change is stored, and may not be in force yet on {who}; don't repeat it, ask GET /revocations/{token}"
    );
    Fault::uncertain(NOT_IN_FORCE_YET, message)
}

impl Acknowledged {
    /// The answer for a change that is in force everywhere; another one where it is not.
    pub(crate) fn answer(self, in_force: impl FnOnce(usize) -> Response) -> Response {
        self.answer_about(&Nothing {}, in_force)
    }

    /// The same for a change that made something, which the other answer names as well.
    pub(crate) fn answer_about(self, made: &impl Serialize, in_force: impl FnOnce(usize) -> Response) -> Response {
        let standing = self.standing.as_ref().filter(|standing| standing.is_in_force());
        let mut response = match standing {
            Some(standing) => in_force(standing.confirmed_by),
            None => {
                let progress = Progress::of(self.standing.as_ref(), &self.token);
                reply(StatusCode::ACCEPTED, &Pending { made, progress })
            }
        };
        if let Ok(token) = HeaderValue::from_str(&self.token) {
            response.headers_mut().insert(TOKEN_HEADER, token);
        }
        response
    }
}

impl Progress {
    fn of(standing: Option<&Standing>, token: &str) -> Self {
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let lagging = standing.map(|standing| &*standing.lagging).unwrap_or_default();
        Self {
            in_force: standing.is_some_and(Standing::is_in_force),
            confirmed_by: standing.map(|standing| standing.confirmed_by),
            lagging: lagging
                .iter()
                .map(|laggard| Lagging { instance: laggard.name.clone(), silent_ms: ms(laggard.silent) })
                .collect(),
            silence_ms: standing.map(|standing| ms(standing.silence)).filter(|ms| *ms > 0),
            token: token.to_owned(),
            url: format!("/revocations/{token}"),
        }
    }
}

/// `GET /revocations/{token}`: where a change is in force, and who lags. 200 once it is in force everywhere, 202 before.
pub(crate) async fn revocation(
    State(app): State<Arc<App>>,
    Path(token): Path<String>,
) -> Result<Response, Failure<OpenFga>> {
    let Some(Token { history, names: Named::Change(revision) }) = app.tokens.read(&token).await? else {
        return Err(token::unknown().into());
    };
    if app.decisions.history() != Some(history) {
        let message = "this token is of another history: PostgreSQL was restored or failed over since. Whether the change is still there can't be told; look at it";
        return Err(Fault::new(FaultKind::NotFound, "another_history", message).into());
    }
    let standing = app.decisions.in_force(revision, Duration::ZERO).await?;
    let progress = Progress::of(Some(&standing), &token);
    Ok(if standing.is_in_force() { ok(&progress) } else { reply(StatusCode::ACCEPTED, &progress) })
}

pub(crate) mod docs {
    use serde_json::json;

    use super::Progress;
    use crate::openapi::{EXAMPLE_TOKEN as TOKEN, Operation};

    pub(crate) fn revocation() -> Operation {
        let progress = |in_force: bool, confirmed_by: usize, lagging: serde_json::Value| json!({"in_force": in_force, "confirmed_by": confirmed_by, "lagging": lagging, "token": TOKEN, "url": format!("/revocations/{TOKEN}")});
        Operation::openfga("readRevocation", "Where is a change in force?")
            .about("Any instance knows the token of a change, which its writer got in the header `Tiergate-Token`.")
            .path("token", "The token of the change.", TOKEN)
            .faults(&[404])
            .answers::<Progress>(200, "It is in force on every instance.", progress(true, 3, json!([])))
            .answers::<Progress>(
                202,
                "It is not yet, or it is not known.",
                progress(false, 2, json!([{"instance": "app-3:8080", "silent_ms": 480}])),
            )
    }

    /// Documents what a change answers to whoever does not wait, or not long enough.
    pub(crate) fn accepted(operation: Operation) -> Operation {
        let body = json!({"in_force": false, "lagging": [], "token": TOKEN, "url": format!("/revocations/{TOKEN}")});
        operation.answers::<Progress>(202, "It is committed, and may not be in force on every instance yet.", body)
    }
}
