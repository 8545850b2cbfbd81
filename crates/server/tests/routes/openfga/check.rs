//! Single questions.

use serde_json::json;

use super::{assert_fault, key, store};

#[tokio::test]
async fn it_answers_as_clients_send_it_with_empty_text_and_nulls() {
    let (world, path) = store().await;
    let body = json!({
        "tuple_key": key("user:ann", "can_view", "document:plan"), "authorization_model_id": "",
        "context": {}, "contextual_tuples": {"tuple_keys": null},
    });
    let reply = world.post(&format!("{path}/check"), &body).await;
    assert_eq!((reply.status, reply.body), (200, json!({"allowed": true, "resolution": ""})));
}

#[tokio::test]
async fn a_userset_and_a_wildcard_may_be_asked_for() {
    let (world, path) = store().await;
    for (user, allowed) in [("team:9#member", true), ("team:8#member", false), ("user:*", false)] {
        let body = json!({"tuple_key": key(user, "can_view", "document:plan")});
        assert_eq!(world.post(&format!("{path}/check"), &body).await.body["allowed"], allowed, "{user}");
    }
}

#[tokio::test]
async fn contextual_tuples_hold_for_their_question_only() {
    let (world, path) = store().await;
    let mut body = json!({"tuple_key": key("user:bob", "can_view", "document:plan")});
    assert_eq!(world.post(&format!("{path}/check"), &body).await.body["allowed"], false);
    let mut with = body.clone();
    with["contextual_tuples"] = json!({"tuple_keys": [key("user:bob", "member", "team:9")]});
    assert_eq!(world.post(&format!("{path}/check"), &with).await.body["allowed"], true);
    body["consistency"] = json!("MINIMIZE_LATENCY");
    assert_eq!(world.post(&format!("{path}/check"), &body).await.body["allowed"], false);
}

#[tokio::test]
async fn the_version_of_the_model_may_be_named_and_must_exist() {
    let (world, path) = store().await;
    let list = world.get(&format!("{path}/authorization-models")).await.body;
    let mut body = json!({
        "tuple_key": key("user:ann", "can_view", "document:plan"),
        "authorization_model_id": list["authorization_models"][0]["id"],
        "consistency": "HIGHER_CONSISTENCY",
    });
    assert_eq!(world.post(&format!("{path}/check"), &body).await.body["allowed"], true);
    body["authorization_model_id"] = json!("01ARZ3NDEKTSV4RRFFQ69G5FAV");
    assert_fault(&world.post(&format!("{path}/check"), &body).await, 400, "authorization_model_not_found");
    body["authorization_model_id"] = json!("latest");
    assert_fault(&world.post(&format!("{path}/check"), &body).await, 400, "validation_error");
}

#[tokio::test]
async fn every_fault_of_the_question_is_400() {
    let (world, path) = store().await;
    let good = key("user:ann", "can_view", "document:plan");
    let bodies = [
        json!({}),
        json!({"tuple_key": {"user": "user:ann", "relation": "can_view"}}),
        json!({"tuple_key": key("ann", "can_view", "document:plan")}),
        json!({"tuple_key": key("user:ann", "can_view", "document:plan#viewer")}),
        json!({"tuple_key": key("user:ann", "can_fly", "document:plan")}),
        json!({"tuple_key": key("robot:ann", "can_view", "document:plan")}),
        json!({"tuple_key": key("user:ann", "can_view", "moon:plan")}),
        json!({"tuple_key": good, "consistency": "WHATEVER"}),
        json!({"tuple_key": good, "contextual_tuples": {"tuple_keys": [key("user:bob", "can_view", "document:plan")]}}),
        json!({"tuple_key": good, "contextual_tuples": {"tuple_keys": [good, good]}}),
    ];
    for body in bodies {
        let reply = world.post(&format!("{path}/check"), &body).await;
        assert_eq!(reply.status, 400, "{body}: {}", reply.body);
    }
}

#[tokio::test]
async fn too_many_contextual_tuples_are_400() {
    let (world, path) = store().await;
    let tuples: Vec<_> = (0..101).map(|number| key(&format!("user:u{number}"), "member", "team:9")).collect();
    let body = json!({
        "tuple_key": key("user:bob", "can_view", "document:plan"), "contextual_tuples": {"tuple_keys": tuples},
    });
    assert_fault(&world.post(&format!("{path}/check"), &body).await, 400, "exceeded_entity_limit");
}

#[tokio::test]
async fn a_store_without_a_model_is_400_and_an_unknown_store_404() {
    let (world, _) = store().await;
    let empty = world.post("/stores", &json!({"name": "empty"})).await.body["id"].as_str().unwrap().to_owned();
    let body = json!({"tuple_key": key("user:ann", "can_view", "document:plan")});
    let reply = world.post(&format!("/stores/{empty}/check"), &body).await;
    assert_fault(&reply, 400, "latest_authorization_model_not_found");
    let reply = world.post("/stores/01ARZ3NDEKTSV4RRFFQ69G5FAV/check", &body).await;
    assert_fault(&reply, 404, "store_id_not_found");
}
