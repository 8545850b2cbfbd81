//! Assertions.

use axum::http::Method;
use serde_json::{Value, json};

use super::{assert_fault, key, store};
use crate::support::{Reply, World, json_request};

/// A store in a world, with the path of its model's assertions.
async fn model() -> (World, String) {
    let (world, path) = store().await;
    let list = world.get(&format!("{path}/authorization-models")).await.body;
    let model = list["authorization_models"][0]["id"].as_str().unwrap();
    (world, format!("{path}/assertions/{model}"))
}

async fn put(world: &World, path: &str, assertions: &Value) -> Reply {
    world.send(json_request(Method::PUT, path, &json!({"assertions": assertions}).to_string())).await
}

fn assertion(user: &str, expectation: bool) -> Value {
    json!({"tuple_key": key(user, "can_view", "document:plan"), "expectation": expectation})
}

#[tokio::test]
async fn none_are_there_at_first() {
    let (world, path) = model().await;
    let reply = world.get(&path).await;
    let id = path.rsplit('/').next().unwrap();
    assert_eq!((reply.status, reply.body), (200, json!({"authorization_model_id": id, "assertions": []})));
}

#[tokio::test]
async fn they_are_kept_as_they_were_written_and_replace_those_before() {
    let (world, path) = model().await;
    let mut whole = assertion("user:bob", true);
    whole["contextual_tuples"] = json!([key("user:bob", "member", "team:9")]);
    whole["context"] = json!({"ip": "10.0.0.1", "nested": {"list": [1, 2.5, null]}});
    let both = json!([assertion("user:ann", true), whole]);
    assert_eq!(put(&world, &path, &both).await.status, 204);
    assert_eq!(world.get(&path).await.body["assertions"], both);
    assert_eq!(put(&world, &path, &json!([assertion("user:eve", false)])).await.status, 204);
    assert_eq!(world.get(&path).await.body["assertions"], json!([assertion("user:eve", false)]));
    assert_eq!(put(&world, &path, &json!([])).await.status, 204);
    assert_eq!(world.get(&path).await.body["assertions"], json!([]));
}

#[tokio::test]
async fn they_belong_to_their_version_of_the_model() {
    let (world, path) = model().await;
    put(&world, &path, &json!([assertion("user:ann", true)])).await;
    let (store, _) = path.rsplit_once("/assertions/").unwrap();
    let read = world.get(&format!("{store}/authorization-models")).await.body["authorization_models"][0].clone();
    let next = world.post(&format!("{store}/authorization-models"), &read).await.body["authorization_model_id"].clone();
    let next = format!("{store}/assertions/{}", next.as_str().unwrap());
    assert_eq!(world.get(&next).await.body["assertions"], json!([]));
    assert_eq!(world.get(&path).await.body["assertions"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn one_that_makes_no_sense_under_the_model_refuses_all_and_is_named() {
    let (world, path) = model().await;
    let good = assertion("user:ann", true);
    put(&world, &path, &json!([good])).await;
    let mut foreign = good.clone();
    foreign["contextual_tuples"] = json!([key("user:bob", "can_view", "document:plan")]);
    let bad = [
        json!({"expectation": true}),
        assertion("ann", true),
        assertion("robot:ann", true),
        json!({"tuple_key": key("user:ann", "can_fly", "document:plan"), "expectation": true}),
        foreign,
    ];
    for bad in bad {
        let reply = put(&world, &path, &json!([good, bad])).await;
        assert_fault(&reply, 400, "validation_error");
        assert!(reply.body["message"].as_str().unwrap().starts_with("assertions[1]: "), "{}", reply.body);
    }
    assert_eq!(world.get(&path).await.body["assertions"], json!([good]), "as before");
}

#[tokio::test]
async fn there_is_a_bound_for_their_number_and_one_for_their_size() {
    let (world, path) = model().await;
    let many: Vec<_> = (0..101).map(|at| assertion(&format!("user:u{at}"), false)).collect();
    assert_fault(&put(&world, &path, &json!(many)).await, 400, "assertions_too_many_items");
    assert_eq!(put(&world, &path, &json!(many[..100])).await.status, 204);
    let mut large = assertion("user:ann", true);
    large["context"] = json!({"text": "x".repeat(60_000)});
    assert_eq!(put(&world, &path, &json!(vec![&large; 4])).await.status, 204);
    assert_fault(&put(&world, &path, &json!(vec![&large; 5])).await, 400, "exceeded_entity_limit");
    large["context"] = json!({"text": "x".repeat(70_000)});
    assert_fault(&put(&world, &path, &json!([large])).await, 400, "exceeded_entity_limit");
}

#[tokio::test]
async fn an_unknown_version_is_400_and_an_unknown_store_404() {
    let (world, path) = model().await;
    let (store, _) = path.rsplit_once('/').unwrap();
    let unknown = format!("{store}/01ARZ3NDEKTSV4RRFFQ69G5FAV");
    assert_fault(&world.get(&unknown).await, 400, "authorization_model_not_found");
    let some = json!([assertion("user:ann", true)]);
    assert_fault(&put(&world, &unknown, &some).await, 400, "authorization_model_not_found");
    let nowhere = "/stores/01ARZ3NDEKTSV4RRFFQ69G5FAV/assertions/01ARZ3NDEKTSV4RRFFQ69G5FAV";
    assert_fault(&world.get(nowhere).await, 404, "store_id_not_found");
    assert_fault(&put(&world, nowhere, &json!([])).await, 404, "store_id_not_found");
}
