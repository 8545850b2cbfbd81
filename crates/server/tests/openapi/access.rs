//! Who may ask for what: every operation of both documents, with keys that fit and with keys that don't.

use axum::body::Body;
use axum::http::{HeaderValue, Method, Request};
use serde_json::json;
use server::config::Settings;
use server::credentials::{KeysFile, Scope, Scopes};
use tempfile::TempDir;

use super::{Documented, documents, operations};
use crate::support::{LOCAL, Reply, World, json_request, question};

/// The groups that everybody may ask.
const OPEN: [&str; 2] = ["Health", "Documentation"];
const NO_STORE: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

/// A server that asks for keys, with a store, and a key of each kind.
struct Keyed {
    world: World,
    store: String,
    other: String,
    /// The keys for all stores, by their only scope.
    keys: Vec<(Scope, String)>,
    /// For the store alone, with all scopes.
    bound: String,
    _directory: TempDir,
}

impl Keyed {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys.toml");
        // The keys name stores that the server makes first.
        let mut settings = Settings::default();
        settings.auth.keys_file = Some(path.clone());
        let mut file = KeysFile::default();
        let keys = Scope::ALL
            .map(|scope| (scope, file.add(scope.label(), Scopes::of(&[scope]), None, None).unwrap().to_string()));
        file.write(&path).unwrap();
        let world = World::with(settings).await;
        let [store, other] = [world.store("one").await, world.store("two").await];
        let bound = file.add("bound", Scopes::of(&Scope::ALL), Some(store), None).unwrap().to_string();
        file.write(&path).unwrap();
        let reloaded = world.app.reload().unwrap();
        assert_eq!(reloaded.api_keys, Some(5));
        let [store, other] = [store, other].map(|store| store.0.to_string());
        Self { world, store, other, keys: keys.to_vec(), bound, _directory: directory }
    }

    async fn ask(&self, documented: &Documented, is_public: bool, store: &str, key: Option<&str>) -> Reply {
        let mut path = documented.path.replace("{store_id}", store).replace("{model_id}", NO_STORE);
        for (name, value) in
            [("{name}", "l1"), ("{type}", "document"), ("{id}", "plan"), ("{token}", "x"), ("{path}", "x")]
        {
            path = path.replace(name, value);
        }
        let method: Method = documented.method.parse().unwrap();
        let body = if method == Method::POST || method == Method::PUT { "{}" } else { "" };
        self.send(with_key(json_request(method, &path, body), key), is_public).await
    }

    async fn send(&self, request: Request<Body>, is_public: bool) -> Reply {
        if is_public { self.world.send(request).await } else { self.world.admin_send(request).await }
    }
}

fn with_key(mut request: Request<Body>, key: Option<&str>) -> Request<Body> {
    if let Some(key) = key {
        // Every interface knows this header, also where `Authorization` is somebody else's.
        request.headers_mut().insert("tiergate-key", HeaderValue::from_str(key).unwrap());
    }
    request
}

/// The scope that an operation needs, as its document says it.
fn scope(documented: &Documented) -> Option<String> {
    documented.operation["security"][0]["key"][0].as_str().map(str::to_owned)
}

#[tokio::test]
async fn each_operation_of_both_listeners_is_for_its_scope_and_for_no_other() {
    let keyed = Keyed::new().await;
    let mut guarded = 0;
    for (document, is_public) in documents(&keyed.world).await.iter().zip([true, false]) {
        for documented in operations(document) {
            let name = format!("{} {}", documented.method, documented.path);
            let is_gateway = documented.is_of("Gateways");
            let nobody = keyed.ask(&documented, is_public, NO_STORE, None).await;
            let Some(needed) = scope(&documented) else {
                let is_open = OPEN.iter().any(|group| documented.is_of(group)) || documented.id() == "metadata";
                assert!(is_open && !matches!(nobody.status, 401 | 403), "{name} is open: {}", nobody.status);
                continue;
            };
            guarded += 1;
            assert_eq!(nobody.status, if is_gateway { 503 } else { 401 }, "{name} without a key");
            if !is_gateway {
                assert!(nobody.header("www-authenticate").starts_with("Bearer"), "{name}");
                let wrong = keyed.ask(&documented, is_public, NO_STORE, Some("tiergate_000000000000_00")).await;
                assert_eq!(
                    (wrong.status, &wrong.text),
                    (401, &nobody.text),
                    "{name}: one answer for whatever is wrong"
                );
            }
            for (scope, key) in &keyed.keys {
                let reply = keyed.ask(&documented, is_public, NO_STORE, Some(key)).await;
                if scope.label() != needed {
                    assert_eq!(reply.status, 403, "{name} with {}: {}", scope.label(), reply.text);
                } else if !is_gateway {
                    assert!(
                        !matches!(reply.status, 401 | 403),
                        "{name} with {needed}: {} {}",
                        reply.status,
                        reply.text
                    );
                }
            }
        }
    }
    assert!(guarded > 40, "{guarded} operations ask for a key");
}

