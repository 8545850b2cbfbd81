//! Bodies that nobody sends by mistake. Every one is 400, in OpenFGA's shape, and is final to its clients.

use axum::http::Method;
use serde_json::{Value, json};

use super::{key, store};
use crate::support::json_request;

/// What stands where an object, text, a list or a number should.
fn wrong() -> [Value; 6] {
    [json!(7), json!("text"), json!(true), json!([7]), json!({"x": {}}), json!([[]])]
}

#[tokio::test]
async fn a_field_of_another_type_is_never_more_than_400() {
    let (world, path) = store().await;
    let good = key("user:ann", "can_view", "document:plan");
    let check = json!({
        "tuple_key": good, "authorization_model_id": "", "contextual_tuples": {"tuple_keys": []}, "context": {},
        "consistency": "",
    });
    let batch = json!({"checks": [{
        "tuple_key": good, "correlation_id": "a", "contextual_tuples": {"tuple_keys": []}, "context": {},
    }]});
    let write = json!({
        "writes": {"tuple_keys": [key("user:bob", "member", "team:9")], "on_duplicate": "ignore"},
        "deletes": {"tuple_keys": [key("user:eve", "member", "team:9")], "on_missing": "ignore"},
        "authorization_model_id": "",
    });
    let read = json!({"tuple_key": key("", "", "team:9"), "page_size": 5, "continuation_token": "", "consistency": ""});
    let given = json!({"authorization_model_id": "", "context": {}, "consistency": ""});
    let with = |more: Value| {
        let mut body = given.clone();
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let tuples = json!({"tuple_keys": [key("user:bob", "member", "team:9")]});
    let objects = with(json!({
        "user": "user:ann", "relation": "can_view", "type": "document", "contextual_tuples": tuples,
    }));
    let users = with(json!({
        "object": {"type": "document", "id": "plan"}, "relation": "can_view",
        "user_filters": [{"type": "team", "relation": "member"}],
        "contextual_tuples": [key("user:bob", "member", "team:9")],
    }));
    let expand = with(json!({
        "tuple_key": {"relation": "viewer", "object": "document:plan"}, "contextual_tuples": tuples,
    }));
    let bodies = [
        ("check", check),
        ("batch-check", batch),
        ("write", write),
        ("read", read),
        ("list-objects", objects.clone()),
        ("streamed-list-objects", objects),
        ("list-users", users),
        ("expand", expand),
    ];
    let mut refused = 0;
    for (name, body) in bodies {
        assert_eq!(world.post(&format!("{path}/{name}"), &body).await.status, 200, "{name} {body}");
        for place in places(&body) {
            for wrong in wrong() {
                let mut altered = body.clone();
                *altered.pointer_mut(&place).unwrap() = wrong;
                let reply = world.post(&format!("{path}/{name}"), &altered).await;
                assert!(matches!(reply.status, 200 | 400), "{name} {altered}: {} {}", reply.status, reply.body);
                if reply.status == 400 {
                    assert!(reply.body["code"].is_string() && reply.body["message"].is_string(), "{}", reply.body);
                    refused += 1;
                }
            }
        }
    }
    assert!(refused > 100, "{refused}");
}

/// The places of all values within one, as JSON pointers.
fn places(value: &Value) -> Vec<String> {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(at, value)| (at.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    let below = |(name, value): (String, &Value)| {
        places(value).into_iter().map(move |rest| format!("/{name}{rest}")).collect::<Vec<_>>()
    };
    [String::new()].into_iter().chain(children.into_iter().flat_map(below)).collect()
}

#[tokio::test]
async fn what_is_wrong_is_said_with_its_place() {
    let (world, path) = store().await;
    let good = key("user:ann", "can_view", "document:plan");
    let bodies = [
        ("check", json!({"tuple_key": "user:ann"})),
        ("check", json!({"tuple_key": good, "context": "ip"})),
        ("check", json!({"tuple_key": good, "contextual_tuples": [good]})),
        ("check", json!({"tuple_key": {"user": "user:ann", "relation": "", "object": "document:plan"}})),
        ("check", json!({"tuple_key": key("user:ann\u{0}", "can_view", "document:plan")})),
        ("batch-check", json!({"checks": {}})),
        ("batch-check", json!({"checks": [{"tuple_key": good}]})),
        ("batch-check", json!({"checks": [{"tuple_key": good, "correlation_id": "a b"}]})),
        ("write", json!({"writes": {"tuple_keys": [{"user": "user:bob"}]}})),
        ("write", json!({"writes": {"tuple_keys": [{"condition": {"name": "$expression"}}]}})),
        ("read", json!({"page_size": -1})),
        ("read", json!({"page_size": 1e9})),
        ("read", json!({"continuation_token": "A".repeat(9_000)})),
    ];
    let mut said = String::new();
    for (name, body) in bodies {
        let reply = world.post(&format!("{path}/{name}"), &body).await;
        said += &format!("{name}: {} {} {}\n", reply.status, reply.body["code"], reply.body["message"]);
    }
    insta::assert_snapshot!(said);
}

#[tokio::test]
async fn a_token_is_refused_in_every_other_list() {
    let (world, path) = store().await;
    world.post("/stores", &json!({"name": "second"})).await;
    let token = |body: Value| body["continuation_token"].as_str().unwrap().to_owned();
    let tuples = token(world.post(&format!("{path}/read"), &json!({"page_size": 1})).await.body);
    let stores = token(world.get("/stores?page_size=1").await.body);
    let changes = token(world.get(&format!("{path}/changes?page_size=1")).await.body);
    assert!([&tuples, &stores, &changes].iter().all(|token| !token.is_empty()));
    let other = world.store("other").await.0;
    let mut replies = Vec::new();
    for token in [&stores, &changes] {
        replies.push(world.post(&format!("{path}/read"), &json!({"continuation_token": token})).await);
    }
    replies.push(world.post(&format!("/stores/{other}/read"), &json!({"continuation_token": tuples})).await);
    for token in [&tuples, &stores] {
        replies.push(world.get(&format!("{path}/changes?continuation_token={token}")).await);
        replies.push(world.get(&format!("{path}/authorization-models?continuation_token={token}")).await);
    }
    replies.push(world.get(&format!("/stores/{other}/changes?continuation_token={changes}")).await);
    for token in [&tuples, &changes] {
        replies.push(world.get(&format!("/stores?continuation_token={token}")).await);
    }
    for reply in replies {
        super::assert_fault(&reply, 400, "invalid_continuation_token");
    }
}

#[tokio::test]
async fn a_body_that_is_no_json_is_400_everywhere() {
    let (world, path) = store().await;
    let list = world.get(&format!("{path}/authorization-models")).await.body;
    let assertions = format!("{path}/assertions/{}", list["authorization_models"][0]["id"].as_str().unwrap());
    for body in ["", "{", "[]", "5", "null", r#"{"checks":[],"checks":[]}"#, "{}{}"] {
        let lists = ["list-objects", "streamed-list-objects", "list-users", "expand"];
        for name in ["check", "batch-check", "write", "read", "authorization-models"].into_iter().chain(lists) {
            let reply = world.post_text(&format!("{path}/{name}"), body).await;
            assert_eq!(reply.status, 400, "{name} {body}");
        }
    }
    for body in ["", "{", "[]", "5", "null", r#"{"assertions":{}}"#, r#"{"assertions":[[]]}"#] {
        let reply = world.send(json_request(Method::PUT, &assertions, body)).await;
        assert_eq!(reply.status, 400, "{body}");
    }
}
