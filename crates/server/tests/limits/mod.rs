//! Rate limits over HTTP.

mod alone;
mod config;
mod redis;
mod shapes;

use std::net::IpAddr;

use axum::http::Method;
use serde_json::{Value, json};
use server::config::{Quota, Rate, Settings};

use crate::support::{Reply, World, json_request};

/// No limit.
const NONE: Quota = Quota { burst: 1_000, per_second: 0 };

/// So many at once, of which nothing comes back while a test runs: the part of one of a thousand instances, so that a unit takes 1,000 s.
const fn once(burst: u32) -> Quota {
    Quota { burst: burst * 1_000, per_second: 1 }
}

/// Limits of one instance of a thousand.
fn rate() -> Rate {
    Rate { enabled: true, instances: 1_000, list_weight: 2, caller: NONE, subject: NONE, ..Rate::default() }
}

/// A server with these limits, and a store in it.
async fn world(rate: Rate) -> World {
    let mut settings = Settings::default();
    settings.limits.rate = rate;
    let world = World::with(settings).await;
    world.store("only").await;
    world
}

/// May this user view this document?
fn question(user: &str, document: &str) -> Value {
    json!({
        "subject": {"type": "user", "id": user},
        "action": {"name": "can_view"},
        "resource": {"type": "document", "id": document},
    })
}

async fn ask(world: &World, user: &str, document: &str) -> Reply {
    world.post("/access/v1/evaluation", &question(user, document)).await
}

async fn ask_from(world: &World, address: &str, user: &str, document: &str) -> Reply {
    let address: IpAddr = address.parse().unwrap();
    let body = question(user, document).to_string();
    world.send_from(address, json_request(Method::POST, "/access/v1/evaluation", &body)).await
}
