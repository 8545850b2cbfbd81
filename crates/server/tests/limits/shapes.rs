//! How each interface says that somebody asks too often, and what lists and batches cost.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use server::config::{Gateway, Rate, Route, Settings};

use super::{ask, once, question, rate, world};
use crate::support::{Reply, World};

/// A server whose only caller has used up what it may; with the path of its store.
async fn exhausted() -> (World, String) {
    let mut settings = Settings::default();
    settings.limits.rate = Rate { caller: once(2), list_weight: 1, ..rate() };
    let world = World::with(settings).await;
    let path = format!("/stores/{}", world.store("only").await.0);
    for document in ["a", "b"] {
        assert_eq!(ask(&world, "ann", document).await.status, 200);
    }
    (world, path)
}

/// Asserts what every refusal has, and gives its body without the time that is left.
#[track_caller]
fn refusal(reply: &Reply) -> Value {
    assert_eq!(reply.status, 429, "{}", reply.text);
    assert_eq!((reply.header("retry-after"), reply.header("cache-control")), ("1000", "no-store"));
    assert_eq!(reply.header("ratelimit"), "\"caller\";r=0;t=1000");
    let (before, after) = reply.text.split_once("try again in ").expect("the message says when");
    let rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
    serde_json::from_str(&format!("{before}try again in N{rest}")).unwrap()
}

const MESSAGE: &str = "too many questions that no cache could answer; try again in N ms";

#[tokio::test]
async fn authzen_says_it_with_a_string() {
    let (world, path) = exhausted().await;
    assert_eq!(refusal(&ask(&world, "ann", "c").await), json!(MESSAGE));
    let store = world.post(&format!("{path}/access/v1/evaluation"), &question("ann", "c")).await;
    assert_eq!(refusal(&store), json!(MESSAGE));
    let alone = world.post("/access/v1/evaluations", &question("ann", "c")).await;
    assert_eq!(refusal(&alone), json!(MESSAGE), "without items it is one evaluation");
    for (kind, leave_out) in [("subject", "subject"), ("resource", "resource"), ("action", "action")] {
        let mut search = question("ann", "c");
        match leave_out {
            "action" => drop(search.as_object_mut().unwrap().remove("action")),
            entity => drop(search[entity].as_object_mut().unwrap().remove("id")),
        }
        let found = world.post(&format!("/access/v1/search/{kind}"), &search).await;
        assert_eq!(refusal(&found), json!(MESSAGE), "{kind}");
    }
}

#[tokio::test]
async fn openfga_says_it_with_a_code() {
    let (world, path) = exhausted().await;
    let key = json!({"user": "user:ann", "relation": "can_view", "object": "document:c"});
    let objects = json!({"user": "user:ann", "relation": "can_view", "type": "document"});
    let users = json!({
        "object": {"type": "document", "id": "c"}, "relation": "can_view", "user_filters": [{"type": "user"}],
    });
    for (endpoint, body) in [
        ("check", json!({"tuple_key": key})),
        ("expand", json!({"tuple_key": key})),
        ("list-objects", objects.clone()),
        ("streamed-list-objects", objects),
        ("list-users", users),
    ] {
        let reply = world.post(&format!("{path}/{endpoint}"), &body).await;
        assert_eq!(refusal(&reply), json!({"code": "rate_limit_exceeded", "message": MESSAGE}), "{endpoint}");
    }
}

#[tokio::test]
async fn what_is_no_question_is_not_limited() {
    let (world, path) = exhausted().await;
    for endpoint in ["/authorization-models", "/changes", ""] {
        assert_eq!(world.get(&format!("{path}{endpoint}")).await.status, 200, "{endpoint}");
    }
    let tuple = json!({"user": "user:eve", "relation": "viewer", "object": "document:z"});
    let write = world.post(&format!("{path}/write"), &json!({"writes": {"tuple_keys": [tuple]}})).await;
    assert_eq!(write.status, 200, "{}", write.text);
    assert_eq!(world.post(&format!("{path}/read"), &json!({})).await.status, 200);
    assert_eq!(world.get("/readyz").await.status, 200);
    let explained = json!({"subject": "user:ann", "relation": "can_view", "object": "document:c"});
    assert_eq!(world.admin_post("/admin/v1/explain", &explained).await.status, 200, "whoever operates it may look");
}

