//! Tokens in `context`, of answers and in questions, where one process has the origin.

use axum::http::{Method, Request};
use serde_json::{Value, json};

use crate::support::{Reply, World, json_request, question};

const EVALUATION: &str = "/access/v1/evaluation";
const EVALUATIONS: &str = "/access/v1/evaluations";

fn with(consistency: Value) -> Value {
    let mut body = question("ann");
    body["context"] = json!({"consistency": consistency});
    body
}

async fn with_headers(world: &World, tokens: &[&str]) -> Reply {
    let mut request: Request<_> = json_request(Method::POST, EVALUATION, &question("ann").to_string());
    for token in tokens {
        request.headers_mut().append("tiergate-at-least", token.parse().unwrap());
    }
    world.send(request).await
}

#[tokio::test]
async fn a_single_answer_has_its_token_in_the_context_and_in_the_header_and_a_batch_in_the_header_alone() {
    let world = World::small().await;
    let one = world.ask_ann().await;
    let token = one.header("tiergate-token");
    assert_eq!(one.body["context"]["token"], token);
    assert!((50..120).contains(&token.len()), "{token}");
    let mut batch = question("ann");
    batch["evaluations"] = json!([{}, {"subject": {"type": "user"}}]);
    let many = world.post(EVALUATIONS, &batch).await;
    assert_eq!(many.header("tiergate-token"), token, "nothing has changed");
    assert!(many.body["evaluations"].as_array().unwrap().iter().all(|item| item["context"].get("token").is_none()));
    let alone = world.post(EVALUATIONS, &question("ann")).await;
    assert_eq!(alone.body["context"]["token"], token, "a batch without items is one question");
    world.store("another").await;
    let path = format!("/stores/{}{EVALUATION}", world.store("a third").await.0);
    assert_ne!(world.post(&path, &question("ann")).await.header("tiergate-token"), token, "something has");
}

#[tokio::test]
async fn no_error_has_a_token() {
    let world = World::small().await;
    assert_eq!(world.ask_ann().await.status, 200);
    for body in [json!({}), with(json!("at_least"))] {
        let reply = world.post(EVALUATION, &body).await;
        assert_eq!((reply.status, reply.header("tiergate-token")), (400, ""));
    }
}

#[tokio::test]
async fn at_least_takes_the_token_of_an_answer_and_of_a_change_and_caches_may_answer() {
    let world = World::small().await;
    let store = world.get("/stores").await.body["stores"][0]["id"].as_str().unwrap().to_owned();
    let key = json!({"user": "user:bob", "relation": "member", "object": "team:9"});
    let written = world.post(&format!("/stores/{store}/write"), &json!({"writes": {"tuple_keys": [key]}})).await;
    let of_an_answer = world.ask_ann().await;
    for token in [written.header("tiergate-token"), of_an_answer.header("tiergate-token")] {
        let reply = world.post(EVALUATION, &with(json!({"at_least": token}))).await;
        assert!(reply.decision());
        assert_eq!(reply.body["context"]["source"], "l1");
        assert!(with_headers(&world, &[token, token]).await.decision());
    }
    for token in [written.header("tiergate-token"), of_an_answer.header("tiergate-token")] {
        let standing = world.get(&format!("/revocations/{token}")).await;
        let is_of_a_change = token == written.header("tiergate-token");
        assert_eq!(standing.status, if is_of_a_change { 200 } else { 404 }, "an answer is in force nowhere");
    }
}

#[tokio::test]
async fn what_is_no_wish_is_refused_and_nothing_is_passed_over() {
    let world = World::small().await;
    let other = World::small().await.ask_ann().await;
    let theirs = other.header("tiergate-token");
    let mine = world.ask_ann().await;
    let mine = mine.header("tiergate-token");
    for consistency in [
        json!({}),
        json!({"at_least": null}),
        json!({"at_least": 7}),
        json!({"at_least": [mine]}),
        json!({"at_least": mine, "or": "full"}),
        json!({"at_most": mine}),
        json!([mine]),
        json!(mine),
        json!(true),
        json!({"at_least": theirs}),
        json!({"at_least": &mine[1..]}),
        json!({"at_least": ""}),
    ] {
        let reply = world.post(EVALUATION, &with(consistency.clone())).await;
        assert!(reply.status == 400 && reply.body.is_string(), "{consistency}: {} {}", reply.status, reply.body);
    }
    let twice = with(json!({"at_least": mine})).to_string();
    for (once, both) in [
        (format!("{{\"at_least\":\"{mine}\"}}"), format!("{{\"at_least\":\"{theirs}\",\"at_least\":\"{mine}\"}}")),
        ("\"consistency\":".to_owned(), format!("\"consistency\":{{\"at_least\":\"{theirs}\"}},\"consistency\":")),
    ] {
        assert!(twice.contains(&once), "{once}");
        let reply = world.post_text(EVALUATION, &twice.replace(&once, &both)).await;
        assert!(reply.status == 400 && reply.text.contains("stands twice"), "{both}: {} {}", reply.status, reply.text);
    }
    assert!(world.post(EVALUATION, &with(Value::Null)).await.decision(), "nothing is wished for");
    for headers in [[mine, theirs], [theirs, mine], [mine, ""]] {
        assert_eq!(with_headers(&world, &headers).await.status, 400, "{headers:?}");
    }
}

#[tokio::test]
async fn a_token_that_cannot_be_honoured_is_the_fault_of_the_whole_batch_and_says_where_it_stands() {
    let world = World::small().await;
    let good = world.ask_ann().await;
    let good = good.header("tiergate-token");
    let wish = |token: &str| json!({"consistency": {"at_least": token}});
    for (default, item, place) in [
        (wish("x"), wish(good), "the token of context.consistency.at_least"),
        (wish(good), wish("x"), "the token of evaluations[1].context.consistency.at_least"),
    ] {
        let mut body = question("ann");
        body["context"] = default;
        body["evaluations"] = json!([{}, {"context": item}]);
        let reply = world.post(EVALUATIONS, &body).await;
        assert_eq!(reply.status, 400, "{}", reply.body);
        assert!(reply.body.as_str().unwrap().starts_with(place), "{}", reply.body);
    }
    let mut body = question("ann");
    body["evaluations"] = json!([{}, {"context": wish(good)}, {"context": {"consistency": "never"}}]);
    let reply = world.post(EVALUATIONS, &body).await;
    assert_eq!(reply.status, 200);
    let decisions = reply.body["evaluations"].as_array().unwrap().iter().map(|item| item["decision"] == true);
    assert_eq!(decisions.collect::<Vec<_>>(), [true, true, false], "another wish is a matter of its item");
}

#[tokio::test]
async fn the_pages_of_a_search_may_be_asked_for_with_the_token_of_the_page_before() {
    let world = World::small().await;
    let mut body = json!({"subject": {"type": "user", "id": "ann"}, "resource": {"type": "document", "id": "plan"}, "page": {"limit": 1}});
    let first = world.post("/access/v1/search/action", &body).await;
    assert_eq!(first.body["context"]["token"], first.header("tiergate-token"));
    body["page"]["token"] = first.body["page"]["next_token"].clone();
    body["context"] = json!({"consistency": {"at_least": first.body["context"]["token"]}});
    let second = world.post("/access/v1/search/action", &body).await;
    assert_eq!(second.status, 200, "{}", second.body);
    assert_ne!(second.body["results"], first.body["results"]);
}
