//! One question at a time.

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::json;

use crate::support::{LOCAL, World, json_request, question};

const PATH: &str = "/access/v1/evaluation";

#[tokio::test]
async fn who_may_gets_true_and_who_may_not_gets_false_both_with_200() {
    let world = World::small().await;
    assert!(world.ask_ann().await.decision());
    assert!(!world.post(PATH, &question("bob")).await.decision());
}

#[tokio::test]
async fn a_decision_has_an_id_and_the_tier_that_made_it() {
    let world = World::small().await;
    let first = world.ask_ann().await;
    let second = world.ask_ann().await;
    assert_eq!(first.body["context"]["source"], "origin");
    assert_eq!(second.body["context"]["source"], "l1");
    assert_eq!(first.body["context"]["id"].as_str().unwrap().len(), 26);
    assert_ne!(first.body["context"]["id"], second.body["context"]["id"]);
}

#[tokio::test]
async fn tier_and_reason_stay_on_this_machine() {
    let world = World::small().await;
    let elsewhere = "192.0.2.1".parse().unwrap();
    let mut unknown = question("ann");
    unknown["action"]["name"] = json!("fly");
    for (peer, visible) in [(LOCAL, true), (elsewhere, false)] {
        let reply = world.send_from(peer, json_request(Method::POST, PATH, &question("ann").to_string())).await;
        assert_eq!(reply.body["context"].get("source").is_some(), visible);
        let reply = world.send_from(peer, json_request(Method::POST, PATH, &unknown.to_string())).await;
        assert_eq!(reply.body["context"].get("reason").is_some(), visible);
    }
}

#[tokio::test]
async fn no_answer_may_be_stored_by_anybody_in_between() {
    let world = World::small().await;
    assert_eq!(world.ask_ann().await.header("cache-control"), "no-store");
    assert_eq!(world.post(PATH, &json!({})).await.header("cache-control"), "no-store");
}

#[tokio::test]
async fn a_missing_part_is_400_with_its_name_as_a_json_string() {
    let world = World::small().await;
    for part in ["subject", "action", "resource"] {
        let mut body = question("ann");
        body.as_object_mut().unwrap().remove(part);
        let reply = world.post(PATH, &body).await;
        assert_eq!((reply.status, reply.body.as_str().unwrap()), (400, format!("{part} is missing").as_str()));
    }
    for (part, field) in
        [("subject", "type"), ("subject", "id"), ("action", "name"), ("resource", "type"), ("resource", "id")]
    {
        let mut body = question("ann");
        body[part].as_object_mut().unwrap().remove(field);
        let reply = world.post(PATH, &body).await;
        assert_eq!((reply.status, reply.body.as_str().unwrap()), (400, format!("{part}.{field} is missing").as_str()));
    }
}

#[tokio::test]
async fn unknown_fields_are_ignored_everywhere() {
    let world = World::small().await;
    let mut body = question("ann");
    body["new"] = json!([1, {"deep": null}]);
    body["subject"]["new"] = json!("x");
    body["subject"]["properties"] = json!({"any": [1.5, {"thing": true}]});
    body["action"]["new"] = json!(1);
    body["context"] = json!({"time": "2026-01-01T00:00:00Z", "explain": true});
    assert!(world.post(PATH, &body).await.decision());
}

#[tokio::test]
async fn another_content_type_is_400() {
    let world = World::small().await;
    for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/json-seq", ""] {
        let request = Request::post(PATH).header("content-type", content_type);
        let reply = world.send(request.body(Body::from(question("ann").to_string())).unwrap()).await;
        assert_eq!(reply.status, 400, "{content_type}");
        assert!(reply.body.as_str().unwrap().contains("Content-Type: application/json"));
    }
    let request = Request::post(PATH).header("content-type", "Application/JSON; charset=utf-8");
    assert!(world.send(request.body(Body::from(question("ann").to_string())).unwrap()).await.decision());
}

#[tokio::test]
async fn the_request_id_comes_back_with_errors_too_and_is_made_where_there_is_none() {
    let world = World::small().await;
    for body in [question("ann").to_string(), "{".to_owned()] {
        let request = Request::post(PATH).header("content-type", "application/json").header("x-request-id", "bfe9eb29");
        let reply = world.send(request.body(Body::from(body)).unwrap()).await;
        assert_eq!(reply.header("x-request-id"), "bfe9eb29");
    }
    assert_eq!(world.ask_ann().await.header("x-request-id").len(), 26);
}

