//! `/forward-auth`, with requests as each gateway sends them.

use authz::store::StoreId;
use axum::body::Body;
use axum::http::{Method, Request};
use server::config::{Gateway, Route, Settings};

use crate::support::{Reply, World};

fn route(methods: &[&str], path: &str, action: &str, resource: &str) -> Route {
    let methods = methods.iter().map(ToString::to_string).collect();
    let (action, resource) = (Some(action.to_owned()), Some(resource.to_owned()));
    Route { methods, path: path.to_owned(), action, resource, ..Route::default() }
}

fn settings() -> Settings {
    let routes = vec![
        route(&["GET"], "/documents/{id}", "can_view", "document:{id}"),
        route(&["DELETE"], "/documents/{id}", "owner", "document:{id}"),
        route(&["GET"], "/reports/{id}", "can_read", "report:{id}"),
        route(&["GET"], "/drafts/{id}", "can_publish", "document:{id}"),
        Route { methods: vec!["GET".to_owned()], path: "/".to_owned(), public: true, ..Route::default() },
    ];
    let hosts = vec!["app.example.com".to_owned()];
    let gateway = Gateway { routes, hosts, challenge: Some("Basic realm=\"app\"".to_owned()), ..Gateway::default() };
    Settings { gateway, ..Settings::default() }
}

/// A world in which ann may view document:plan.
async fn world() -> World {
    let world = World::with(settings()).await;
    world.store("only").await;
    world
}

async fn ask(world: &World, method: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
    let request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(path);
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    world.send(request.body(Body::empty()).unwrap()).await
}

const ANN: (&str, &str) = ("x-forwarded-user", "ann");
const BOB: (&str, &str) = ("x-forwarded-user", "bob");

/// As Traefik sends it: a GET to the address of the middleware, with the client's own headers and these over them.
async fn traefik(world: &World, who: (&str, &str), method: &str, uri: &str) -> Reply {
    let headers = [
        ("host", "127.0.0.1:8080"),
        who,
        ("x-forwarded-method", method),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "app.example.com"),
        ("x-forwarded-uri", uri),
        ("x-forwarded-for", "192.0.2.7"),
        ("accept-encoding", "gzip"),
    ];
    ask(world, "GET", "/forward-auth/traefik", &headers).await
}

/// As Caddy sends it: a GET with the application's name as host, unless it is told otherwise.
async fn caddy(world: &World, who: (&str, &str), method: &str, uri: &str) -> Reply {
    let headers = [
        ("host", "app.example.com"),
        who,
        ("x-forwarded-method", method),
        ("x-forwarded-uri", uri),
        ("x-forwarded-proto", "https"),
        ("origin", "https://app.example.com"),
    ];
    ask(world, "GET", "/forward-auth/caddy", &headers).await
}

/// As Envoy sends it: method and path as they were, behind the prefix, with the application's name as host.
async fn envoy(world: &World, who: (&str, &str), method: &str, path: &str) -> Reply {
    let headers = [("host", "app.example.com"), who, ("content-length", "0"), ("x-envoy-internal", "true")];
    ask(world, method, &format!("/forward-auth/envoy{path}"), &headers).await
}

/// As nginx sends it under the configuration of the documentation.
async fn nginx(world: &World, who: (&str, &str), method: &str, uri: &str) -> Reply {
    let headers = [("host", "127.0.0.1:8080"), who, ("x-original-method", method), ("x-original-uri", uri)];
    ask(world, "GET", "/forward-auth/nginx", &headers).await
}

