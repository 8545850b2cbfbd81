mod assertions;
mod batch_check;
mod changes;
mod check;
mod conditions;
mod hostile;
mod lists;
mod models;
mod read;
mod stores;
mod write;

use serde_json::{Value, json};

use crate::support::{Reply, World};

/// A tuple key.
fn key(user: &str, relation: &str, object: &str) -> Value {
    json!({"user": user, "relation": relation, "object": object})
}

/// A store in a world with its path.
async fn store() -> (World, String) {
    let world = World::empty().await;
    let store = world.store("only").await;
    (world, format!("/stores/{}", store.0))
}

#[track_caller]
fn assert_fault(reply: &Reply, status: u16, code: &str) {
    assert_eq!((reply.status, reply.body["code"].as_str()), (status, Some(code)), "{}", reply.body);
    assert!(!reply.body["message"].as_str().unwrap().is_empty());
}
