//! Relationships under conditions, and the values that questions bring for them.

use authz::model::Model;
use serde_json::{Value, json};

use super::{assert_fault, key};
use crate::support::World;

const MODEL: &str = "
model
  schema 1.1
type user
type document
  relations
    define viewer: [user, user with in_office, user with until]
condition in_office(ip: ipaddress, range: string) { ip.in_cidr(range) }
condition until(now: timestamp, end: timestamp) { now < end }
";

/// In which ann may view document:plan from the office, and bob until a time.
async fn store() -> (World, String) {
    let world = World::empty().await;
    let id = world.decisions.create_store("conditional").await.unwrap().id;
    world.decisions.write_model(id, &Model::from_dsl(MODEL).unwrap()).await.unwrap();
    let path = format!("/stores/{}", id.0);
    let tuples = [
        under(key("user:ann", "viewer", "document:plan"), "in_office", json!({"range": "10.0.0.0/8"})),
        under(key("user:bob", "viewer", "document:plan"), "until", json!({"end": "2026-01-01T00:00:00Z"})),
    ];
    let reply = world.post(&format!("{path}/write"), &json!({"writes": {"tuple_keys": tuples}})).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    (world, path)
}

fn under(mut key: Value, condition: &str, context: Value) -> Value {
    key["condition"] = json!({"name": condition, "context": context});
    key
}

fn question(user: &str, context: Value) -> Value {
    json!({"tuple_key": key(user, "viewer", "document:plan"), "context": context})
}

#[tokio::test]
async fn the_context_of_the_question_decides_and_so_does_what_memory_holds_of_it() {
    let (world, path) = store().await;
    let inside = question("user:ann", json!({"ip": "10.1.2.3"}));
    let outside = question("user:ann", json!({"ip": "192.168.0.1"}));
    for _ in 0..2 {
        for (question, allowed) in [(&inside, true), (&outside, false)] {
            assert_eq!(world.post(&format!("{path}/check"), question).await.body["allowed"], allowed);
        }
    }
}

#[tokio::test]
async fn the_values_of_the_relationship_come_before_those_of_the_question() {
    let (world, path) = store().await;
    let widened = question("user:ann", json!({"ip": "192.168.0.1", "range": "0.0.0.0/0"}));
    assert_eq!(world.post(&format!("{path}/check"), &widened).await.body["allowed"], false);
}

#[tokio::test]
async fn a_value_that_is_missing_or_of_another_type_is_400() {
    let (world, path) = store().await;
    let mut messages = Vec::new();
    for context in [json!({}), json!(null), json!({"ip": 7}), json!({"ip": "here"}), json!({"ip": ["10.0.0.1"]})] {
        let reply = world.post(&format!("{path}/check"), &question("user:ann", context)).await;
        assert_fault(&reply, 400, "validation_error");
        messages.push(reply.body["message"].as_str().unwrap().to_owned());
    }
    insta::assert_snapshot!(messages.join("\n"));
}

#[tokio::test]
async fn a_context_that_is_no_object_or_too_large_is_400() {
    let (world, path) = store().await;
    for context in [json!([]), json!("ip"), json!(7), json!(true)] {
        let reply = world.post(&format!("{path}/check"), &question("user:ann", context)).await;
        assert_fault(&reply, 400, "validation_error");
    }
    let large = json!({"ip": "10.1.2.3", "other": "x".repeat(70_000)});
    let reply = world.post(&format!("{path}/check"), &question("user:ann", large)).await;
    assert_fault(&reply, 400, "exceeded_entity_limit");
    let deep = format!(
        r#"{{"tuple_key":{},"context":{{"x":{}{}}}}}"#,
        key("user:ann", "viewer", "document:plan"),
        "[".repeat(10_000),
        "]".repeat(10_000)
    );
    let reply = world.post_text(&format!("{path}/check"), &deep).await;
    assert_fault(&reply, 400, "validation_error");
}

#[tokio::test]
async fn a_contextual_relationship_may_be_under_a_condition_too() {
    let (world, path) = store().await;
    let given = under(key("user:eve", "viewer", "document:plan"), "in_office", json!({"range": "192.168.0.0/16"}));
    let mut inside = question("user:eve", json!({"ip": "192.168.0.1"}));
    inside["contextual_tuples"] = json!({"tuple_keys": [given]});
    assert_eq!(world.post(&format!("{path}/check"), &inside).await.body["allowed"], true);
    inside["context"]["ip"] = json!("10.0.0.1");
    assert_eq!(world.post(&format!("{path}/check"), &inside).await.body["allowed"], false);
}

#[tokio::test]
async fn the_same_contextual_relationship_twice_is_400_whatever_its_condition() {
    let (world, path) = store().await;
    let eve = key("user:eve", "viewer", "document:plan");
    let mut twice = question("user:eve", json!({}));
    twice["contextual_tuples"] = json!({"tuple_keys": [eve, under(eve.clone(), "in_office", json!({}))]});
    assert_fault(&world.post(&format!("{path}/check"), &twice).await, 400, "duplicate_contextual_tuple");
}

