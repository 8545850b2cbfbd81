//! Which subjects of a type may do something to a resource?

use serde_json::json;

use super::super::{ask, change, world_of};
use super::{pages, results};
use crate::support::MODEL;

const PATH: &str = "/access/v1/search/subject";

const RELATIONSHIPS: [&str; 6] = [
    "team:all member team:9#member",
    "team:9 member user:ann",
    "document:plan viewer team:all#member",
    "document:plan viewer user:bob",
    "document:plan owner user:eve",
    "document:other viewer user:dan",
];

#[tokio::test]
async fn everybody_is_found_who_would_be_allowed_also_by_way_of_others() {
    let (world, _) = world_of(MODEL, &RELATIONSHIPS).await;
    let reply = world.post(PATH, &ask("user", "can_view", "document:plan")).await;
    assert_eq!(results(&reply, "id"), ["ann", "bob", "eve"]);
    assert_eq!(results(&reply, "type"), ["user", "user", "user"]);
    assert_eq!(reply.body["page"], json!({"next_token": "", "count": 3, "total": 3}));
    for user in ["ann", "bob", "dan", "eve"] {
        let question = ask(&format!("user:{user}"), "can_view", "document:plan");
        let allowed = world.post("/access/v1/evaluation", &question).await.decision();
        assert_eq!(allowed, results(&reply, "id").contains(&user), "{user}");
    }
}

#[tokio::test]
async fn an_id_of_what_is_searched_for_is_passed_over_whatever_it_is() {
    let (world, _) = world_of(MODEL, &RELATIONSHIPS).await;
    for id in [json!("bob"), json!("no one"), json!("*"), json!(7), json!(null), json!({})] {
        let mut body = ask("user", "can_view", "document:plan");
        body["subject"]["id"] = id;
        assert_eq!(results(&world.post(PATH, &body).await, "id"), ["ann", "bob", "eve"]);
    }
}

#[tokio::test]
async fn where_everybody_may_the_context_says_so_and_nobody_is_listed_for_that() {
    let (world, store) = world_of(MODEL, &RELATIONSHIPS).await;
    let body = ask("user", "can_view", "document:plan");
    assert_eq!(world.post(PATH, &body).await.body["context"].get("everyone"), None);
    change(&world, store, "document:plan viewer user:*").await;
    let reply = world.post(PATH, &body).await;
    assert_eq!(results(&reply, "id"), ["ann", "bob", "eve"]);
    assert_eq!((&reply.body["context"]["everyone"], &reply.body["page"]["total"]), (&json!(true), &json!(3)));
}

#[tokio::test]
async fn what_is_not_known_gives_no_results() {
    let (world, _) = world_of(MODEL, &RELATIONSHIPS).await;
    let unknown = [
        ("robot", "can_view", "document:plan"),
        ("user", "fly", "document:plan"),
        ("user", "can_view", "moon:plan"),
        ("user", "can_view", "document:none"),
        ("team", "can_view", "document:plan"),
    ];
    for (subject, action, resource) in unknown {
        let reply = world.post(PATH, &ask(subject, action, resource)).await;
        assert!(results(&reply, "id").is_empty(), "{subject} {action} {resource}");
        assert_eq!(reply.body["page"], json!({"next_token": "", "count": 0, "total": 0}));
    }
}

#[tokio::test]
async fn a_missing_part_is_400_with_its_name() {
    let (world, _) = world_of(MODEL, &RELATIONSHIPS).await;
    for (part, field) in [("subject", "type"), ("action", "name"), ("resource", "type"), ("resource", "id")] {
        let mut body = ask("user", "can_view", "document:plan");
        body[part].as_object_mut().unwrap().remove(field);
        assert_eq!(world.post(PATH, &body).await.body, json!(format!("{part}.{field} is missing")));
        body.as_object_mut().unwrap().remove(part);
        let reply = world.post(PATH, &body).await;
        assert_eq!((reply.status, &reply.body), (400, &json!(format!("{part} is missing"))));
    }
}

#[tokio::test]
async fn a_revocation_is_honoured_by_the_next_search_and_others_stay_cached() {
    let (world, store) = world_of(MODEL, &RELATIONSHIPS).await;
    let (plan, other) = (ask("user", "can_view", "document:plan"), ask("user", "can_view", "document:other"));
    for body in [&plan, &other] {
        assert_eq!(world.post(PATH, body).await.body["context"]["source"], "origin");
        assert_eq!(world.post(PATH, body).await.body["context"]["source"], "l1");
    }
    change(&world, store, "-team:9 member user:ann").await;
    let reply = world.post(PATH, &plan).await;
    assert_eq!((results(&reply, "id"), &reply.body["context"]["source"]), (vec!["bob", "eve"], &json!("origin")));
    assert_eq!(world.post(PATH, &other).await.body["context"]["source"], "l1");
}

#[tokio::test]
async fn who_comes_and_goes_between_two_pages_neither_repeats_nor_hides_others() {
    let (world, store) = world_of(MODEL, &RELATIONSHIPS).await;
    let mut body = ask("user", "can_view", "document:plan");
    body["page"] = json!({"limit": 2});
    assert_eq!(pages(&world, PATH, &body, "id").await, [vec!["ann", "bob"], vec!["eve"]]);
    let first = world.post(PATH, &body).await;
    assert_eq!(results(&first, "id"), ["ann", "bob"]);
    body["page"]["token"] = first.body["page"]["next_token"].clone();
    for text in ["-document:plan viewer user:bob", "document:plan viewer user:aaa", "document:plan viewer user:cat"] {
        change(&world, store, text).await;
    }
    let second = world.post(PATH, &body).await;
    assert_eq!(results(&second, "id"), ["cat", "eve"]);
    assert_eq!(second.body["page"], json!({"next_token": "", "count": 2, "total": 4}));
}

#[tokio::test]
async fn a_token_of_another_kind_of_search_is_400() {
    let (world, _) = world_of(MODEL, &RELATIONSHIPS).await;
    let mut body = ask("user", "can_view", "document:plan");
    body["page"] = json!({"limit": 1});
    let token = world.post(PATH, &body).await.body["page"]["next_token"].clone();
    body["page"]["token"] = token.clone();
    assert_eq!(world.post(PATH, &body).await.status, 200);
    let mut other = ask("user:ann", "can_view", "document");
    other["page"] = json!({"limit": 1, "token": token});
    assert_eq!(world.post("/access/v1/search/resource", &other).await.status, 400);
    body["action"]["name"] = json!("viewer");
    assert_eq!(world.post(PATH, &body).await.status, 400);
}
