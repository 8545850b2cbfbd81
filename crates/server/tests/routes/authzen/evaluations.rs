//! Many questions at once.

use serde_json::{Value, json};

use crate::support::{World, question};

const PATH: &str = "/access/v1/evaluations";

fn users(users: &[&str]) -> Value {
    let items: Vec<Value> = users.iter().map(|user| json!({"subject": {"type": "user", "id": user}})).collect();
    let mut body = question("nobody");
    body["evaluations"] = json!(items);
    body
}

fn decisions(body: &Value) -> Vec<bool> {
    body["evaluations"].as_array().unwrap().iter().map(|item| item["decision"].as_bool().unwrap()).collect()
}

#[tokio::test]
async fn all_are_answered_in_their_order() {
    let world = World::small().await;
    let reply = world.post(PATH, &users(&["ann", "bob", "ann", "eve"])).await;
    assert_eq!(reply.status, 200);
    assert_eq!(decisions(&reply.body), [true, false, true, false]);
}

#[tokio::test]
async fn a_key_of_an_item_replaces_the_default_as_a_whole() {
    let world = World::small().await;
    let mut body = question("ann");
    body["evaluations"] = json!([{}, {"subject": {"id": "ann"}}]);
    let reply = world.post(PATH, &body).await;
    assert_eq!(decisions(&reply.body), [true, false]);
    let error = &reply.body["evaluations"][1]["context"]["error"];
    assert_eq!((error["status"].as_u64(), error["message"].as_str()), (Some(400), Some("subject.type is missing")));
}

#[tokio::test]
async fn an_item_without_an_answer_is_a_deny_among_the_others() {
    let world = World::small().await;
    let body = json!({"evaluations": [question("ann"), {"subject": {"type": "user", "id": "ann"}}, question("ann")]});
    let reply = world.post(PATH, &body).await;
    assert_eq!(reply.status, 200);
    assert_eq!(decisions(&reply.body), [true, false, true]);
    assert_eq!(reply.body["evaluations"][1]["context"]["error"]["message"], "action is missing");
}

#[tokio::test]
async fn deny_on_first_deny_stops_with_the_deny() {
    let world = World::small().await;
    let mut body = users(&["ann", "bob", "ann"]);
    body["options"] = json!({"evaluations_semantic": "deny_on_first_deny"});
    assert_eq!(decisions(&world.post(PATH, &body).await.body), [true, false]);
}

#[tokio::test]
async fn permit_on_first_permit_stops_with_the_permit() {
    let world = World::small().await;
    let mut body = users(&["bob", "ann", "bob"]);
    body["options"] = json!({"evaluations_semantic": "permit_on_first_permit"});
    assert_eq!(decisions(&world.post(PATH, &body).await.body), [false, true]);
}

#[tokio::test]
async fn an_unknown_semantic_is_400() {
    let world = World::small().await;
    let mut body = users(&["ann"]);
    body["options"] = json!({"evaluations_semantic": "whatever"});
    assert_eq!(world.post(PATH, &body).await.status, 400);
}

#[tokio::test]
async fn without_items_it_is_one_question() {
    let world = World::small().await;
    let mut body = question("ann");
    assert!(world.post(PATH, &body).await.decision());
    body["evaluations"] = json!([]);
    assert!(world.post(PATH, &body).await.decision());
    body["evaluations"] = Value::Null;
    assert!(world.post(PATH, &body).await.decision());
    assert_eq!(world.post(PATH, &json!({})).await.status, 400);
}

#[tokio::test]
async fn too_many_are_400_with_the_bound() {
    let world = World::small().await;
    assert_eq!(world.post(PATH, &users(&["ann"; 50])).await.status, 200);
    let reply = world.post(PATH, &users(&["ann"; 51])).await;
    assert_eq!(reply.status, 400);
    assert!(reply.body.as_str().unwrap().contains("at most 50"));
}
