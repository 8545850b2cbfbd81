//! Properties of entities that are stored, and those that a question brings.

use authz::store::StoreId;
use axum::http::Method;
use serde_json::{Value, json};

use super::{ask, world_of};
use crate::support::{World, json_request};

const EVALUATION: &str = "/access/v1/evaluation";

const MODEL: &str = "
model
  schema 1.1
type user
type document
  relations
    define reader: [user with cleared]
condition cleared(subject: map<any>, resource: map<any>) {
  subject.properties.level >= resource.properties.level && subject.properties.unit == resource.properties.unit
}
";

/// In which ann may read document:1 by stored properties, and bob may not.
async fn world() -> (World, StoreId) {
    let relationships = ["document:1 reader user:ann cleared", "document:1 reader user:bob cleared"];
    let (world, store) = world_of(MODEL, &relationships).await;
    store_properties(
        &world,
        store,
        &[
            ("user", "ann", json!({"level": 3, "unit": "a"})),
            ("user", "bob", json!({"level": 1, "unit": "a"})),
            ("document", "1", json!({"level": 2, "unit": "a"})),
        ],
    )
    .await;
    (world, store)
}

async fn store_properties(world: &World, store: StoreId, entities: &[(&str, &str, Value)]) {
    let entities: Vec<Value> = entities
        .iter()
        .map(|(type_name, id, properties)| json!({"type": type_name, "id": id, "properties": properties}))
        .collect();
    let path = format!("/admin/v1/stores/{}/properties", store.0);
    let body = json!({"entities": entities}).to_string();
    let reply = world.admin_send(json_request(Method::PUT, &path, &body)).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
}

#[tokio::test]
async fn conditions_read_stored_properties_and_decisions_by_them_are_cached() {
    let (world, _) = world().await;
    for (user, allowed) in [("user:ann", true), ("user:bob", false)] {
        for source in ["origin", "l1"] {
            let reply = world.post(EVALUATION, &ask(user, "reader", "document:1")).await;
            assert_eq!((reply.decision(), &reply.body["context"]["source"]), (allowed, &json!(source)), "{user}");
        }
    }
}

#[tokio::test]
async fn those_of_the_question_come_before_stored_ones_key_by_key() {
    let (world, _) = world().await;
    let mut body = ask("user:bob", "reader", "document:1");
    body["subject"]["properties"] = json!({"level": 2});
    assert!(world.post(EVALUATION, &body).await.decision(), "the unit is still the stored one");
    body["subject"]["properties"] = json!({"level": 2, "unit": "b"});
    assert!(!world.post(EVALUATION, &body).await.decision());
    body["resource"]["properties"] = json!({"unit": "b"});
    assert!(world.post(EVALUATION, &body).await.decision());
    assert!(!world.post(EVALUATION, &ask("user:bob", "reader", "document:1")).await.decision(), "nothing was stored");
}

#[tokio::test]
async fn a_change_of_either_entity_is_in_force_when_it_is_answered() {
    let changes =
        [("user", "ann", json!({"level": 1, "unit": "a"})), ("document", "1", json!({"level": 4, "unit": "a"}))];
    for change in changes {
        let (world, store) = world().await;
        let (ann, bob) = (ask("user:ann", "reader", "document:1"), ask("user:bob", "reader", "document:1"));
        for body in [&ann, &ann, &bob, &bob] {
            world.post(EVALUATION, body).await.decision();
        }
        assert_eq!(world.post(EVALUATION, &ann).await.body["context"]["source"], "l1");
        let about_ann = change.0 == "user";
        store_properties(&world, store, &[change]).await;
        let reply = world.post(EVALUATION, &ann).await;
        assert_eq!((reply.decision(), &reply.body["context"]["source"]), (false, &json!("origin")));
        if about_ann {
            let reply = world.post(EVALUATION, &bob).await;
            assert_eq!(reply.body["context"]["source"], "l1", "what did not rest on them stays");
        }
    }
}

#[tokio::test]
async fn what_was_deleted_decides_nothing_any_more() {
    let (world, store) = world().await;
    let ann = ask("user:ann", "reader", "document:1");
    assert!(world.post(EVALUATION, &ann).await.decision());
    let path = format!("/admin/v1/stores/{}/properties/user/ann", store.0);
    assert_eq!(world.admin_send(json_request(Method::DELETE, &path, "")).await.status, 204);
    let reply = world.post(EVALUATION, &ann).await;
    assert_eq!(reply.status, 400, "the condition has nothing to compare: {}", reply.body);
}

#[tokio::test]
async fn searches_rest_on_them_too_and_follow_their_changes() {
    let (world, store) = world().await;
    let searches = [
        ("resource", ask("user:ann", "reader", "document"), "1"),
        ("subject", ask("user", "reader", "document:1"), "ann"),
    ];
    for (kind, body, found) in &searches {
        let path = format!("/access/v1/search/{kind}");
        for source in ["origin", "l1"] {
            let reply = world.post(&path, body).await;
            assert_eq!(super::search::results(&reply, "id"), [*found], "{kind}");
            assert_eq!(reply.body["context"]["source"], source, "{kind}");
        }
    }
    store_properties(&world, store, &[("user", "ann", json!({"level": 1, "unit": "a"}))]).await;
    for (kind, body, _) in &searches {
        let reply = world.post(&format!("/access/v1/search/{kind}"), body).await;
        assert!(super::search::results(&reply, "id").is_empty(), "{kind}: {}", reply.body);
    }
}
