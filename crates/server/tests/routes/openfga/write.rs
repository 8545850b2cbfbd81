//! Writing and deleting relationships.

use serde_json::{Value, json};

use super::{assert_fault, key, store};

fn writes(keys: &[Value]) -> Value {
    json!({"authorization_model_id": "", "writes": {"tuple_keys": keys}, "deletes": null})
}

#[tokio::test]
async fn what_was_written_holds_when_the_answer_comes() {
    let (world, path) = store().await;
    let question = json!({"tuple_key": key("user:bob", "can_view", "document:plan")});
    assert_eq!(world.post(&format!("{path}/check"), &question).await.body["allowed"], false);
    let reply = world.post(&format!("{path}/write"), &writes(&[key("user:bob", "owner", "document:plan")])).await;
    assert_eq!((reply.status, reply.body), (200, json!({})));
    assert_eq!(world.post(&format!("{path}/check"), &question).await.body["allowed"], true);
}

#[tokio::test]
async fn a_tuple_that_exists_is_400_unless_duplicates_are_ignored() {
    let (world, path) = store().await;
    let mut body = writes(&[key("user:ann", "member", "team:9")]);
    assert_fault(&world.post(&format!("{path}/write"), &body).await, 400, "write_failed_due_to_invalid_input");
    body["writes"]["on_duplicate"] = json!("ignore");
    assert_eq!(world.post(&format!("{path}/write"), &body).await.status, 200);
    body["writes"]["on_duplicate"] = json!("perhaps");
    assert_fault(&world.post(&format!("{path}/write"), &body).await, 400, "validation_error");
}

#[tokio::test]
async fn a_tuple_that_does_not_exist_is_400_unless_missing_ones_are_ignored() {
    let (world, path) = store().await;
    let mut body = json!({"deletes": {"tuple_keys": [key("user:eve", "member", "team:9")]}});
    assert_fault(&world.post(&format!("{path}/write"), &body).await, 400, "write_failed_due_to_invalid_input");
    body["deletes"]["on_missing"] = json!("ignore");
    assert_eq!(world.post(&format!("{path}/write"), &body).await.status, 200);
}

#[tokio::test]
async fn a_request_is_written_as_a_whole_or_not_at_all() {
    let (world, path) = store().await;
    let body = writes(&[key("user:bob", "member", "team:9"), key("user:ann", "member", "team:9")]);
    assert_eq!(world.post(&format!("{path}/write"), &body).await.status, 400);
    let question = json!({"tuple_key": key("user:bob", "member", "team:9")});
    assert_eq!(world.post(&format!("{path}/check"), &question).await.body["allowed"], false);
}

#[tokio::test]
async fn the_same_tuple_twice_is_400() {
    let (world, path) = store().await;
    let bob = key("user:bob", "member", "team:9");
    let code = "cannot_allow_duplicate_tuples_in_one_request";
    assert_fault(&world.post(&format!("{path}/write"), &writes(&[bob.clone(), bob.clone()])).await, 400, code);
    let both = json!({"writes": {"tuple_keys": [bob]}, "deletes": {"tuple_keys": [bob]}});
    assert_fault(&world.post(&format!("{path}/write"), &both).await, 400, code);
}

#[tokio::test]
async fn nothing_to_do_is_400_and_so_is_too_much() {
    let (world, path) = store().await;
    for body in [json!({}), json!({"writes": {"tuple_keys": []}}), json!({"writes": null, "deletes": null})] {
        assert_fault(&world.post(&format!("{path}/write"), &body).await, 400, "invalid_write_input");
    }
    let many: Vec<_> = (0..101).map(|number| key(&format!("user:u{number}"), "member", "team:9")).collect();
    assert_fault(&world.post(&format!("{path}/write"), &writes(&many)).await, 400, "exceeded_entity_limit");
    assert_eq!(world.post(&format!("{path}/write"), &writes(&many[..100])).await.status, 200);
}

#[tokio::test]
async fn a_tuple_that_the_model_does_not_allow_is_400() {
    let (world, path) = store().await;
    let tuples = [
        key("user:ann", "can_view", "document:plan"),
        key("document:x", "member", "team:9"),
        key("user:ann", "member", "moon:9"),
        key("user:*", "member", "team:9"),
    ];
    for tuple in tuples {
        assert_fault(&world.post(&format!("{path}/write"), &writes(&[tuple])).await, 400, "validation_error");
    }
}

#[tokio::test]
async fn a_condition_that_the_model_does_not_define_is_400() {
    let (world, path) = store().await;
    let mut conditional = key("user:bob", "member", "team:9");
    let conditions = [
        json!({"name": "weekday", "context": {}}),
        json!({"name": "", "context": {}}),
        json!({}),
        json!({"name": "week\nday"}),
        json!({"name": "weekday", "context": []}),
        json!("weekday"),
    ];
    for condition in conditions {
        conditional["condition"] = condition;
        let reply = world.post(&format!("{path}/write"), &writes(&[conditional.clone()])).await;
        assert_fault(&reply, 400, "validation_error");
    }
    conditional["condition"] = json!({"name": "$expression", "context": {"expression": "true", "parameters": {}}});
    let reply = world.post(&format!("{path}/write"), &writes(&[conditional])).await;
    assert_fault(&reply, 400, "validation_error");
    assert!(reply.body["message"].as_str().unwrap().contains("define a condition in the model"), "{}", reply.body);
    let mut none = key("user:bob", "member", "team:9");
    none["condition"] = Value::Null;
    assert_eq!(world.post(&format!("{path}/write"), &writes(&[none])).await.status, 200);
}
