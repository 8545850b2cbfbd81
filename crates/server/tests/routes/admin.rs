//! Administration.

mod properties;

use serde_json::{Value, json};

use crate::support::World;

const INVALIDATE: &str = "/admin/v1/invalidate";

async fn source(world: &World) -> String {
    let reply = world.ask_ann().await;
    assert!(reply.decision());
    reply.body["context"]["source"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn every_scope_that_names_a_cached_decision_sends_it_back_to_the_origin() {
    let world = World::small().await;
    let scopes = [
        json!({"scope": "user", "id": "ann"}),
        json!({"scope": "team", "id": "9"}),
        json!({"scope": "subject", "id": "user:ann"}),
        json!({"scope": "resource", "id": "document:plan"}),
        json!({"scope": "type", "name": "generation_rights"}),
        json!({"scope": "pattern", "pattern": "generation_rights:*"}),
        json!({"scope": "pattern", "pattern": "*:user:ann:*"}),
        json!({"scope": "all"}),
    ];
    for scope in scopes {
        source(&world).await;
        assert_eq!(source(&world).await, "l1");
        let reply = world.admin_post(INVALIDATE, &scope).await;
        assert_eq!(reply.status, 200, "{scope}: {}", reply.body);
        assert!(reply.body["revision"].as_u64().unwrap() > 0);
        assert_eq!((&reply.body["confirmed_by"], &reply.body["errors"]), (&json!(1), &json!([])));
        assert_eq!(source(&world).await, "origin", "{scope}");
    }
}

#[tokio::test]
async fn others_stay_cached() {
    let world = World::small().await;
    source(&world).await;
    let reply = world.admin_post(INVALIDATE, &json!({"scope": "user", "id": "bob"})).await;
    assert_eq!(reply.status, 200);
    assert_eq!(source(&world).await, "l1");
}

#[tokio::test]
async fn a_field_or_a_scope_that_is_not_known_invalidates_nothing() {
    let world = World::small().await;
    source(&world).await;
    let bodies = [
        json!({"scope": "all", "id": "ann"}),
        json!({"scope": "user", "id": "ann", "dry_run": true}),
        json!({"scope": "user"}),
        json!({"scope": "everything"}),
        json!({"scope": "pattern", "pattern": "*:u*r:ann:*"}),
        json!({"scope": "type", "name": "no_such_type"}),
        json!({"scope": "resource", "id": "no colon"}),
        json!({}),
    ];
    for body in bodies {
        let reply = world.admin_post(INVALIDATE, &body).await;
        assert_eq!((reply.status, &reply.body["code"]), (400, &json!("validation_error")), "{body}: {}", reply.body);
    }
    assert_eq!(source(&world).await, "l1");
}

#[tokio::test]
async fn a_tier_can_be_switched_off_and_on_while_the_server_runs() {
    let world = World::small().await;
    let switch = |enabled: bool| json!({"enabled": enabled});
    source(&world).await;
    let reply = world.admin_post("/admin/v1/tiers/l1", &switch(false)).await;
    assert_eq!((reply.status, &reply.body), (200, &json!({"name": "l1", "enabled": false})));
    assert_eq!(source(&world).await, "origin");
    assert_eq!(source(&world).await, "origin");
    world.admin_post("/admin/v1/tiers/l1", &switch(true)).await;
    source(&world).await;
    assert_eq!(source(&world).await, "l1");

    let unknown = world.admin_post("/admin/v1/tiers/l9", &switch(true)).await;
    assert_eq!(unknown.status, 404);
    assert_eq!(unknown.body["message"], "there is no such tier; there are: l1");
    assert_eq!(world.admin_post("/admin/v1/tiers/l1", &json!({"enabled": true, "force": 1})).await.status, 400);
}

#[tokio::test]
async fn the_memory_tier_can_be_resized_and_a_budget_that_is_too_small_changes_nothing() {
    let world = World::small().await;
    let reply = world.admin_post("/admin/v1/tiers/l1", &json!({"budget_bytes": 100_000})).await;
    assert_eq!((reply.status, &reply.body), (200, &json!({"name": "l1", "budget_bytes": 100_000})));
    let capacity = async || world.admin_get("/admin/v1/cache").await.body["tiers"][0]["capacity_bytes"].clone();
    assert_eq!(capacity().await, 100_000);
    let refused = world.admin_post("/admin/v1/tiers/l1", &json!({"budget_bytes": 1, "enabled": false})).await;
    assert_eq!(refused.status, 400);
    assert_eq!(world.admin_get("/admin/v1/cache").await.body["tiers"][0]["enabled"], true);
    assert_eq!(capacity().await, 100_000);
    assert_eq!(world.admin_post("/admin/v1/tiers/l1", &json!({})).await.status, 400);
}

#[tokio::test]
async fn an_invalidation_is_counted() {
    let world = World::small().await;
    assert_eq!(world.admin_post("/admin/v1/invalidate", &json!({"scope": "all"})).await.status, 200);
    assert_eq!(world.admin_get("/admin/v1/cache").await.body["invalidations"], 1);
}

#[tokio::test]
async fn the_counts_have_stable_names() {
    let world = World::small().await;
    source(&world).await;
    source(&world).await;
    let mut body = world.admin_get("/admin/v1/cache").await.body;
    assert_eq!(body["tiers"][0]["probes"]["hit"], 1);
    assert_eq!(body["origin"]["loads"], 1);
    blank(&mut body);
    insta::assert_json_snapshot!(body);
}

/// Keeps the names and forgets the numbers.
fn blank(value: &mut Value) {
    match value {
        Value::Number(_) => *value = json!(0),
        Value::Array(items) => items.iter_mut().for_each(blank),
        Value::Object(fields) => fields.values_mut().for_each(blank),
        _ => {}
    }
}

#[tokio::test]
async fn nothing_of_it_is_on_the_public_listener() {
    let world = World::small().await;
    assert_eq!(world.post(INVALIDATE, &json!({"scope": "all"})).await.status, 404);
    assert_eq!(world.get("/admin/v1/cache").await.status, 404);
    assert_eq!(world.post("/admin/v1/tiers/l1", &json!({"enabled": false})).await.status, 404);
    assert_eq!(world.admin_post("/access/v1/evaluation", &json!({})).await.status, 404);
    assert_eq!(world.admin_get("/stores").await.status, 404);
}

const EXPLAIN: &str = "/admin/v1/explain";

#[tokio::test]
async fn an_explanation_tells_path_tiers_and_what_the_answer_rests_on() {
    let world = World::small().await;
    let question = json!({"subject": "user:ann", "relation": "can_view", "object": "document:plan"});
    let first = world.admin_post(EXPLAIN, &question).await;
    assert_eq!(first.status, 200, "{}", first.body);
    assert_eq!((&first.body["decision"], &first.body["source"]), (&json!(true), &json!("origin")));
    assert_eq!(first.body["tiers"], json!([{"tier": "l1", "reason": "absent"}]));
    assert_eq!(first.body["path"]["text"], "yes: user:ann is can_view of document:plan");
    let again = world.admin_post(EXPLAIN, &question).await;
    assert_eq!((&again.body["source"], &again.body["tiers"][0]["reason"]), (&json!("l1"), &json!("usable")));
    let tags = |value: &Value| value.as_array().unwrap().len();
    assert!(tags(&again.body["tags"]) > 0 && tags(&again.body["tiers"][0]["held"]["tags"]) > 0);
}

#[tokio::test]
async fn an_explanation_of_nonsense_is_refused() {
    let world = World::small().await;
    let bodies = [
        json!({"subject": "user:ann", "relation": "can_view"}),
        json!({"subject": "ann", "relation": "can_view", "object": "document:plan"}),
        json!({"subject": "user:ann", "relation": "can_fly", "object": "document:plan"}),
        json!({"subject": "user:ann", "relation": "can_view", "object": "document:plan", "context": []}),
        json!({"subject": "user:ann", "relation": "can_view", "object": "document:plan", "why": true}),
        json!({"subject": "user:ann", "relation": "can_view", "object": "document:plan", "store": "mine"}),
    ];
    for body in bodies {
        let reply = world.admin_post(EXPLAIN, &body).await;
        assert_eq!(reply.status, 400, "{body}: {}", reply.body);
    }
}
