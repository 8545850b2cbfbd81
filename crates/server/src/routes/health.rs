//! Probes: whether the process lives, and whether it can answer.

pub(crate) mod docs;

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::app::App;
use crate::wire::{ok, reply};

/// How long a dependency may take to say that it is well.
const PATIENCE: Duration = Duration::from_secs(1);

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

/// Whether questions can be answered, and if not, why.
pub(crate) async fn ready_in_detail(State(app): State<Arc<App>>) -> Response {
    answer(checks(&app).await)
}

async fn checks(app: &App) -> Vec<Check> {
    let origin = match tokio::time::timeout(PATIENCE, app.decisions.health()).await {
        Ok(Ok(())) => None,
        Ok(Err(error)) => Some(error.to_string()),
        Err(_) => Some(format!("no answer within {} ms", PATIENCE.as_millis())),
    };
    let stopping = app.is_stopping().then(|| "the server is stopping".to_owned());
    vec![check("origin", origin), check("server", stopping)]
}

fn check(name: &'static str, message: Option<String>) -> Check {
    Check { name, status: if message.is_none() { "ok" } else { "failed" }, message }
}

fn answer(checks: Vec<Check>) -> Response {
    if checks.iter().all(|check| check.status == "ok") {
        ok(&Health { status: "ready", checks })
    } else {
        reply(StatusCode::SERVICE_UNAVAILABLE, &Health { status: "not_ready", checks })
    }
}