#[tokio::test]
async fn a_relationship_whose_condition_does_not_fit_is_400_written_or_contextual() {
    let (world, path) = store().await;
    let eve = key("user:eve", "viewer", "document:plan");
    let tuples = [
        under(eve.clone(), "weekday", json!({})),
        under(eve.clone(), "in_office", json!({"moon": "full"})),
        under(eve.clone(), "in_office", json!({"range": 7})),
        under(eve.clone(), "until", json!({"end": "tomorrow"})),
        under(eve.clone(), "$expression", json!({"expression": "true", "parameters": {}})),
    ];
    let mut messages = Vec::new();
    for tuple in tuples {
        let writes = json!({"writes": {"tuple_keys": [tuple]}});
        let written = world.post(&format!("{path}/write"), &writes).await;
        assert_fault(&written, 400, "validation_error");
        messages.push(written.body["message"].as_str().unwrap().to_owned());
        let mut asked = question("user:eve", json!({"ip": "10.0.0.1"}));
        asked["contextual_tuples"] = json!({"tuple_keys": [tuple]});
        assert_fault(&world.post(&format!("{path}/check"), &asked).await, 400, "validation_error");
    }
    insta::assert_snapshot!(messages.join("\n"));
    let large = under(eve, "in_office", json!({"range": "x".repeat(70_000)}));
    let reply = world.post(&format!("{path}/write"), &json!({"writes": {"tuple_keys": [large]}})).await;
    assert_fault(&reply, 400, "exceeded_entity_limit");
}

#[tokio::test]
async fn reads_and_changes_tell_the_condition_with_its_values() {
    let (world, path) = store().await;
    let ann = under(key("user:ann", "viewer", "document:plan"), "in_office", json!({"range": "10.0.0.0/8"}));
    let filter = json!({"tuple_key": key("user:ann", "viewer", "document:plan")});
    let read = world.post(&format!("{path}/read"), &filter).await.body;
    assert_eq!(read["tuples"][0]["key"], ann);
    let changes = world.get(&format!("{path}/changes")).await.body;
    assert_eq!(changes["changes"][0]["tuple_key"], ann);
    let conditional = json!({"tuple_key": ann});
    assert_fault(&world.post(&format!("{path}/read"), &conditional).await, 400, "validation_error");
}

#[tokio::test]
async fn a_relationship_is_deleted_whether_its_condition_is_named_or_not() {
    let (world, path) = store().await;
    let ann = under(key("user:ann", "viewer", "document:plan"), "in_office", json!({"range": "10.0.0.0/8"}));
    let deletes = json!({"deletes": {"tuple_keys": [ann, key("user:bob", "viewer", "document:plan")]}});
    assert_eq!(world.post(&format!("{path}/write"), &deletes).await.status, 200);
    assert_eq!(world.post(&format!("{path}/read"), &json!({})).await.body["tuples"], json!([]));
}

#[tokio::test]
async fn a_duplicate_under_another_condition_is_400_even_where_duplicates_are_ignored() {
    let (world, path) = store().await;
    let same = under(key("user:ann", "viewer", "document:plan"), "in_office", json!({"range": "10.0.0.0/8"}));
    let mut body = json!({"writes": {"tuple_keys": [same], "on_duplicate": "ignore"}});
    assert_eq!(world.post(&format!("{path}/write"), &body).await.status, 200);
    body["writes"]["tuple_keys"][0]["condition"]["context"]["range"] = json!("0.0.0.0/0");
    let reply = world.post(&format!("{path}/write"), &body).await;
    assert_fault(&reply, 400, "write_failed_due_to_invalid_input");
}

#[tokio::test]
async fn in_a_batch_each_question_has_its_context_and_its_fault() {
    let (world, path) = store().await;
    let item = |id: &str, context: Value| {
        let mut question = question("user:ann", context);
        question["correlation_id"] = json!(id);
        question
    };
    let checks = [
        item("inside", json!({"ip": "10.0.0.1"})),
        item("outside", json!({"ip": "11.0.0.1"})),
        item("nothing", json!({})),
    ];
    let result = world.post(&format!("{path}/batch-check"), &json!({"checks": checks})).await.body["result"].clone();
    assert_eq!((&result["inside"]["allowed"], &result["outside"]["allowed"]), (&json!(true), &json!(false)));
    assert_eq!(result["nothing"]["error"]["input_error"], "validation_error");
    assert!(result["nothing"].get("allowed").is_none(), "{result}");
}

#[tokio::test]
async fn assertions_keep_their_values_and_their_conditions() {
    let (world, path) = store().await;
    let list = world.get(&format!("{path}/authorization-models")).await.body;
    let path = format!("{path}/assertions/{}", list["authorization_models"][0]["id"].as_str().unwrap());
    let given = under(key("user:eve", "viewer", "document:plan"), "in_office", json!({"range": "10.0.0.0/8"}));
    let assertion = json!({
        "tuple_key": key("user:eve", "viewer", "document:plan"), "expectation": true,
        "contextual_tuples": [given], "context": {"ip": "10.0.0.1"},
    });
    let body = json!({"assertions": [assertion]}).to_string();
    let written = world.send(crate::support::json_request(axum::http::Method::PUT, &path, &body)).await;
    assert_eq!(written.status, 204, "{}", written.body);
    assert_eq!(world.get(&path).await.body["assertions"], json!([assertion]));
}