#[tokio::test]
async fn a_key_for_one_store_names_no_other_whether_that_one_exists_or_not() {
    let keyed = Keyed::new().await;
    let (mut own, mut without) = (0, 0);
    for (document, is_public) in documents(&keyed.world).await.iter().zip([true, false]) {
        for documented in operations(document).iter().filter(|documented| scope(documented).is_some()) {
            let name = format!("{} {}", documented.method, documented.path);
            if documented.path.contains("{store_id}") {
                let theirs = keyed.ask(documented, is_public, &keyed.other, Some(&keyed.bound)).await;
                let none = keyed.ask(documented, is_public, NO_STORE, Some(&keyed.bound)).await;
                assert_eq!((theirs.status, none.status), (403, 403), "{name}");
                assert_eq!(theirs.text, none.text, "{name}: nobody learns which stores there are");
                if documented.method != "DELETE" {
                    let reply = keyed.ask(documented, is_public, &keyed.store, Some(&keyed.bound)).await;
                    assert_ne!(reply.status, 403, "{name}: {}", reply.text);
                    own += 1;
                }
            } else if !documented.is_of("Gateways") {
                let reply = keyed.ask(documented, is_public, "", Some(&keyed.bound)).await;
                without += usize::from(reply.status == 403);
                let is_of_its_own = documented.path.starts_with("/access/")
                    || ["/admin/v1/explain", "/revocations/{token}"].contains(&documented.path.as_str());
                assert_eq!(reply.status == 403, !is_of_its_own, "{name}: {} {}", reply.status, reply.text);
            }
        }
    }
    assert!(own > 20 && without > 5, "{own} in its own store, {without} that are for whoever may name all stores");
}

#[tokio::test]
async fn paths_without_a_store_mean_the_store_of_the_key() {
    let keyed = Keyed::new().await;
    let ask = |key: &str| json_request_with("/access/v1/evaluation", key);
    let reply = keyed.send(ask(&keyed.bound), true).await;
    assert!(reply.decision(), "two stores, and none is the default one");
    let reply = keyed.send(ask(&keyed.keys[0].1), true).await;
    assert_eq!(reply.status, 404, "{}", reply.text);
    let explain = |store: Option<&str>| {
        let body = json!({"store": store, "subject": "user:ann", "relation": "can_view", "object": "document:plan"});
        with_key(json_request(Method::POST, "/admin/v1/explain", &body.to_string()), Some(&keyed.bound))
    };
    assert_eq!(keyed.send(explain(None), false).await.body["decision"], true);
    assert_eq!(keyed.send(explain(Some(&keyed.store)), false).await.body["decision"], true);
    assert_eq!(keyed.send(explain(Some(&keyed.other)), false).await.status, 403);
}

#[tokio::test]
async fn reasons_are_for_keys_that_explain_wherever_they_are_shown() {
    let keyed = Keyed::new().await;
    let remote = "192.0.2.1".parse().unwrap();
    for (key, is_told) in [(&keyed.bound, true), (&keyed.keys[0].1, false)] {
        for peer in [LOCAL, remote] {
            let path = format!("/stores/{}/access/v1/evaluation", keyed.store);
            let reply = keyed.world.send_from(peer, json_request_with(&path, key)).await;
            assert!(reply.decision());
            assert_eq!(reply.body["context"].get("source").is_some(), is_told);
        }
    }
}

#[tokio::test]
async fn nothing_of_a_request_without_a_key_is_looked_at() {
    let keyed = Keyed::new().await;
    let path = format!("/stores/{}/write", keyed.store);
    let mut request = json_request(Method::POST, &path, "no JSON at all");
    request.headers_mut().insert("tiergate-at-least", HeaderValue::from_static("nor a token"));
    assert_eq!(keyed.send(request, true).await.status, 401);
    let mut past_the_edge = json_request(Method::GET, "/stores", "");
    past_the_edge.headers_mut().insert("host", HeaderValue::from_static("localhost"));
    let mut router = server::router::public(std::sync::Arc::clone(&keyed.world.app));
    let response = tower::Service::call(&mut router, past_the_edge).await.unwrap();
    assert_eq!(response.status(), 401, "a way around the edge is no way in");
}

fn json_request_with(path: &str, key: &str) -> Request<Body> {
    with_key(json_request(Method::POST, path, &question("ann").to_string()), Some(key))
}
