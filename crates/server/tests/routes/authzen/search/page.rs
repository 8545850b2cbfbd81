//! Pages, the same for every search.

use authz::model::Model;
use serde_json::{Value, json};

use super::pages;
use crate::support::{MODEL, World};

const PATH: &str = "/access/v1/search/action";

fn search(limit: u64) -> Value {
    json!({
        "subject": {"type": "user", "id": "ann"},
        "resource": {"type": "document", "id": "plan"},
        "page": {"limit": limit},
    })
}

async fn token(world: &World, request: &Value) -> String {
    world.post(PATH, request).await.body["page"]["next_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn the_pages_hold_every_result_once_and_in_order() {
    let world = World::small().await;
    assert_eq!(pages(&world, PATH, &search(1), "name").await, [["can_view"], ["viewer"]]);
    assert_eq!(pages(&world, PATH, &search(2), "name").await, [["can_view", "viewer"]]);
    assert_eq!(pages(&world, PATH, &search(u64::MAX), "name").await, [["can_view", "viewer"]]);
}

#[tokio::test]
async fn a_page_counts_its_own_results_and_all() {
    let world = World::small().await;
    let page = &world.post(PATH, &search(1)).await.body["page"];
    assert_eq!((&page["count"], &page["total"]), (&json!(1), &json!(2)));
}

#[tokio::test]
async fn without_a_page_or_with_an_empty_token_it_is_the_first_one() {
    let world = World::small().await;
    for page in [Value::Null, json!({}), json!({"token": ""}), json!({"token": null, "limit": null})] {
        let mut body = search(1);
        body["page"] = page;
        assert_eq!(world.post(PATH, &body).await.body["page"]["count"], 2);
    }
}

#[tokio::test]
async fn a_token_of_another_request_is_400() {
    let world = World::small().await;
    let other_store = world.store("other").await;
    let path = format!("/stores/{}{PATH}", other_store.0);
    let first = world.post(&path, &search(1)).await;
    let token = &first.body["page"]["next_token"];
    let with = |change: fn(&mut Value)| {
        let mut body = search(1);
        body["page"]["token"] = token.clone();
        change(&mut body);
        body
    };
    assert_eq!(world.post(&path, &with(|_| ())).await.status, 200);
    let changes: [fn(&mut Value); 7] = [
        |body| body["page"]["limit"] = json!(2),
        |body| body["subject"]["id"] = json!("bob"),
        |body| body["subject"]["properties"] = json!({"level": 1}),
        |body| body["resource"]["id"] = json!("other"),
        |body| body["resource"]["properties"] = json!({"level": 1}),
        |body| body["context"] = json!({"level": 1}),
        |body| body["context"] = json!({"consistency": "full"}),
    ];
    for change in changes {
        let reply = world.post(&path, &with(change)).await;
        assert_eq!(reply.status, 400, "{}", with(change));
        assert!(reply.body.as_str().unwrap().starts_with("page.token belongs to another request"));
    }
    let stores = world.get("/stores").await;
    for store in stores.body["stores"].as_array().unwrap() {
        let id = store["id"].as_str().unwrap();
        let expected = if id == other_store.0.to_string() { 200 } else { 400 };
        assert_eq!(world.post(&format!("/stores/{id}{PATH}"), &with(|_| ())).await.status, expected);
    }
}

#[tokio::test]
async fn a_forged_token_is_400() {
    let world = World::small().await;
    let genuine = token(&world, &search(1)).await;
    let forged = ["x", "AAAA", "=", "\u{0}", &genuine[1..], &format!("{genuine}A"), &"A".repeat(100_000)];
    for forged in forged {
        let mut body = search(1);
        body["page"]["token"] = json!(forged);
        assert_eq!(world.post(PATH, &body).await.status, 400, "{forged:.40}");
    }
    for page in [json!({"token": 7}), json!({"limit": -1}), json!({"limit": 1.5}), json!({"limit": "1"}), json!([])] {
        let mut body = search(1);
        body["page"] = page;
        assert_eq!(world.post(PATH, &body).await.status, 400, "{}", body["page"]);
    }
}

#[tokio::test]
async fn a_token_ends_with_the_version_of_the_model() {
    let world = World::empty().await;
    let store = world.store("only").await;
    let mut body = search(1);
    body["page"]["token"] = json!(token(&world, &search(1)).await);
    assert_eq!(world.post(PATH, &body).await.status, 200);
    world.decisions.write_model(store, &Model::from_dsl(MODEL).unwrap()).await.unwrap();
    assert_eq!(world.post(PATH, &body).await.status, 400);
}