#[tokio::test]
async fn each_item_of_a_batch_counts_and_those_that_are_known_are_free() {
    let world = world(Rate { caller: once(4), ..rate() }).await;
    assert_eq!(ask(&world, "ann", "plan").await.status, 200);
    let item = |document: &str| json!({"resource": {"type": "document", "id": document}});
    let mut request = question("ann", "plan");
    // The first is known, and the same question is loaded once for all who ask it at a time.
    request["evaluations"] = ["plan", "a", "b", "c", "d", "e"].map(item).into();
    let reply = world.post("/access/v1/evaluations", &request).await;
    assert_eq!((reply.status, reply.header("ratelimit")), (200, "\"caller\";r=0;t=1000"));
    let items = reply.body["evaluations"].as_array().unwrap();
    assert_eq!(items[0]["decision"], true);
    let refused: Vec<&Value> = items.iter().filter(|item| item["context"]["error"]["status"] == 429).collect();
    assert_eq!(refused.len(), 2, "{items:?}");
    assert!(refused.iter().all(|item| item["decision"] == false));
}

#[tokio::test]
async fn an_item_of_openfga_s_batch_says_it_with_a_code_that_its_clients_know() {
    let (world, path) = exhausted().await;
    let check = |id: &str, document: &str| {
        let key = json!({"user": "user:ann", "relation": "can_view", "object": format!("document:{document}")});
        json!({"tuple_key": key, "correlation_id": id})
    };
    let request = json!({"checks": [check("known", "a"), check("new", "c")]});
    let reply = world.post(&format!("{path}/batch-check"), &request).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.body["result"]["known"], json!({"allowed": false}));
    assert_eq!(reply.body["result"]["new"]["error"]["internal_error"], "resource_exhausted");
}

#[tokio::test]
async fn a_list_costs_its_weight_and_nothing_where_it_is_known() {
    let world = world(Rate { caller: once(5), list_weight: 3, ..rate() }).await;
    let mut search = question("ann", "plan");
    search["resource"].as_object_mut().unwrap().remove("id");
    let first = world.post("/access/v1/search/resource", &search).await;
    assert_eq!((first.status, first.header("ratelimit")), (200, "\"caller\";r=2;t=3000"));
    let second = world.post("/access/v1/search/resource", &search).await;
    assert_eq!((second.status, second.header("ratelimit")), (200, ""));
    search["subject"]["id"] = "bob".into();
    let third = world.post("/access/v1/search/resource", &search).await;
    assert_eq!((third.status, third.header("retry-after")), (429, "1000"));
    assert_eq!(ask(&world, "bob", "plan").await.status, 200, "a check costs less, and for that there is room");
}

#[tokio::test]
async fn a_gateway_stays_closed_and_its_client_is_told_when_to_come_back() {
    let route = Route {
        methods: vec!["GET".to_owned()],
        path: "/documents/{id}".to_owned(),
        action: Some("can_view".to_owned()),
        resource: Some("document:{id}".to_owned()),
        ..Route::default()
    };
    let hosts = vec!["app.example.com".to_owned()];
    let gateway = Gateway { routes: vec![route], hosts, ..Gateway::default() };
    let mut settings = Settings { gateway, ..Settings::default() };
    settings.limits.rate = Rate { subject: once(1), ..rate() };
    let world = World::with(settings).await;
    world.store("only").await;
    let through = async |path: &str, uri: &str| {
        let request = Request::builder()
            .uri(if path == "envoy" { format!("/forward-auth/envoy{uri}") } else { format!("/forward-auth/{path}") })
            .header("x-forwarded-user", "ann")
            .header("x-forwarded-method", "GET")
            .header("x-forwarded-uri", uri)
            .header("x-original-method", "GET")
            .header("x-original-uri", uri);
        world.send(request.body(Body::empty()).unwrap()).await
    };
    let first = through("nginx", "/documents/plan").await;
    assert_eq!((first.status, first.header("ratelimit")), (200, ""), "clients are not told how their gateway stands");
    for gateway in ["nginx", "traefik", "caddy", "envoy"] {
        let refused = through(gateway, "/documents/other").await;
        assert_eq!((refused.status, refused.header("retry-after")), (429, "1000"), "{gateway}");
        assert_eq!((refused.text.as_str(), refused.header("ratelimit")), ("\"too many requests\"", ""), "{gateway}");
        assert_eq!(through(gateway, "/documents/plan").await.status, 200, "{gateway}");
    }
}
