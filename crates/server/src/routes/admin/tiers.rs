//! `POST /admin/v1/tiers/{name}`: switches a tier on or off while the server runs.

use std::sync::Arc;

use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};

use super::{Answered, Body};
use crate::app::App;
use crate::error::{Fault, FaultKind};
use crate::wire::ok;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Switch {
    enabled: bool,
}

#[derive(Serialize)]
struct Switched<'a> {
    name: &'a str,
    enabled: bool,
}

/// The other tiers go on.
pub(crate) async fn switch_tier(State(app): State<Arc<App>>, Path(name): Path<String>, body: Body) -> Answered {
    let Switch { enabled } = body.read()?;
    if !app.decisions.switch_tier(&name, enabled) {
        let message = format!("there is no such tier; there are: {}", app.decisions.tier_names().join(", "));
        return Err(Fault::new(FaultKind::NotFound, "tier_not_found", message).into());
    }
    tracing::info!(tier = name, enabled, "tier switched by an administrator");
    Ok(ok(&Switched { name: &name, enabled }))
}
