//! Searches.

mod action;
mod page;
mod resource;
mod subject;

use serde_json::Value;

use crate::support::{Reply, World};

/// The values of a field of all results, in their order.
pub(super) fn results<'r>(reply: &'r Reply, field: &str) -> Vec<&'r str> {
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.body["results"].as_array().unwrap().iter().map(|result| result[field].as_str().unwrap()).collect()
}

/// Asks page by page until there is none left, and gives the pages back.
async fn pages(world: &World, path: &str, request: &Value, field: &str) -> Vec<Vec<String>> {
    let (mut pages, mut request) = (Vec::new(), request.clone());
    loop {
        let reply = world.post(path, &request).await;
        pages.push(results(&reply, field).into_iter().map(str::to_owned).collect());
        match reply.body["page"]["next_token"].as_str().unwrap() {
            "" => return pages,
            token => request["page"]["token"] = token.into(),
        }
        assert!(pages.len() < 100, "the pages have no end");
    }
}
