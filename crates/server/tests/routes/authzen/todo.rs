//! The todo scenario of the AuthZEN working group: a list of todos, in which roles and ownership decide.
//!
//! The model, the relationships and the stored properties are this repository's (`tests/authzen_todo`); the questions and what is expected of them come from
//! below `TIERGATE_TEST_DATA` (beside the workspace, unless it says where).
#![allow(clippy::print_stdout, reason = "a test says what it left out")]

use std::path::{Path, PathBuf};

use authz::model::Model;
use authz::relation::{Relationship, Tuple};
use authz::store::WriteBatch;
use axum::http::Method;
use serde_json::{Value, json};

use super::relationship;
use crate::support::{World, json_request};

const MODEL: &str = include_str!("../../authzen_todo/model.fga");
const TUPLES: &str = include_str!("../../authzen_todo/tuples.json");
const PROPERTIES: &str = include_str!("../../authzen_todo/properties.json");
const FILES: [&str; 2] = ["decisions-authorization-api-1_0-01.json", "decisions-authorization-api-1_0-02.json"];

async fn world() -> World {
    let world = World::empty().await;
    let store = world.decisions.create_store("todo").await.unwrap().id;
    world.decisions.write_model(store, &Model::from_dsl(MODEL).unwrap()).await.unwrap();
    let tuples: Value = serde_json::from_str(TUPLES).unwrap();
    let tuples: Vec<Relationship> = tuples["writes"]["tuple_keys"].as_array().unwrap().iter().map(written).collect();
    world.decisions.write(store, None, WriteBatch::of(tuples)).await.unwrap();
    let path = format!("/admin/v1/stores/{}/properties", store.0);
    let reply = world.admin_send(json_request(Method::PUT, &path, PROPERTIES)).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    world
}

fn written(key: &Value) -> Relationship {
    let part = |name: &str| key[name].as_str().unwrap();
    let tuple = Tuple::parse(part("object"), part("relation"), part("user")).unwrap();
    match key["condition"]["name"].as_str() {
        None => Relationship::from(tuple),
        Some(name) => relationship(&format!("{} {} {} {name}", tuple.object, tuple.relation, tuple.subject)),
    }
}

fn questions(file: &str) -> Option<Value> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let data = std::env::var_os("TIERGATE_TEST_DATA").map_or_else(|| workspace.join("../shared/data"), PathBuf::from);
    let path = data.join("authzen/authzen-todo-backend/test").join(file);
    let Ok(text) = std::fs::read_to_string(&path) else {
        println!("SKIPPED {}: it is absent; set TIERGATE_TEST_DATA", path.display());
        return None;
    };
    Some(serde_json::from_str(&text).unwrap())
}

/// The decisions of an answer to many questions; nothing else of it is promised.
fn decisions(answers: &Value) -> Vec<Value> {
    answers.as_array().unwrap().iter().map(|answer| json!({"decision": answer["decision"]})).collect()
}

#[tokio::test]
async fn every_published_decision_is_made_from_the_origin_and_from_the_cache() {
    let world = world().await;
    for file in FILES {
        let Some(published) = questions(file) else { continue };
        let (mut single, mut of_batches) = (0, 0);
        for _ in ["origin", "cache"] {
            for case in published["evaluation"].as_array().unwrap() {
                let reply = world.post("/access/v1/evaluation", &case["request"]).await;
                assert_eq!(json!(reply.decision()), case["expected"], "{file}: {}", case["request"]);
                single += 1;
            }
            for case in published["evaluations"].as_array().into_iter().flatten() {
                let reply = world.post("/access/v1/evaluations", &case["request"]).await;
                assert_eq!(reply.status, 200, "{}", reply.body);
                let expected = decisions(&case["expected"]);
                assert_eq!(decisions(&reply.body["evaluations"]), expected, "{file}: {}", case["request"]);
                of_batches += expected.len();
            }
        }
        println!("{file}: {single} questions and {of_batches} of batches");
        assert!(single > 0, "a file of which nothing was asked shows nothing");
    }
}

#[tokio::test]
async fn an_editor_changes_what_bears_their_address_and_nothing_else() {
    let world = world().await;
    let morty = "user:CiRmZDE2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs";
    for (owner, allowed) in [(json!("morty@the-citadel.com"), true), (json!("rick@the-citadel.com"), false)] {
        let mut body = super::ask(morty, "can_update_todo", "todo:todo-1");
        body["resource"]["properties"] = json!({"ownerID": owner});
        assert_eq!(world.post("/access/v1/evaluation", &body).await.decision(), allowed);
    }
    let found = world.post("/access/v1/search/action", &super::ask(morty, "", "todo:todo-1")).await;
    assert_eq!(super::search::results(&found, "name"), ["can_create_todo", "can_read_todos"]);
}