#[tokio::test]
async fn each_gateway_is_understood_in_its_own_form() {
    let world = world().await;
    let cases = [
        (ANN, "GET", "/documents/plan?page=2", 200),
        (BOB, "GET", "/documents/plan", 403),
        (ANN, "GET", "/documents/other", 403),
        (ANN, "DELETE", "/documents/plan", 403),
        (ANN, "POST", "/documents/plan", 403),
        (ANN, "BREW", "/documents/plan", 403),
        (ANN, "GET", "/documents/x/../plan", 403),
        (ANN, "GET", "/documents%2fplan", 403),
        (ANN, "GET", "/nowhere", 403),
        (("x-other", "ann"), "GET", "/documents/plan", 401),
        (("x-forwarded-user", ""), "GET", "/documents/plan", 403),
        (("x-other", ""), "GET", "/", 200),
    ];
    for (who, method, uri, status) in cases {
        for (name, reply) in [
            ("traefik", traefik(&world, who, method, uri).await),
            ("caddy", caddy(&world, who, method, uri).await),
            ("envoy", envoy(&world, who, method, uri).await),
            ("nginx", nginx(&world, who, method, uri).await),
        ] {
            assert_eq!(reply.status, status, "{name}: {who:?} {method} {uri}");
            assert_eq!(reply.header("cache-control"), "no-store");
            assert!(!reply.header("x-request-id").is_empty());
            assert_eq!(reply.header("www-authenticate").is_empty(), status != 401);
            assert!(reply.body.is_null(), "no gateway's client learns a reason: {}", reply.body);
        }
    }
}

#[tokio::test]
async fn a_decision_has_a_name_and_what_was_not_decided_has_none() {
    let world = world().await;
    let id = |reply: &Reply| reply.header("x-tiergate-decision-id").len();
    assert_eq!(id(&nginx(&world, ANN, "GET", "/documents/plan").await), 26);
    assert_eq!(id(&nginx(&world, BOB, "GET", "/documents/plan").await), 26);
    assert_eq!(id(&nginx(&world, BOB, "GET", "/").await), 0);
    assert_eq!(id(&nginx(&world, BOB, "GET", "/nowhere").await), 0);
}

#[tokio::test]
async fn who_is_let_in_learns_which_state_that_rests_on_and_who_is_not_learns_nothing() {
    let world = world().await;
    let allowed = nginx(&world, ANN, "GET", "/documents/plan").await;
    assert_eq!((allowed.status, allowed.header("tiergate-token").is_empty()), (200, false));
    for who in [ANN, BOB] {
        let denied = nginx(&world, who, "GET", "/nowhere").await;
        assert_eq!((denied.status, denied.header("tiergate-token")), (403, ""));
    }
    let denied = nginx(&world, BOB, "GET", "/documents/plan").await;
    assert_eq!((denied.status, denied.header("tiergate-token")), (403, ""));
}

#[tokio::test]
async fn the_headers_of_another_gateway_change_nothing() {
    let world = world().await;
    let (nginx, forwarded) = (
        [("x-original-method", "GET"), ("x-original-uri", "/documents/plan")],
        [("x-forwarded-method", "GET"), ("x-forwarded-uri", "/documents/plan")],
    );
    let status = async |path: &str, headers: &[(&str, &str)]| {
        let headers = [&[ANN][..], headers].concat();
        ask(&world, "GET", path, &headers).await.status
    };
    assert_eq!(status("/forward-auth/nginx", &nginx).await, 200);
    assert_eq!(status("/forward-auth/nginx", &forwarded).await, 403);
    for path in ["/forward-auth", "/forward-auth/traefik", "/forward-auth/caddy"] {
        assert_eq!(status(path, &forwarded).await, 200, "{path}");
        assert_eq!(status(path, &nginx).await, 403, "{path}");
    }
    let both = [nginx, forwarded].concat();
    assert_eq!(status("/forward-auth/envoy/nowhere", &both).await, 403);
    assert_eq!(status("/forward-auth/envoy/", &both).await, 200, "the public page, and not what the headers say");
}

#[tokio::test]
async fn a_header_of_the_gateway_that_is_there_twice_is_refused() {
    let world = world().await;
    let good = [ANN, ("x-original-method", "GET"), ("x-original-uri", "/documents/plan")];
    for (name, value) in good {
        for second in [value, "", "/"] {
            let headers = [&good[..], &[(name, second)]].concat();
            assert_eq!(ask(&world, "GET", "/forward-auth/nginx", &headers).await.status, 403, "{name}: {second}");
        }
        let without: Vec<_> = good.into_iter().filter(|(known, _)| *known != name).collect();
        let expected = if name == ANN.0 { 401 } else { 403 };
        assert_eq!(ask(&world, "GET", "/forward-auth/nginx", &without).await.status, expected, "{name}");
    }
}