#[tokio::test]
async fn what_the_model_does_not_know_is_a_deny_with_a_reason() {
    let world = World::small().await;
    for (part, field, value) in [("subject", "type", "robot"), ("action", "name", "fly"), ("resource", "type", "moon")]
    {
        let mut body = question("ann");
        body[part][field] = json!(value);
        let reply = world.post(PATH, &body).await;
        assert!(!reply.decision());
        assert!(reply.body["context"]["reason"].as_str().unwrap().contains(value));
    }
}

#[tokio::test]
async fn an_id_is_a_plain_object_and_never_a_userset_or_a_wildcard() {
    let world = World::small().await;
    for id in ["9#member", "*", "a b", "a\u{0}b", "", "x\r\ny"] {
        let mut body = question("ann");
        body["subject"] = json!({"type": "team", "id": id});
        let reply = world.post(PATH, &body).await;
        assert_eq!(reply.status, 400, "{id:?}");
    }
}

#[tokio::test]
async fn a_full_answer_comes_from_the_origin_and_another_wish_is_refused() {
    let world = World::small().await;
    world.ask_ann().await;
    let mut body = question("ann");
    body["context"] = json!({"consistency": "full"});
    assert_eq!(world.post(PATH, &body).await.body["context"]["source"], "origin");
    body["context"] = json!({"consistency": "at_least"});
    assert_eq!(world.post(PATH, &body).await.status, 400);
}

#[tokio::test]
async fn a_revocation_is_honoured_by_the_next_question() {
    let world = World::small().await;
    assert!(world.ask_ann().await.decision());
    assert!(world.ask_ann().await.decision());
    let store = world.get("/stores").await.body["stores"][0]["id"].as_str().unwrap().to_owned();
    let key = json!({"user": "user:ann", "relation": "member", "object": "team:9"});
    let deleted = world.post(&format!("/stores/{store}/write"), &json!({"deletes": {"tuple_keys": [key]}})).await;
    assert_eq!(deleted.status, 200, "{}", deleted.body);
    assert!(!world.ask_ann().await.decision());
}

#[tokio::test]
async fn a_store_is_asked_under_its_own_path() {
    let world = World::small().await;
    let other = world.store("other").await;
    let reply = world.post(&format!("/stores/{}{PATH}", other.0), &question("ann")).await;
    assert!(reply.decision());
    let reply = world.post(&format!("/stores/01ARZ3NDEKTSV4RRFFQ69G5FAV{PATH}"), &question("ann")).await;
    assert_eq!(reply.status, 404);
    assert!(reply.body.is_string());
}

#[tokio::test]
async fn the_default_store_is_the_only_one_or_the_one_named_demo() {
    let world = World::empty().await;
    assert_eq!(world.ask_ann().await.status, 404, "there is none");
    world.store("first").await;
    assert!(world.ask_ann().await.decision());
    world.store("second").await;
    assert_eq!(world.ask_ann().await.status, 404, "it isn't clear which one");
    let demo = world.store("demo").await;
    assert!(world.ask_ann().await.decision());
    world.decisions.delete_store(demo).await.unwrap();
    assert_eq!(world.ask_ann().await.status, 404, "the one that was remembered is gone");
    assert_eq!(world.ask_ann().await.status, 404, "and it isn't clear which other one");
}

#[tokio::test]
async fn an_origin_that_is_away_is_503_with_retry_after_and_no_decision() {
    let world = World::small().await;
    world.store("warm the default store").await;
    world.decisions.close().await;
    let reply = world.ask_ann().await;
    assert_eq!((reply.status, reply.header("retry-after")), (503, "1"));
    assert!(reply.body.is_string());
}

#[tokio::test]
async fn another_method_is_405_and_an_unknown_path_404() {
    let world = World::small().await;
    assert_eq!(world.get(PATH).await.status, 405);
    let reply = world.post("/access/v1/search/anything", &json!({})).await;
    assert_eq!(reply.status, 404);
    assert!(reply.body.is_string());
}
