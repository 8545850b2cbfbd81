//! The documentation of the probes.

use serde_json::json;

use super::Health;
use crate::openapi::Operation;

pub(crate) fn live() -> Operation {
    Operation::health("livez", "Does the process live?")
        .about("It says nothing of what the process depends on: restarting it would not help those.")
        .answers::<Health>(200, "It does.", json!({"status": "ok"}))
}

pub(crate) fn ready() -> Operation {
    readiness(Operation::health("readyz", "Can questions be answered?"))
}

pub(crate) fn healthy() -> Operation {
    readiness(Operation::health("healthz", "The same under another name"))
}

fn readiness(operation: Operation) -> Operation {
    let of = |status: &str, server: &str| json!({"status": status, "checks": [{"name": "origin", "status": "ok"}, {"name": "server", "status": server}]});
    let about = "They can: all is well (`ready`), or with a tier left out that does not answer (`degraded`).";
    operation.answers::<Health>(200, about, of("ready", "ok")).answers::<Health>(
        503,
        "They can't, or the server is about to stop.",
        of("not_ready", "failed"),
    )
}
