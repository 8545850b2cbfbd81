//! To which resources of a type may a subject do something?

use serde_json::json;

use super::super::{ask, change, world_of};
use super::{pages, results};
use crate::support::MODEL;

const PATH: &str = "/access/v1/search/resource";

const RELATIONSHIPS: [&str; 5] = [
    "team:9 member user:ann",
    "document:c viewer team:9#member",
    "document:b owner user:ann",
    "document:a viewer user:*",
    "document:d viewer user:bob",
];

#[tokio::test]
async fn everything_is_found_that_would_be_allowed_also_what_is_for_everybody() {
    let (world, _) = world_of(MODEL, &RELATIONSHIPS).await;
    let reply = world.post(PATH, &ask("user:ann", "can_view", "document")).await;
    assert_eq!(results(&reply, "id"), ["a", "b", "c"]);
    assert_eq!(results(&reply, "type"), ["document", "document", "document"]);
    assert_eq!(reply.body["page"], json!({"next_token": "", "count": 3, "total": 3}));
    for id in ["a", "b", "c", "d"] {
        let question = ask("user:ann", "can_view", &format!("document:{id}"));
        let allowed = world.post("/access/v1/evaluation", &question).await.decision();
        assert_eq!(allowed, results(&reply, "id").contains(&id), "{id}");
    }
}

#[tokio::test]
async fn an_id_of_what_is_searched_for_is_passed_over_whatever_it_is() {
    let (world, _) = world_of(MODEL, &RELATIONSHIPS).await;
    for id in [json!("b"), json!("*"), json!(7), json!([])] {
        let mut body = ask("user:ann", "can_view", "document");
        body["resource"]["id"] = id;
        assert_eq!(results(&world.post(PATH, &body).await, "id"), ["a", "b", "c"]);
    }
}

#[tokio::test]
async fn what_is_not_known_gives_no_results() {
    let (world, _) = world_of(MODEL, &RELATIONSHIPS).await;
    let unknown =
        [("robot:ann", "can_view", "document"), ("user:ann", "fly", "document"), ("user:ann", "can_view", "moon")];
    for (subject, action, resource) in unknown {
        let reply = world.post(PATH, &ask(subject, action, resource)).await;
        assert!(results(&reply, "id").is_empty(), "{subject} {action} {resource}");
        assert_eq!(reply.body["page"], json!({"next_token": "", "count": 0, "total": 0}));
    }
    assert_eq!(results(&world.post(PATH, &ask("user:nobody", "can_view", "document")).await, "id"), ["a"]);
}

#[tokio::test]
async fn a_missing_part_is_400_with_its_name() {
    let (world, _) = world_of(MODEL, &RELATIONSHIPS).await;
    for (part, field) in [("subject", "type"), ("subject", "id"), ("action", "name"), ("resource", "type")] {
        let mut body = ask("user:ann", "can_view", "document");
        body[part].as_object_mut().unwrap().remove(field);
        assert_eq!(world.post(PATH, &body).await.body, json!(format!("{part}.{field} is missing")));
        body.as_object_mut().unwrap().remove(part);
        let reply = world.post(PATH, &body).await;
        assert_eq!((reply.status, &reply.body), (400, &json!(format!("{part} is missing"))));
    }
}

#[tokio::test]
async fn a_revocation_is_honoured_by_the_next_search() {
    let (world, store) = world_of(MODEL, &RELATIONSHIPS).await;
    let body = ask("user:ann", "can_view", "document");
    for source in ["origin", "l1"] {
        assert_eq!(world.post(PATH, &body).await.body["context"]["source"], source);
    }
    change(&world, store, "-team:9 member user:ann").await;
    assert_eq!(results(&world.post(PATH, &body).await, "id"), ["a", "b"]);
    change(&world, store, "-document:a viewer user:*").await;
    assert_eq!(results(&world.post(PATH, &body).await, "id"), ["b"]);
}

#[tokio::test]
async fn the_pages_go_on_after_what_was_passed_on_whatever_changed_before_it() {
    let (world, store) = world_of(MODEL, &RELATIONSHIPS).await;
    let mut body = ask("user:ann", "can_view", "document");
    body["page"] = json!({"limit": 1});
    assert_eq!(pages(&world, PATH, &body, "id").await, [["a"], ["b"], ["c"]]);
    body["page"]["token"] = world.post(PATH, &body).await.body["page"]["next_token"].clone();
    change(&world, store, "-document:a viewer user:*").await;
    change(&world, store, "document:Z owner user:ann").await;
    let second = world.post(PATH, &body).await;
    assert_eq!(results(&second, "id"), ["b"]);
    assert_eq!(second.body["page"]["total"], 3);
}

#[tokio::test]
async fn a_store_is_searched_under_its_own_path() {
    let (world, store) = world_of(MODEL, &RELATIONSHIPS).await;
    world.store("other").await;
    for (kind, body, first) in [
        ("resource", ask("user:ann", "can_view", "document"), "a"),
        ("subject", ask("user", "can_view", "document:c"), "ann"),
    ] {
        let reply = world.post(&format!("/stores/{}/access/v1/search/{kind}", store.0), &body).await;
        assert_eq!(results(&reply, "id")[0], first);
        let unknown = format!("/stores/01ARZ3NDEKTSV4RRFFQ69G5FAV/access/v1/search/{kind}");
        assert_eq!(world.post(&unknown, &body).await.status, 404);
    }
}
