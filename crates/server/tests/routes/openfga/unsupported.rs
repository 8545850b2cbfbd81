//! What this release doesn't serve.

use serde_json::json;

use super::{assert_fault, store};

#[tokio::test]
async fn what_is_not_served_yet_is_501_with_its_name() {
    let (world, path) = store().await;
    for name in ["list-objects", "streamed-list-objects", "list-users", "expand"] {
        let reply = world.post(&format!("{path}/{name}"), &json!({})).await;
        assert_fault(&reply, 501, "unimplemented");
        assert!(reply.body["message"].as_str().unwrap().starts_with(name));
    }
}
