//! Stores.

use axum::http::Method;
use serde_json::json;

use super::assert_fault;
use crate::support::{World, json_request};

#[tokio::test]
async fn a_store_is_created_with_201_and_read_back() {
    let world = World::empty().await;
    let created = world.post("/stores", &json!({"name": "shop"})).await;
    assert_eq!(created.status, 201);
    let id = created.body["id"].as_str().unwrap();
    assert_eq!(id.len(), 26);
    assert_eq!(created.body["name"], "shop");
    assert_eq!(created.body["created_at"], created.body["updated_at"]);
    let time = created.body["created_at"].as_str().unwrap();
    assert!(time.contains('T') && time.ends_with('Z'), "{time}");
    let read = world.get(&format!("/stores/{id}")).await;
    assert_eq!((read.status, read.body), (200, created.body.clone()));
}

#[tokio::test]
async fn a_store_is_deleted_with_204_and_no_body_and_is_gone() {
    let world = World::small().await;
    let id = world.get("/stores").await.body["stores"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(world.ask_ann().await.status, 200);
    let deleted = world.send(json_request(Method::DELETE, &format!("/stores/{id}"), "")).await;
    assert_eq!(deleted.status, 204);
    assert_fault(&world.get(&format!("/stores/{id}")).await, 404, "store_id_not_found");
    let again = world.send(json_request(Method::DELETE, &format!("/stores/{id}"), "")).await;
    assert_fault(&again, 404, "store_id_not_found");
    assert_eq!(world.ask_ann().await.status, 404, "not from a cache either");
}

#[tokio::test]
async fn the_list_is_read_page_by_page_and_ends_with_an_empty_token() {
    let world = World::empty().await;
    assert_eq!(world.get("/stores?continuation_token=").await.body, json!({"stores": [], "continuation_token": ""}));
    for name in ["a", "b", "c"] {
        world.post("/stores", &json!({"name": name})).await;
    }
    let first = world.get("/stores?page_size=2").await.body;
    assert_eq!(first["stores"].as_array().unwrap().len(), 2);
    let token = first["continuation_token"].as_str().unwrap();
    let second = world.get(&format!("/stores?page_size=2&continuation_token={token}")).await.body;
    assert_eq!((&second["stores"][0]["name"], &second["continuation_token"]), (&json!("c"), &json!("")));
}

#[tokio::test]
async fn stores_are_found_by_their_name_page_by_page() {
    let world = World::empty().await;
    for name in ["a", "b", "a", "c", "a"] {
        world.post("/stores", &json!({"name": name})).await;
    }
    let first = world.get("/stores?name=a&page_size=2").await.body;
    assert_eq!(first["stores"].as_array().unwrap().len(), 2);
    let token = first["continuation_token"].as_str().unwrap();
    let second = world.get(&format!("/stores?name=a&page_size=2&continuation_token={token}")).await.body;
    assert_eq!((second["stores"].as_array().unwrap().len(), &second["continuation_token"]), (1, &json!("")));
    assert_eq!(world.get("/stores?name=d").await.body["stores"], json!([]));
    let other = world.get(&format!("/stores?name=b&continuation_token={token}")).await;
    assert_fault(&other, 400, "invalid_continuation_token");
}

#[tokio::test]
async fn a_name_is_short_visible_text() {
    let world = World::empty().await;
    for name in [json!(""), json!(null), json!("x".repeat(65)), json!("a\nb")] {
        assert_fault(&world.post("/stores", &json!({"name": name})).await, 400, "validation_error");
    }
}

#[tokio::test]
async fn a_page_size_or_a_token_that_makes_no_sense_is_400() {
    let world = World::empty().await;
    assert_fault(&world.get("/stores?page_size=0").await, 400, "page_size_invalid");
    assert_fault(&world.get("/stores?page_size=101").await, 400, "page_size_invalid");
    assert_fault(&world.get("/stores?page_size=many").await, 400, "validation_error");
    assert_fault(&world.get("/stores?continuation_token=forged").await, 400, "invalid_continuation_token");
}

#[tokio::test]
async fn an_id_has_one_spelling() {
    let world = World::empty().await;
    let id = world.store("only").await.0.to_string();
    for other in [id.to_lowercase(), format!("{id}0"), "x".to_owned(), "8ZZZZZZZZZZZZZZZZZZZZZZZZZ".to_owned()] {
        assert_fault(&world.get(&format!("/stores/{other}")).await, 400, "validation_error");
    }
}

#[tokio::test]
async fn an_unknown_path_is_404_undefined_endpoint() {
    let world = World::empty().await;
    assert_fault(&world.get("/nothing").await, 404, "undefined_endpoint");
}
