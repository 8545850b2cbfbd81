//! Stored properties of entities.

use axum::http::Method;
use serde_json::{Value, json};

use crate::support::{Reply, World, json_request};

fn path(store: authz::store::StoreId) -> String {
    format!("/admin/v1/stores/{}/properties", store.0)
}

async fn put(world: &World, path: &str, body: &Value) -> Reply {
    world.admin_send(json_request(Method::PUT, path, &body.to_string())).await
}

fn entity(id: &str, properties: Value) -> Value {
    json!({"type": "user", "id": id, "properties": properties})
}

fn entities(entities: &[Value]) -> Value {
    json!({"entities": entities})
}

#[tokio::test]
async fn what_was_written_is_read_back_by_its_entity_and_in_the_list() {
    let world = World::empty().await;
    let path = path(world.store("only").await);
    let (ann, bob) = (entity("ann", json!({"level": 3, "of": {"a": [1.5, null]}})), entity("bob", json!({"x": ""})));
    let reply = put(&world, &path, &entities(&[bob.clone(), ann.clone()])).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    assert!(reply.body["revision"].as_u64().unwrap() > 0);
    assert_eq!(world.admin_get(&format!("{path}/user/ann")).await.body, ann);
    let list = world.admin_get(&path).await.body;
    assert_eq!(list, json!({"entities": [ann, bob], "continuation_token": ""}));
}

#[tokio::test]
async fn a_write_replaces_the_properties_as_a_whole_and_none_of_them_removes_the_entity() {
    let world = World::empty().await;
    let path = path(world.store("only").await);
    put(&world, &path, &entities(&[entity("ann", json!({"a": 1, "b": 2}))])).await;
    put(&world, &path, &entities(&[entity("ann", json!({"b": 3}))])).await;
    assert_eq!(world.admin_get(&format!("{path}/user/ann")).await.body["properties"], json!({"b": 3}));
    put(&world, &path, &entities(&[entity("ann", json!({}))])).await;
    assert_eq!(world.admin_get(&format!("{path}/user/ann")).await.status, 404);
    assert_eq!(world.admin_get(&path).await.body["entities"], json!([]));
}

#[tokio::test]
async fn a_deleted_one_is_gone_and_deleting_it_again_is_404() {
    let world = World::empty().await;
    let path = path(world.store("only").await);
    let reply = put(&world, &path, &entities(&[entity("a/b%", json!({"a": 1}))])).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let one = format!("{path}/user/a%2Fb%25");
    assert_eq!(world.admin_get(&one).await.body["id"], "a/b%");
    let delete = async || world.admin_send(json_request(Method::DELETE, &one, "")).await;
    assert_eq!(delete().await.status, 204);
    let again = delete().await;
    assert_eq!((again.status, &again.body["code"]), (404, &json!("properties_not_found")));
}

#[tokio::test]
async fn the_list_comes_page_by_page_and_a_token_that_is_none_of_it_is_refused() {
    let world = World::empty().await;
    let (store, other) = (world.store("one").await, world.store("other").await);
    let path = path(store);
    let five: Vec<Value> = (0..5).map(|id| entity(&id.to_string(), json!({"a": id}))).collect();
    put(&world, &path, &entities(&five)).await;
    let (mut ids, mut token) = (Vec::new(), String::new());
    loop {
        let page = world.admin_get(&format!("{path}?page_size=2&continuation_token={token}")).await.body;
        ids.extend(page["entities"].as_array().unwrap().iter().map(|entity| entity["id"].clone()));
        if page["continuation_token"] == "" {
            break;
        }
        token = page["continuation_token"].as_str().unwrap().to_owned();
    }
    assert_eq!(ids, ["0", "1", "2", "3", "4"]);
    for (path, token) in [(self::path(other), token.as_str()), (path.clone(), "x"), (path.clone(), &token[1..])] {
        assert_eq!(world.admin_get(&format!("{path}?continuation_token={token}")).await.status, 400);
    }
    for query in ["page_size=0", "page_size=101", "page_size=x", "size=1"] {
        assert_eq!(world.admin_get(&format!("{path}?{query}")).await.status, 400, "{query}");
    }
}

#[tokio::test]
async fn what_is_not_understood_or_too_much_writes_nothing() {
    let world = World::empty().await;
    let path = path(world.store("only").await);
    let ann = entity("ann", json!({"a": 1}));
    let many: Vec<Value> = (0..101).map(|id| entity(&id.to_string(), json!({"a": 1}))).collect();
    let bodies = [
        json!({}),
        json!([ann]),
        json!({"entities": []}),
        json!({"entities": [ann], "dry_run": true}),
        json!({"entities": [ann, {"type": "user", "id": "bob"}]}),
        json!({"entities": [ann, {"type": "user", "id": "bob", "properties": []}]}),
        json!({"entities": [ann, {"type": "user", "id": "bob", "properties": {}, "ttl": 1}]}),
        json!({"entities": [ann, entity("*", json!({}))]}),
        json!({"entities": [ann, entity("b#c", json!({}))]}),
        json!({"entities": [ann, ann]}),
        json!({"entities": [ann, entity("bob", json!({"long": "x".repeat(16 << 10)}))]}),
        entities(&many),
    ];
    for body in bodies {
        let reply = put(&world, &path, &body).await;
        assert_eq!(reply.status, 400, "{body:.80}");
        assert!(reply.body["message"].is_string());
    }
    assert_eq!(world.admin_get(&path).await.body["entities"], json!([]));
}

#[tokio::test]
async fn a_store_that_does_not_exist_is_404_and_none_of_it_is_on_the_public_listener() {
    let world = World::empty().await;
    let unknown = "/admin/v1/stores/01ARZ3NDEKTSV4RRFFQ69G5FAV/properties";
    assert_eq!(put(&world, unknown, &entities(&[entity("ann", json!({"a": 1}))])).await.status, 404);
    assert_eq!(world.admin_get(unknown).await.status, 404);
    assert_eq!(world.admin_get(&format!("{unknown}/user/ann")).await.status, 404);
    let path = path(world.store("only").await);
    assert_eq!(world.get(&path).await.status, 404);
}
