//! What happens around every handler.

use std::sync::Arc;

use axum::Router;
use axum::http::Method;
use axum::routing::{get, post};
use server::config::Settings;
use server::middleware::Edge;
use tokio::sync::Notify;

use crate::support::{LOCAL, World, answered, json_request};

fn settings(change: impl FnOnce(&mut Settings)) -> Settings {
    let mut settings = Settings::default();
    change(&mut settings);
    settings
}

#[tokio::test]
async fn a_panic_is_a_500_without_details_and_the_next_request_is_served() {
    let world = World::empty().await;
    let router = Router::new().route("/boom", get(boom)).route("/fine", get(|| async { "fine" }));
    let edge = Edge::new(router, &world.app);
    let reply = answered(&edge, json_request(Method::GET, "/boom", ""), LOCAL).await;
    assert_eq!((reply.status, reply.body["code"].as_str()), (500, Some("internal_error")));
    assert!(!reply.body.to_string().contains("secret"));
    assert_eq!(reply.header("x-request-id").len(), 26);
    assert_eq!(answered(&edge, json_request(Method::GET, "/fine", ""), LOCAL).await.status, 200);
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_takes_too_long_is_503_with_retry_after() {
    let world = World::with(settings(|settings| settings.http.request_timeout_ms = 1_234)).await;
    let router = Router::new().route("/access/v1/slow", post(std::future::pending::<()>));
    let edge = Edge::new(router, &world.app);
    let reply = answered(&edge, json_request(Method::POST, "/access/v1/slow", ""), LOCAL).await;
    assert_eq!((reply.status, reply.header("retry-after")), (503, "1"));
    assert_eq!(reply.body, "no answer within 1234 ms; try again");
}

#[tokio::test]
async fn one_request_too_many_is_503_while_probes_get_in() {
    let world = World::with(settings(|settings| settings.http.max_requests = 1)).await;
    let (begun, end) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let handler = {
        let (begun, end) = (Arc::clone(&begun), Arc::clone(&end));
        move || async move {
            begun.notify_one();
            end.notified().await;
        }
    };
    let router = Router::new().route("/wait", get(handler)).route("/livez", get(|| async {}));
    let edge = Edge::new(router, &world.app);
    let first = tokio::spawn({
        let edge = Arc::clone(&edge);
        async move { answered(&edge, json_request(Method::GET, "/wait", ""), LOCAL).await.status }
    });
    begun.notified().await;
    assert_eq!(answered(&edge, json_request(Method::GET, "/wait", ""), LOCAL).await.status, 503);
    assert_eq!(answered(&edge, json_request(Method::GET, "/livez", ""), LOCAL).await.status, 200);
    end.notify_one();
    assert_eq!(first.await.unwrap(), 200);
}

async fn boom() -> &'static str {
    panic!("a secret")
}