#[tokio::test]
async fn envoys_own_methods_reach_the_handler_and_only_paths_behind_a_slash_are_paths() {
    let world = world().await;
    for method in ["OPTIONS", "HEAD", "PUT", "PATCH", "TRACE", "CONNECT"] {
        let reply = envoy(&world, ANN, method, "/documents/plan").await;
        assert_eq!(reply.status, 403, "{method}");
    }
    for path in ["", "*", "x/documents/plan"] {
        assert_eq!(envoy(&world, ANN, "GET", path).await.status, 404, "{path:?}");
    }
    for path in ["//documents/plan", "/forward-auth/envoy/documents/plan", "/%2e%2e/nginx"] {
        assert_eq!(envoy(&world, ANN, "GET", path).await.status, 403, "{path:?}");
    }
}

#[tokio::test]
async fn what_is_revoked_is_denied_by_the_next_answer() {
    let world = world().await;
    assert_eq!(traefik(&world, ANN, "GET", "/documents/plan").await.status, 200);
    assert_eq!(traefik(&world, ANN, "GET", "/documents/plan").await.status, 200, "from the cache");
    let store =
        world.get("/stores").await.body["stores"][0]["id"].as_str().map(|id| StoreId(id.parse().unwrap())).unwrap();
    let member = authz::relation::Tuple::parse("team:9", "member", "user:ann").unwrap();
    let deletes = vec![member];
    let batch = authz::store::WriteBatch { deletes, ..authz::store::WriteBatch::default() };
    world.decisions.write(store, None, batch).await.unwrap();
    assert_eq!(traefik(&world, ANN, "GET", "/documents/plan").await.status, 403);
}

#[tokio::test]
async fn a_route_that_asks_for_what_the_model_does_not_have_is_denied() {
    let world = world().await;
    assert_eq!(nginx(&world, ANN, "GET", "/reports/1").await.status, 403);
    assert_eq!(nginx(&world, ANN, "GET", "/drafts/plan").await.status, 403);
}

#[tokio::test]
async fn no_answer_is_unavailable_and_never_an_allow() {
    let world = World::with(settings()).await;
    let reply = nginx(&world, ANN, "GET", "/documents/plan").await;
    assert_eq!((reply.status, reply.header("retry-after")), (503, "1"), "there is no store to ask");
    assert_eq!(reply.body, "unavailable");
    world.decisions.close().await;
    assert_eq!(nginx(&world, ANN, "GET", "/documents/plan").await.status, 503);
}

#[tokio::test]
async fn an_empty_map_lets_nobody_through() {
    let world = World::small().await;
    for path in ["/", "/documents/plan"] {
        assert_eq!(nginx(&world, ANN, "GET", path).await.status, 403);
    }
}

#[tokio::test]
async fn a_route_may_ask_in_a_store_of_its_own() {
    let mut settings = settings();
    settings.gateway.routes[0].store = Some("01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned());
    let world = World::with(settings).await;
    world.store("only").await;
    assert_eq!(nginx(&world, ANN, "GET", "/documents/plan").await.status, 503, "that store does not exist");
}

#[tokio::test]
async fn only_gateways_may_come_under_an_applications_name_and_only_one_that_is_known() {
    let world = world().await;
    let named = async |path: &str, host: &str| {
        let headers = [("host", host), ANN, ("x-forwarded-method", "GET"), ("x-forwarded-uri", "/documents/plan")];
        ask(&world, "GET", path, &headers).await.status
    };
    assert_eq!(named("/forward-auth", "app.example.com").await, 200);
    assert_eq!(named("/forward-auth", "APP.example.com:443").await, 200);
    assert_eq!(named("/forward-auth", "evil.example.com").await, 403);
    assert_eq!(named("/forward-auth", "app.example.com.evil.com").await, 403);
    assert_eq!(named("/stores", "app.example.com").await, 403, "an application's name opens nothing else");
    assert_eq!(named("/forward-auth/other", "localhost").await, 404);
}
