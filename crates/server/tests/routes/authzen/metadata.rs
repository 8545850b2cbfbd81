//! The metadata document.

use axum::body::Body;
use axum::http::Request;
use serde_json::json;

use crate::support::World;

#[tokio::test]
async fn it_names_the_base_of_the_configuration_and_only_what_exists() {
    let world = World::small().await;
    let request = Request::get("/.well-known/authzen-configuration").header("host", "localhost:9");
    let reply = world.send(request.body(Body::empty()).unwrap()).await;
    assert_eq!(reply.status, 200);
    let base = "https://pdp.example.com";
    assert_eq!(
        reply.body,
        json!({
            "policy_decision_point": base,
            "access_evaluation_endpoint": format!("{base}/access/v1/evaluation"),
            "access_evaluations_endpoint": format!("{base}/access/v1/evaluations"),
            "search_subject_endpoint": format!("{base}/access/v1/search/subject"),
            "search_resource_endpoint": format!("{base}/access/v1/search/resource"),
            "search_action_endpoint": format!("{base}/access/v1/search/action"),
        })
    );
}

#[tokio::test]
async fn a_store_has_its_own() {
    let world = World::small().await;
    let store = world.store("other").await.0;
    let reply = world.get(&format!("/.well-known/authzen-configuration/stores/{store}")).await;
    assert_eq!(reply.body["policy_decision_point"], format!("https://pdp.example.com/stores/{store}"));
    let unknown = "/.well-known/authzen-configuration/stores/01ARZ3NDEKTSV4RRFFQ69G5FAV";
    assert_eq!(world.get(unknown).await.status, 404);
}
