//! The page to try the documents.

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::json;

use super::documents;
use crate::support::{Reply, World, json_request};

async fn pages(world: &World) -> [Reply; 2] {
    let ask = || json_request(Method::GET, "/docs", "");
    [world.send(ask()).await, world.admin_send(ask()).await]
}

#[tokio::test]
async fn nothing_runs_in_the_page_but_its_own_script_and_it_loads_nothing_from_elsewhere() {
    let world = World::empty().await;
    for page in pages(&world).await {
        assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
        let policy = page.header("content-security-policy");
        let nonce = policy.split("script-src 'nonce-").nth(1).and_then(|rest| rest.split('\'').next()).unwrap();
        assert_eq!(nonce.len(), 26);
        for rule in [
            "default-src 'none'",
            "connect-src 'self'",
            "frame-ancestors 'none'",
            "base-uri 'none'",
            "form-action 'none'",
        ] {
            assert!(policy.contains(rule), "{policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        let headers =
            [("x-content-type-options", "nosniff"), ("x-frame-options", "DENY"), ("cache-control", "no-store")];
        for (name, value) in headers {
            assert_eq!(page.header(name), value);
        }
        assert!(!page.text.contains("{{"), "something of the page was not filled in");
        assert_eq!(page.text.matches(&format!("nonce=\"{nonce}\"")).count(), 2, "one style and one script");
        assert_eq!((page.text.matches("<script").count(), page.text.matches("<style").count()), (1, 1));
        for foreign in ["http://", "https://", "src=", "@import", " url(", "innerHTML", "eval(", "style=", "onclick"] {
            assert!(!page.text.contains(foreign), "the page has {foreign}");
        }
    }
}

#[tokio::test]
async fn the_nonce_is_another_one_each_time() {
    let world = World::empty().await;
    let [one, other] = pages(&world).await;
    assert_ne!(one.header("content-security-policy"), other.header("content-security-policy"));
}

#[tokio::test]
async fn the_page_reads_only_paths_that_are_there() {
    let world = World::empty().await;
    let [public, _] = documents(&world).await;
    let [page, _] = pages(&world).await;
    let fetched: Vec<_> = page
        .text
        .split("fetch('")
        .chain(page.text.split("read('"))
        .chain(page.text.split("read(`"))
        .filter(|text| text.starts_with('/'))
        .map(|text| text.split(['\'', '`', '?']).next().unwrap().replace("${store.id}", "{store_id}"))
        .collect();
    assert_eq!(fetched, ["/openapi.json", "/stores", "/stores/{store_id}/authorization-models"]);
    for path in fetched {
        assert!(public["paths"][&path]["get"].is_object(), "{path} is not documented");
    }
}

/// A request as the page's script sends it from an origin.
fn sent_from(origin: &str, host: &str) -> Request<Body> {
    let request = Request::post("/access/v1/evaluation").header("content-type", "application/json");
    let request = request.header("origin", origin).header("host", host).header("sec-fetch-site", "same-origin");
    request.body(Body::from(crate::support::question("ann").to_string())).unwrap()
}

#[tokio::test]
async fn what_the_page_sends_is_answered_and_what_a_strangers_page_sends_is_not() {
    let world = World::small().await;
    for (origin, host) in [("http://127.0.0.1:8080", "127.0.0.1:8080"), ("https://pdp.example.com", "pdp.example.com")]
    {
        let reply = world.send(sent_from(origin, host)).await;
        assert_eq!((reply.status, &reply.body["decision"]), (200, &json!(true)), "{origin}");
    }
    for origin in ["https://evil.example.com", "null"] {
        assert_eq!(world.send(sent_from(origin, "127.0.0.1:8080")).await.status, 403, "{origin}");
    }
    for path in ["/docs", "/openapi.json"] {
        let request = || Request::get(path).header("host", "evil.example.com").body(Body::empty()).unwrap();
        assert_eq!(world.send(request()).await.status, 403, "{path}");
        assert_eq!(world.admin_send(request()).await.status, 403, "{path}");
    }
}
