//! What happens around every handler.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request};
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

#[tokio::test(start_paused = true)]
async fn a_change_that_takes_too_long_is_not_known_and_a_question_is_asked_again() {
    let world = World::empty().await;
    let questions = ["check", "batch-check", "read", "expand", "list-objects", "streamed-list-objects", "list-users"];
    let questions = questions.map(|name| (Method::POST, format!("/stores/x/{name}"), "; try again"));
    let others = [
        (Method::GET, "/stores", "; try again"),
        (Method::POST, "/admin/v1/explain", "; try again"),
        (Method::POST, "/stores", "is not known"),
        (Method::POST, "/stores/x/write", "is not known"),
        (Method::POST, "/stores/x/authorization-models", "is not known"),
        (Method::PUT, "/stores/x/assertions/y", "is not known"),
        (Method::DELETE, "/stores/x", "is not known"),
        (Method::POST, "/admin/v1/invalidate", "is not known"),
        // It ends as a question does, and is none.
        (Method::DELETE, "/admin/v1/stores/x/properties/document/check", "is not known"),
    ];
    let others = others.map(|(method, path, says)| (method, path.to_owned(), says));
    let edge = Edge::new(Router::new().fallback(std::future::pending::<()>), &world.app);
    for (method, path, says) in questions.into_iter().chain(others) {
        let reply = answered(&edge, json_request(method, &path, ""), LOCAL).await;
        let retry = if says.contains("try again") { "1" } else { "" };
        assert_eq!((reply.status, reply.header("retry-after")), (503, retry), "{path}");
        assert!(reply.body["message"].as_str().unwrap().contains(says), "{path}: {}", reply.body);
    }
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

/// A request with a header.
fn naming(path: &str, header: &str, value: &str) -> Request<Body> {
    Request::get(path).header(header, value).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn a_request_that_names_another_server_is_403_with_what_to_set() {
    let world = World::small().await;
    let reply = world.send(naming("/stores", "host", "evil.example.com:8080")).await;
    assert_eq!((reply.status, reply.body["code"].as_str()), (403, Some("forbidden")));
    assert!(reply.body["message"].as_str().unwrap().contains("http.public_url"), "{}", reply.body);
    let reply = world.send(naming("/.well-known/authzen-configuration", "host", "evil.example.com")).await;
    assert_eq!(reply.status, 403);
    assert!(reply.body.as_str().unwrap().contains("http.public_url"), "{}", reply.body);
    assert_eq!(world.admin_send(naming("/admin/v1/cache", "host", "evil.example.com")).await.status, 403);
    assert_eq!(world.send(naming("http://evil.example.com/stores", "host", "localhost")).await.status, 403);
    let two = Request::get("/stores").header("host", "localhost").header("host", "evil.example.com");
    assert_eq!(world.send(two.body(Body::empty()).unwrap()).await.status, 403);
}

#[tokio::test]
async fn a_request_that_names_this_server_or_nobody_is_served() {
    let world = World::small().await;
    for host in ["localhost", "127.0.0.1:8080", "[::1]:8080", "pdp.example.com"] {
        assert_eq!(world.send(naming("/stores", "host", host)).await.status, 200, "{host}");
        assert_eq!(world.admin_send(naming("/admin/v1/cache", "host", host)).await.status, 200, "{host}");
    }
    assert_eq!(world.get("/stores").await.status, 200);
}

#[tokio::test]
async fn a_strangers_web_page_is_403_and_one_of_this_server_is_served() {
    let world = World::small().await;
    for origin in ["https://evil.example.com", "null"] {
        let reply = world.send(naming("/stores", "origin", origin)).await;
        assert_eq!((reply.status, reply.body["code"].as_str()), (403, Some("forbidden")), "{origin}");
        assert_eq!(world.admin_send(naming("/admin/v1/cache", "origin", origin)).await.status, 403);
    }
    assert_eq!(world.send(naming("/stores", "origin", "https://pdp.example.com")).await.status, 200);
    assert_eq!(world.send(naming("/stores", "origin", "http://localhost:8080")).await.status, 200);
}

#[tokio::test]
async fn a_probe_of_health_may_name_whom_it_likes() {
    let world = World::small().await;
    for path in ["/livez", "/readyz", "/healthz"] {
        assert_eq!(world.send(naming(path, "host", "10.1.2.3:8080")).await.status, 200, "{path}");
        assert_eq!(world.admin_send(naming(path, "host", "10.1.2.3:8081")).await.status, 200, "{path}");
    }
}

async fn boom() -> &'static str {
    panic!("a secret")
}
