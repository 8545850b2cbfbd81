//! Probes: whether the process lives, and whether it can answer.

pub(crate) mod docs;

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use futures_util::future::join_all;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::credentials::Caller;
use crate::wire::{ok, reply};

/// How long a dependency may take to say that it is well.
const PATIENCE: Duration = Duration::from_secs(1);
/// The part is well.
const OK: &str = "ok";
/// The part fails, and the server does without it.
const DEGRADED: &str = "degraded";
/// The part fails, and nothing can be answered without it.
const FAILED: &str = "failed";

/// Whether the server is well.
#[derive(Serialize, ToSchema)]
struct Health {
    status: &'static str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    checks: Vec<Check>,
}

/// One dependency.
#[derive(Serialize, ToSchema)]
#[schema(as = HealthCheck)]
struct Check {
    name: &'static str,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
}

/// The process lives. It says nothing of what it depends on: restarting it would not help those.
pub(crate) async fn live() -> Response {
    ok(&Health { status: "ok", checks: Vec::new() })
}

/// Whether questions can be answered. Messages are for operators, and stay inside.
pub(crate) async fn ready(State(app): State<Arc<App>>) -> Response {
    let mut checks = checks(&app).await;
    for check in &mut checks {
        check.message = None;
    }
    answer(checks)
}

/// Whether questions can be answered, and if not, why; the reason is for whoever operates the server.
pub(crate) async fn ready_in_detail(state: State<Arc<App>>, caller: Caller) -> Response {
    if caller.operates() { answer(checks(&state).await) } else { ready(state).await }
}

/// All at once: the time that one takes is no other one's.
async fn checks(app: &App) -> Vec<Check> {
    let origin = async { within(app.decisions.health()).await };
    let others = join_all(
        app.dependencies
            .iter()
            .map(|dependency| async { check(dependency.name(), DEGRADED, within(dependency.check()).await) }),
    );
    let (origin, others) = tokio::join!(origin, others);
    let stopping = app.is_stopping().then(|| "the server is stopping".to_owned());
    [check("origin", FAILED, origin)].into_iter().chain(others).chain([check("server", FAILED, stopping)]).collect()
}

/// What is wrong with a part, within the time that it may take to say so.
async fn within<E: Display>(asked: impl Future<Output = Result<(), E>>) -> Option<String> {
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(result) => result.err().map(|error| error.to_string()),
        Err(_) => Some(format!("no answer within {} ms", PATIENCE.as_millis())),
    }
}

fn check(name: &'static str, otherwise: &'static str, message: Option<String>) -> Check {
    Check { name, status: if message.is_none() { OK } else { otherwise }, message }
}

/// A server that does without a part still answers questions, and should get them.
fn answer(checks: Vec<Check>) -> Response {
    let any = |status: &str| checks.iter().any(|check| check.status == status);
    if any(FAILED) {
        return reply(StatusCode::SERVICE_UNAVAILABLE, &Health { status: "not_ready", checks });
    }
    ok(&Health { status: if any(DEGRADED) { "degraded" } else { "ready" }, checks })
}
