//! Reading relationships.

use serde_json::{Value, json};

use super::{assert_fault, key, store};

fn users(body: &Value) -> Vec<&str> {
    body["tuples"].as_array().unwrap().iter().map(|tuple| tuple["key"]["user"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn all_are_read_with_the_time_of_their_writing() {
    let (world, path) = store().await;
    let reply = world.post(&format!("{path}/read"), &json!({"page_size": 50, "continuation_token": ""})).await;
    assert_eq!((reply.status, users(&reply.body).len()), (200, 2));
    assert_eq!(reply.body["continuation_token"], "");
    assert!(reply.body["tuples"][0]["timestamp"].as_str().unwrap().ends_with('Z'));
}

#[tokio::test]
async fn every_given_part_of_the_key_must_match() {
    let (world, path) = store().await;
    let filters = [
        (key("", "", "team:9"), 1),
        (key("", "", "document:"), 1),
        (key("", "member", "team:9"), 1),
        (key("", "viewer", "team:9"), 0),
        (key("user:ann", "", ""), 1),
        (key("team:9#member", "viewer", "document:plan"), 1),
        (key("user:bob", "", ""), 0),
        (key("", "", ""), 2),
    ];
    for (filter, count) in filters {
        let reply = world.post(&format!("{path}/read"), &json!({"tuple_key": filter})).await;
        assert_eq!(users(&reply.body).len(), count, "{filter}");
    }
}

#[tokio::test]
async fn pages_follow_one_another_and_a_token_belongs_to_its_filter() {
    let (world, path) = store().await;
    let first = world.post(&format!("{path}/read"), &json!({"page_size": 1})).await.body;
    let token = &first["continuation_token"];
    let second = world.post(&format!("{path}/read"), &json!({"page_size": 1, "continuation_token": token})).await.body;
    assert_ne!(users(&first), users(&second));
    let other = json!({"tuple_key": key("", "", "team:9"), "continuation_token": token});
    assert_fault(&world.post(&format!("{path}/read"), &other).await, 400, "invalid_continuation_token");
    let forged = json!({"continuation_token": "AAAA"});
    assert_fault(&world.post(&format!("{path}/read"), &forged).await, 400, "invalid_continuation_token");
}

#[tokio::test]
async fn a_key_that_cannot_be_read_is_400() {
    let (world, path) = store().await;
    for filter in [key("", "", "document"), key("ann", "", ""), key("", "a b", "")] {
        let reply = world.post(&format!("{path}/read"), &json!({"tuple_key": filter})).await;
        assert_fault(&reply, 400, "validation_error");
    }
}
