//! What may a subject do to a resource?

use serde_json::{Value, json};

use super::results;
use crate::support::{LOCAL, World, json_request};

const PATH: &str = "/access/v1/search/action";

fn search(user: &str, document: &str) -> Value {
    json!({"subject": {"type": "user", "id": user}, "resource": {"type": "document", "id": document}})
}

#[tokio::test]
async fn it_names_what_an_evaluation_would_allow_also_by_way_of_others() {
    let world = World::small().await;
    let reply = world.post(PATH, &search("ann", "plan")).await;
    assert_eq!(results(&reply, "name"), ["can_view", "viewer"]);
    assert_eq!(reply.body["page"], json!({"next_token": "", "count": 2, "total": 2}));
    for action in ["can_view", "viewer", "owner"] {
        let mut question = search("ann", "plan");
        question["action"] = json!({"name": action});
        let allowed = world.post("/access/v1/evaluation", &question).await.decision();
        assert_eq!(allowed, results(&reply, "name").contains(&action), "{action}");
    }
}

#[tokio::test]
async fn who_may_nothing_gets_no_results() {
    let world = World::small().await;
    for (user, document) in [("bob", "plan"), ("ann", "no such document"), ("nobody", "nothing")] {
        let document = document.replace(' ', "-");
        assert!(results(&world.post(PATH, &search(user, &document)).await, "name").is_empty());
    }
}

#[tokio::test]
async fn an_unknown_type_gives_no_results_and_a_reason_on_this_machine() {
    let world = World::small().await;
    for part in ["subject", "resource"] {
        let mut body = search("ann", "plan");
        body[part]["type"] = json!("robot");
        for (peer, visible) in [(LOCAL, true), ("192.0.2.1".parse().unwrap(), false)] {
            let reply = world.send_from(peer, json_request(axum::http::Method::POST, PATH, &body.to_string())).await;
            assert!(results(&reply, "name").is_empty());
            assert_eq!(reply.body["context"].get("reason").is_some(), visible, "{part}");
        }
    }
}

#[tokio::test]
async fn an_action_that_is_given_is_passed_over_like_any_field_that_is_not_known() {
    let world = World::small().await;
    let mut body = search("ann", "plan");
    body["action"] = json!({"name": 7});
    body["new"] = json!([1]);
    assert_eq!(results(&world.post(PATH, &body).await, "name"), ["can_view", "viewer"]);
}

#[tokio::test]
async fn a_missing_part_is_400_with_its_name() {
    let world = World::small().await;
    for (part, field) in [("subject", "type"), ("subject", "id"), ("resource", "type"), ("resource", "id")] {
        let mut body = search("ann", "plan");
        body[part].as_object_mut().unwrap().remove(field);
        let reply = world.post(PATH, &body).await;
        assert_eq!((reply.status, reply.body.as_str().unwrap()), (400, format!("{part}.{field} is missing").as_str()));
        body.as_object_mut().unwrap().remove(part);
        let reply = world.post(PATH, &body).await;
        assert_eq!((reply.status, reply.body.as_str().unwrap()), (400, format!("{part} is missing").as_str()));
    }
}

#[tokio::test]
async fn a_revocation_is_honoured_by_the_next_search() {
    let world = World::empty().await;
    let store = world.store("only").await;
    assert_eq!(results(&world.post(PATH, &search("ann", "plan")).await, "name"), ["can_view", "viewer"]);
    let key = json!({"user": "user:ann", "relation": "member", "object": "team:9"});
    let path = format!("/stores/{}/write", store.0);
    assert_eq!(world.post(&path, &json!({"deletes": {"tuple_keys": [key]}})).await.status, 200);
    assert!(results(&world.post(PATH, &search("ann", "plan")).await, "name").is_empty());
}

#[tokio::test]
async fn a_store_is_searched_under_its_own_path() {
    let world = World::small().await;
    let other = world.store("other").await;
    let reply = world.post(&format!("/stores/{}{PATH}", other.0), &search("ann", "plan")).await;
    assert_eq!(results(&reply, "name"), ["can_view", "viewer"]);
    let reply = world.post(&format!("/stores/01ARZ3NDEKTSV4RRFFQ69G5FAV{PATH}"), &search("ann", "plan")).await;
    assert_eq!(reply.status, 404);
    assert!(reply.body.is_string());
}
