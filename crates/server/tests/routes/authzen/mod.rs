mod conditions;
mod consistency;
mod evaluation;
mod evaluations;
mod every_endpoint;
mod metadata;
mod schemas;
mod search;
mod stored;
mod todo;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use authz::condition::Context;
use authz::model::Model;
use authz::relation::{Relationship, RelationshipCondition, Tuple};
use authz::store::{StoreId, WriteBatch};
use serde_json::{Value, json};

use crate::support::World;

/// A server with one store. A relationship is written as `document:1 viewer user:ann`, and with a condition at the end where it is under one.
async fn world_of(model: &str, relationships: &[&str]) -> (World, StoreId) {
    let world = World::empty().await;
    let store = world.decisions.create_store("only").await.unwrap().id;
    world.decisions.write_model(store, &Model::from_dsl(model).unwrap()).await.unwrap();
    let writes = relationships.iter().map(|text| relationship(text));
    world.decisions.write(store, None, WriteBatch::of(writes)).await.unwrap();
    (world, store)
}

fn relationship(text: &str) -> Relationship {
    let parts: Vec<&str> = text.split(' ').collect();
    let condition =
        parts.get(3).map(|name| Arc::new(RelationshipCondition { name: (*name).into(), context: Context::default() }));
    Relationship { tuple: Tuple::parse(parts[0], parts[1], parts[2]).unwrap(), condition }
}

/// Writes, or with `-` before it deletes, one relationship.
async fn change(world: &World, store: StoreId, text: &str) {
    let batch = match text.strip_prefix('-') {
        Some(text) => WriteBatch { deletes: vec![relationship(text).tuple], ..WriteBatch::default() },
        None => WriteBatch::of([relationship(text)]),
    };
    world.decisions.write(store, None, batch).await.unwrap();
}

/// Published data of the working group, below `TIERGATE_TEST_DATA` (beside the workspace, unless it says where). Where it is absent, that is visible.
#[allow(clippy::print_stdout, reason = "a test says what it left out")]
fn published(path: &str) -> Option<Value> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let data = std::env::var_os("TIERGATE_TEST_DATA").map_or_else(|| workspace.join("../shared/data"), PathBuf::from);
    let path = data.join("authzen").join(path);
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("SKIPPED {}: it is absent; set TIERGATE_TEST_DATA", path.display());
        return None;
    };
    Some(serde_json::from_str(&text).unwrap())
}

/// An entity of `type:id`, or of a type alone.
fn entity(text: &str) -> Value {
    match text.split_once(':') {
        Some((type_name, id)) => json!({"type": type_name, "id": id}),
        None => json!({"type": text}),
    }
}

fn ask(subject: &str, action: &str, resource: &str) -> Value {
    json!({"subject": entity(subject), "action": {"name": action}, "resource": entity(resource)})
}
