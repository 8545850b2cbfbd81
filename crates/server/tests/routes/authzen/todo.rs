//! The todo scenario of the AuthZEN working group: a list of todos, in which roles and ownership decide.
//!
//! The model, the relationships and the stored properties are this repository's (`tests/authzen_todo`); the questions and what is expected of them come from
//! outside of it.
#![allow(clippy::print_stdout, reason = "a test says what it left out")]

use authz::model::Model;
use authz::relation::{Relationship, Tuple};
use authz::store::WriteBatch;
use axum::http::Method;
use serde_json::{Value, json};
use server::config::Settings;

use super::{ask, published, relationship};
use crate::combinations::{Backends, COMBINATIONS};
use crate::support::child::Server;
use crate::support::wire::{exchange, post};
use crate::support::{World, json_request};

const MODEL: &str = include_str!("../../authzen_todo/model.fga");
const TUPLES: &str = include_str!("../../authzen_todo/tuples.json");
const PROPERTIES: &str = include_str!("../../authzen_todo/properties.json");
const FILES: [&str; 2] = ["decisions-authorization-api-1_0-01.json", "decisions-authorization-api-1_0-02.json"];

async fn world(settings: Settings) -> World {
    let world = World::with(settings).await;
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

/// The decisions of an answer to many questions; nothing else of it is promised.
fn decisions(answers: &Value) -> Vec<Value> {
    answers.as_array().unwrap().iter().map(|answer| json!({"decision": answer["decision"]})).collect()
}

/// The questions of a file, each with its path and what is expected: one decision, or many.
fn cases(file: &str) -> Vec<(&'static str, Value, Value)> {
    let Some(published) = published(&format!("authzen-todo-backend/test/{file}")) else { return Vec::new() };
    let of = |kind: &str, path: &'static str| -> Vec<_> {
        let cases = published[kind].as_array().cloned().unwrap_or_default();
        cases.into_iter().map(|case| (path, case["request"].clone(), case["expected"].clone())).collect()
    };
    let cases = [of("evaluation", "/access/v1/evaluation"), of("evaluations", "/access/v1/evaluations")].concat();
    assert!(!cases.is_empty(), "a file of which nothing was asked shows nothing");
    cases
}

/// Compares an answer with what is expected, and counts its decisions.
fn compare(request: &Value, answer: &Value, expected: &Value) -> usize {
    let (decided, expected) = match expected {
        Value::Array(_) => (decisions(&answer["evaluations"]), decisions(expected)),
        one => (vec![json!({"decision": answer["decision"]})], vec![json!({"decision": one})]),
    };
    assert_eq!(decided, expected, "{request}: {answer}");
    expected.len()
}

#[tokio::test]
async fn every_published_decision_is_made_with_the_memory_tier_on_and_off() {
    for enabled in [true, false] {
        let mut settings = Settings::default();
        settings.cache.l1.enabled = enabled;
        let world = world(settings).await;
        for file in FILES {
            let mut compared = 0;
            for _ in ["at first", "and once more"] {
                for (path, request, expected) in cases(file) {
                    let reply = world.post(path, &request).await;
                    assert_eq!(reply.status, 200, "{}", reply.body);
                    compared += compare(&request, &reply.body, &expected);
                }
            }
            println!("{file}: {compared} decisions, memory tier {enabled}");
        }
    }
}

/// Sends a request to a process, and reads its answer.
fn sent(address: std::net::SocketAddr, method: &str, path: &str, body: &str) -> Value {
    let request = String::from_utf8(post(path, body)).unwrap().replacen("POST", method, 1);
    let answer = exchange(address, request.as_bytes());
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 20"), "{path}: {answer}");
    serde_json::from_str(body).unwrap_or_default()
}

#[test]
fn a_process_that_got_the_world_over_its_ports_decides_the_same() {
    decides_the_same(&Server::start(&[]));
}

#[test]
fn a_process_on_postgresql_decides_the_same_with_every_combination_of_tiers() {
    for (name, on) in COMBINATIONS {
        let Some(backends) = Backends::new() else { return };
        println!("{name}:");
        let arguments = backends.arguments(on);
        decides_the_same(&Server::start(&arguments.iter().map(String::as_str).collect::<Vec<_>>()));
    }
}

fn decides_the_same(server: &Server) {
    let created = sent(server.public, "POST", "/stores", r#"{"name": "todo"}"#);
    let store = format!("/stores/{}", created["id"].as_str().unwrap());
    let model = Model::from_dsl(MODEL).unwrap().to_json().to_string();
    sent(server.public, "POST", &format!("{store}/authorization-models"), &model);
    sent(server.public, "POST", &format!("{store}/write"), TUPLES);
    sent(server.admin, "PUT", &format!("/admin/v1{store}/properties"), PROPERTIES);
    for file in FILES {
        let compare = |(path, request, expected): &(&str, Value, Value)| {
            compare(request, &sent(server.public, "POST", path, &request.to_string()), expected)
        };
        // Once more, for what the tiers then have.
        let compared: usize = cases(file).iter().chain(&cases(file)).map(compare).sum();
        println!("{file}: {compared} decisions of a process");
    }
}

#[tokio::test]
async fn an_editor_changes_what_bears_their_address_and_nothing_else() {
    let world = world(Settings::default()).await;
    let morty = "user:CiRmZDE2MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs";
    for (owner, allowed) in [(json!("morty@the-citadel.com"), true), (json!("rick@the-citadel.com"), false)] {
        let mut body = ask(morty, "can_update_todo", "todo:todo-1");
        body["resource"]["properties"] = json!({"ownerID": owner});
        assert_eq!(world.post("/access/v1/evaluation", &body).await.decision(), allowed);
    }
    let found = world.post("/access/v1/search/action", &ask(morty, "", "todo:todo-1")).await;
    assert_eq!(super::search::results(&found, "name"), ["can_create_todo", "can_read_todos"]);
}

#[tokio::test]
async fn searches_find_what_roles_and_stored_ownership_allow() {
    let world = world(Settings::default()).await;
    let [rick, morty] =
        ["CiRmZDA2", "CiRmZDE2"].map(|start| format!("{start}MTRkMy1jMzlhLTQ3ODEtYjdiZC04Yjk2ZjVhNTEwMGQSBWxvY2Fs"));
    let todo = "7240d0db-8ff0-41ec-98b2-34a096273b91";
    let search = async |kind: &str, subject: &str, resource: &str| {
        let path = format!("/access/v1/search/{kind}");
        let reply = world.post(&path, &ask(subject, "can_update_todo", resource)).await;
        super::search::results(&reply, "id").into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(search("resource", &format!("user:{morty}"), "todo").await, [todo]);
    assert_eq!(search("resource", &format!("user:{rick}"), "todo").await.len(), 7);
    assert_eq!(search("subject", "user", &format!("todo:{todo}")).await, [rick.as_str(), morty.as_str()]);
    assert_eq!(search("subject", "user", "todo:todo-1").await, [rick.as_str()]);
    let who_owns = ask("user", "owner", &format!("todo:{todo}"));
    let refused = world.post("/access/v1/search/subject", &who_owns).await;
    assert_eq!(refused.status, 400, "{}", refused.body);
    assert!(refused.body.as_str().unwrap().contains("`subject`"), "{}", refused.body);
}
