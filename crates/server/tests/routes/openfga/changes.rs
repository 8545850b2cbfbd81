//! Following changes.

use serde_json::json;

use super::{assert_fault, key, store};

#[tokio::test]
async fn writes_and_deletes_come_in_their_order() {
    let (world, path) = store().await;
    world
        .post(&format!("{path}/write"), &json!({"deletes": {"tuple_keys": [key("user:ann", "member", "team:9")]}}))
        .await;
    let body = world.get(&format!("{path}/changes?continuation_token=&type=team")).await.body;
    let operations: Vec<_> = body["changes"].as_array().unwrap().iter().map(|change| &change["operation"]).collect();
    assert_eq!(operations, ["TUPLE_OPERATION_WRITE", "TUPLE_OPERATION_DELETE"]);
    assert_eq!(body["changes"][0]["tuple_key"], key("user:ann", "member", "team:9"));
}

#[tokio::test]
async fn at_the_end_the_token_repeats_and_later_changes_follow_it() {
    let (world, path) = store().await;
    let token = |body: &serde_json::Value| body["continuation_token"].as_str().unwrap().to_owned();
    let end = token(&world.get(&format!("{path}/changes")).await.body);
    let waiting = world.get(&format!("{path}/changes?continuation_token={end}")).await.body;
    assert_eq!((waiting["changes"].as_array().unwrap().len(), token(&waiting)), (0, end.clone()));
    world
        .post(&format!("{path}/write"), &json!({"writes": {"tuple_keys": [key("user:eve", "member", "team:9")]}}))
        .await;
    let later = world.get(&format!("{path}/changes?continuation_token={end}")).await.body;
    assert_eq!(later["changes"].as_array().unwrap().len(), 1);
    assert_eq!(later["changes"][0]["tuple_key"]["user"], "user:eve");
}

#[tokio::test]
async fn a_token_of_another_type_is_400() {
    let (world, path) = store().await;
    let token =
        world.get(&format!("{path}/changes?type=team")).await.body["continuation_token"].as_str().unwrap().to_owned();
    let other = world.get(&format!("{path}/changes?type=document&continuation_token={token}")).await;
    assert_fault(&other, 400, "invalid_continuation_token");
}

#[tokio::test]
async fn those_before_a_time_are_left_out() {
    let (world, path) = store().await;
    let count = |body: &serde_json::Value| body["changes"].as_array().unwrap().len();
    let past = world.get(&format!("{path}/changes?start_time=2001-01-01T00:00:00Z")).await.body;
    assert_eq!(count(&past), 2);
    let token = past["continuation_token"].as_str().unwrap();
    let exact = past["changes"][0]["timestamp"].as_str().unwrap();
    assert!(count(&world.get(&format!("{path}/changes?start_time={exact}")).await.body) > 0);
    // A plus sign stands for a space in a query, unless it is written as %2B.
    let future = world.get(&format!("{path}/changes?start_time=2999-01-01T00:00:00%2B01:00")).await.body;
    assert_eq!(count(&future), 0);
    let on = world.get(&format!("{path}/changes?continuation_token={token}")).await;
    assert_eq!((on.status, count(&on.body)), (200, 0), "whoever goes on need not repeat the time");
}

#[tokio::test]
async fn a_start_time_that_is_no_time_is_400() {
    let (world, path) = store().await;
    for text in ["yesterday", "2026-01-01", "1767225600"] {
        let reply = world.get(&format!("{path}/changes?start_time={text}")).await;
        assert_fault(&reply, 400, "invalid_start_time");
    }
}
