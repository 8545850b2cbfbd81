//! Probes.

use std::sync::Arc;

use async_trait::async_trait;
use authz::store::memory::MemoryStore;
use serde_json::json;
use server::config::Settings;
use server::dependency::Dependency;
use server::open;

use crate::support::World;

/// A part that does not answer.
struct Away;

#[async_trait]
impl Dependency for Away {
    fn name(&self) -> &'static str {
        "redis"
    }

    async fn check(&self) -> Result<(), String> {
        Err("nobody listens at 127.0.0.1:1".to_owned())
    }
}

#[tokio::test]
async fn a_server_that_can_answer_is_ready_and_says_what_it_rests_on() {
    let world = World::empty().await;
    let reply = world.get("/readyz").await;
    assert_eq!(reply.status, 200);
    assert_eq!(
        reply.body,
        json!({"status": "ready", "checks": [{"name": "origin", "status": "ok"}, {"name": "server", "status": "ok"}]})
    );
    assert_eq!(world.get("/livez").await.body, json!({"status": "ok"}));
    assert_eq!(world.get("/healthz").await.status, 200);
    assert_eq!(world.admin_get("/readyz").await.status, 200);
}

#[tokio::test]
async fn without_its_origin_it_lives_but_is_not_ready_and_only_the_operator_learns_why() {
    let world = World::empty().await;
    world.decisions.close().await;
    assert_eq!(world.get("/livez").await.status, 200);
    let (public, admin) = (world.get("/readyz").await, world.admin_get("/readyz").await);
    assert_eq!((public.status, admin.status), (503, 503));
    assert!(public.body["checks"][0].get("message").is_none());
    assert!(admin.body["checks"][0]["message"].as_str().unwrap().contains("closing"));
}

#[tokio::test]
async fn a_server_that_is_stopping_is_not_ready() {
    let world = World::empty().await;
    world.app.stop();
    assert_eq!(world.get("/readyz").await.status, 503);
    assert_eq!(world.get("/livez").await.status, 200);
}

#[tokio::test]
async fn a_server_that_does_without_a_tier_is_degraded_and_gets_questions_all_the_same() {
    let settings = Settings::default();
    let mut opened = open::decision_point(Arc::new(MemoryStore::default()), &settings).await.unwrap();
    opened.dependencies.add(Arc::new(Away));
    let world = World::of(opened, settings);
    let (public, admin) = (world.get("/readyz").await, world.admin_get("/readyz").await);
    assert_eq!((public.status, admin.status), (200, 200));
    assert_eq!(public.body["status"], "degraded");
    assert_eq!(public.body["checks"][1], json!({"name": "redis", "status": "degraded"}));
    assert!(admin.body["checks"][1]["message"].as_str().unwrap().contains("nobody listens"));
}
