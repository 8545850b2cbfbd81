//! `POST /admin/v1/tiers/{name}`: switches a tier on or off, and resizes the memory tier, while the server runs.

use std::sync::Arc;

use axum::extract::{Path, State};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Answered, Body};
use crate::app::App;
use crate::error::{Fault, FaultKind};
use crate::wire::ok;

/// What is left out stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TierChange)]
pub(super) struct Change {
    enabled: Option<bool>,
    budget_bytes: Option<u64>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = TierChanged)]
pub(super) struct Changed<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    budget_bytes: Option<u64>,
}

/// The other tiers go on.
pub(crate) async fn change_tier(State(app): State<Arc<App>>, Path(name): Path<String>, body: Body) -> Answered {
    let Change { enabled, budget_bytes } = body.read()?;
    let known = app.decisions.tier_names();
    if !known.contains(&name.as_str()) {
        let message = format!("there is no such tier; there are: {}", known.join(", "));
        return Err(Fault::new(FaultKind::NotFound, "tier_not_found", message).into());
    }
    if (enabled, budget_bytes) == (None, None) {
        return Err(Fault::invalid("nothing to change; give enabled, budget_bytes, or both").into());
    }
    // What can be refused comes first, so that a refusal changes nothing.
    if let Some(bytes) = budget_bytes {
        if name != cache_l1::DEFAULT_NAME {
            let message = format!("only {} has a budget; leave budget_bytes out for {name}", cache_l1::DEFAULT_NAME);
            return Err(Fault::invalid(message).into());
        }
        app.memory.resize(bytes).map_err(|error| Fault::invalid(error.to_string()))?;
    }
    if let Some(on) = enabled {
        app.decisions.switch_tier(&name, on);
    }
    tracing::info!(tier = name, enabled, budget_bytes, "tier changed by an administrator");
    Ok(ok(&Changed { name: &name, enabled, budget_bytes }))
}
