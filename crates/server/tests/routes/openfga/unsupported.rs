//! What this release doesn't serve.

use axum::http::Method;
use serde_json::json;

use super::{assert_fault, store};
use crate::support::json_request;

#[tokio::test]
async fn what_is_not_served_yet_is_501_with_its_name() {
    let (world, path) = store().await;
    for name in ["batch-check", "list-objects", "streamed-list-objects", "list-users", "expand"] {
        let reply = world.post(&format!("{path}/{name}"), &json!({})).await;
        assert_fault(&reply, 501, "unimplemented");
        assert!(reply.body["message"].as_str().unwrap().starts_with(name));
    }
}

#[tokio::test]
async fn no_assertions_can_be_kept_and_none_are_there() {
    let (world, path) = store().await;
    let list = world.get(&format!("{path}/authorization-models")).await.body;
    let model = list["authorization_models"][0]["id"].as_str().unwrap();
    let path = format!("{path}/assertions/{model}");
    let reply = world.get(&path).await;
    assert_eq!((reply.status, reply.body), (200, json!({"authorization_model_id": model, "assertions": []})));
    let put = |body: serde_json::Value| json_request(Method::PUT, &path, &body.to_string());
    assert_eq!(world.send(put(json!({"assertions": []}))).await.status, 204);
    let some = json!({"assertions": [{"tuple_key": {}, "expectation": true}]});
    assert_fault(&world.send(put(some)).await, 501, "unimplemented");
}
