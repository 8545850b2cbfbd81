//! Many questions at once.

use serde_json::{Value, json};
use server::config::Settings;

use super::{assert_fault, key, store};
use crate::support::World;

fn check(id: &str, user: &str, object: &str) -> Value {
    json!({"tuple_key": key(user, "can_view", object), "correlation_id": id})
}

async fn ask(world: &World, path: &str, checks: &[Value]) -> Value {
    let reply = world.post(&format!("{path}/batch-check"), &json!({"checks": checks})).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.body["result"].clone()
}

#[tokio::test]
async fn every_question_is_answered_under_its_id_from_memory_or_not() {
    let (world, path) = store().await;
    let checks = [check("a", "user:ann", "document:plan"), check("b-2_x", "user:bob", "document:plan")];
    let expected = json!({"a": {"allowed": true}, "b-2_x": {"allowed": false}});
    assert_eq!(ask(&world, &path, &checks).await, expected);
    assert_eq!(ask(&world, &path, &checks).await, expected);
}

#[tokio::test]
async fn a_revocation_that_was_answered_is_in_force() {
    let (world, path) = store().await;
    let checks = [check("a", "user:ann", "document:plan")];
    assert_eq!(ask(&world, &path, &checks).await["a"]["allowed"], true);
    let gone = json!({"deletes": {"tuple_keys": [key("user:ann", "member", "team:9")]}});
    world.post(&format!("{path}/write"), &gone).await;
    assert_eq!(ask(&world, &path, &checks).await["a"]["allowed"], false);
}

#[tokio::test]
async fn the_same_question_is_asked_once() {
    let checks: Vec<_> = (0..50).map(|at| check(&format!("c{at}"), "user:ann", "document:plan")).collect();
    let (one, several) = (probes_of(&checks[..1]).await, probes_of(&checks).await);
    assert_eq!(several, one + 49, "memory is asked for each, and what it lacks is looked up once");
}

/// How often the tiers are asked for these questions in a new world, in which all of them are allowed.
async fn probes_of(checks: &[Value]) -> u64 {
    let (world, path) = store().await;
    let probes = || world.decisions.statistics().tiers.iter().map(|tier| tier.probes_total()).sum::<u64>();
    // The model is remembered from here on.
    ask(&world, &path, &[check("other", "user:eve", "document:other")]).await;
    let before = probes();
    let result = ask(&world, &path, checks).await;
    assert_eq!(result.as_object().unwrap().len(), checks.len());
    assert!(result.as_object().unwrap().values().all(|answer| answer["allowed"] == true));
    probes() - before
}

#[tokio::test]
async fn each_question_has_relationships_of_its_own() {
    let (world, path) = store().await;
    let mut with = check("with", "user:bob", "document:plan");
    with["contextual_tuples"] = json!({"tuple_keys": [key("user:bob", "member", "team:9")]});
    let result = ask(&world, &path, &[with, check("without", "user:bob", "document:plan")]).await;
    assert_eq!(result, json!({"with": {"allowed": true}, "without": {"allowed": false}}));
}

#[tokio::test]
async fn a_fault_of_one_question_is_its_own_answer() {
    let (world, path) = store().await;
    let mut twice = check("twice", "user:ann", "document:plan");
    let bob = key("user:bob", "member", "team:9");
    twice["contextual_tuples"] = json!({"tuple_keys": [bob, bob]});
    let checks = [
        check("fine", "user:ann", "document:plan"),
        check("no-type", "ann", "document:plan"),
        check("no-such-type", "robot:ann", "document:plan"),
        json!({"correlation_id": "no-key"}),
        twice,
    ];
    insta::assert_json_snapshot!(ask(&world, &path, &checks).await);
}

#[tokio::test]
async fn the_answers_come_in_the_order_of_the_questions() {
    let (world, path) = store().await;
    let checks = ["z", "a", "m"].map(|id| check(id, "user:ann", "document:plan"));
    let reply = world.post_text(&format!("{path}/batch-check"), &json!({"checks": checks}).to_string()).await;
    let ids: Vec<&str> = reply.text.split('"').filter(|word| ["z", "a", "m"].contains(word)).collect();
    assert_eq!(ids, ["z", "a", "m"]);
}

#[tokio::test]
async fn every_question_has_an_id_of_its_own() {
    let (world, path) = store().await;
    let long = "x".repeat(37);
    for id in ["", "a b", "é", "a/b", long.as_str()] {
        let body =
            json!({"checks": [check("ok", "user:ann", "document:plan"), check(id, "user:ann", "document:plan")]});
        assert_fault(&world.post(&format!("{path}/batch-check"), &body).await, 400, "validation_error");
    }
    let twice = json!({"checks": [check("a", "user:ann", "document:plan"), check("a", "user:bob", "document:plan")]});
    assert_fault(&world.post(&format!("{path}/batch-check"), &twice).await, 400, "validation_error");
    let longest = "x".repeat(36);
    assert_eq!(ask(&world, &path, &[check(&longest, "user:ann", "document:plan")]).await[&longest]["allowed"], true);
}

#[tokio::test]
async fn no_questions_are_400_and_so_are_more_than_may_be() {
    let mut settings = Settings::default();
    settings.http.max_batch = 3;
    let world = World::with(settings).await;
    let path = format!("/stores/{}", world.store("only").await.0);
    let many: Vec<_> = (0..4).map(|at| check(&format!("c{at}"), "user:ann", "document:plan")).collect();
    for body in [json!({}), json!({"checks": null}), json!({"checks": []}), json!({"checks": many})] {
        assert_fault(&world.post(&format!("{path}/batch-check"), &body).await, 400, "validation_error");
    }
    assert_eq!(ask(&world, &path, &many[..3]).await.as_object().unwrap().len(), 3);
    assert_eq!(Settings::default().http.max_batch, 50, "as OpenFGA has it");
}

#[tokio::test]
async fn what_is_wrong_for_all_questions_is_the_answer_to_the_request() {
    let (world, path) = store().await;
    let checks = json!([check("a", "user:ann", "document:plan")]);
    let reply = world.post("/stores/01ARZ3NDEKTSV4RRFFQ69G5FAV/batch-check", &json!({"checks": checks})).await;
    assert_fault(&reply, 404, "store_id_not_found");
    let faulty = json!({"checks": [check("a", "ann", "document:plan")]});
    let reply = world.post("/stores/01ARZ3NDEKTSV4RRFFQ69G5FAV/batch-check", &faulty).await;
    assert_fault(&reply, 404, "store_id_not_found");
    let body = json!({"checks": checks, "authorization_model_id": "01ARZ3NDEKTSV4RRFFQ69G5FAV"});
    assert_fault(&world.post(&format!("{path}/batch-check"), &body).await, 400, "authorization_model_not_found");
    let body = json!({"checks": checks, "consistency": "WHATEVER"});
    assert_fault(&world.post(&format!("{path}/batch-check"), &body).await, 400, "validation_error");
}
