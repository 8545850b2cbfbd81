//! Lists end when what is in them does, and when something else begins.

use std::sync::Arc;
use std::time::Duration;

use authz::condition::Context;
use authz::decide::Consistency;
use authz::evaluate::Limits;
use authz::model::Model;
use authz::relation::{Object, Relationship, RelationshipCondition, Subject, SubjectKind, Tuple};
use cache_core::Source;
use serde_json::json;

use super::support::World;

/// `viewer` is found by the search itself, `reader` by checks.
const MODEL: &str = "model
  schema 1.1
type user
type document
  relations
    define blocked: [user with until]
    define viewer: [user, user with until, user with since]
    define reader: viewer but not blocked

condition until(current_time: timestamp, until: timestamp) {
  current_time < until
}
condition since(current_time: timestamp, since: timestamp) {
  current_time >= since
}
";

const L1: Source = Source::Tier("l1");

fn under(object: &str, relation: &str, subject: &str, condition: &str, second: u64) -> Relationship {
    let context = Context::new([(condition.into(), json!(format!("2026-01-01T00:00:{second:02}Z")))]);
    Relationship {
        tuple: Tuple::parse(object, relation, subject).unwrap(),
        condition: Some(Arc::new(RelationshipCondition { name: condition.into(), context })),
    }
}

async fn world() -> World {
    let world = World::new(Limits::default(), &Model::from_dsl(MODEL).unwrap()).await;
    world
        .write([
            under("document:a", "viewer", "user:ann", "until", 20),
            under("document:a", "viewer", "user:bob", "since", 40),
            under("document:b", "viewer", "user:ann", "since", 40),
            Tuple::parse("document:c", "viewer", "user:ann").unwrap().into(),
            Tuple::parse("document:d", "viewer", "user:ann").unwrap().into(),
            under("document:d", "blocked", "user:ann", "until", 50),
        ])
        .await;
    world
}

async fn objects(world: &World, relation: &str) -> (String, Source) {
    let ann = Subject::parse("user:ann").unwrap();
    let listed = world.objects(&ann, relation, "document", Consistency::MinimizeLatency).await.unwrap();
    (listed.items.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "), listed.source)
}

async fn users(world: &World, object: &str, relation: &str) -> (String, Source) {
    let (object, kind) = (Object::parse(object).unwrap(), SubjectKind { type_name: "user".into(), relation: None });
    let listed = world.users(&object, relation, kind, Consistency::MinimizeLatency).await.unwrap();
    (listed.items.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "), listed.source)
}

#[tokio::test]
async fn a_list_of_objects_ends_when_a_grant_ends_and_when_one_begins() {
    for (relation, before, between, after) in [("viewer", "a c d", "c d", "b c d"), ("reader", "a c", "c", "b c")] {
        let world = world().await;
        let last = Duration::from_millis(1);
        assert_eq!(objects(&world, relation).await, (before.to_owned(), Source::Origin));
        world.wait(Duration::from_secs(20) - last);
        assert_eq!(objects(&world, relation).await, (before.to_owned(), L1), "{relation}: until the last moment");
        world.wait(last);
        assert_eq!(objects(&world, relation).await, (between.to_owned(), Source::Origin), "{relation}: it has ended");
        world.wait(Duration::from_secs(20) - last);
        assert_eq!(objects(&world, relation).await, (between.to_owned(), L1), "{relation}");
        world.wait(last);
        assert_eq!(objects(&world, relation).await, (after.to_owned(), Source::Origin), "{relation}: another began");
    }
    let world = world().await;
    world.wait(Duration::from_secs(45));
    assert_eq!(objects(&world, "reader").await.0, "b c");
    world.wait(Duration::from_secs(5));
    assert_eq!(objects(&world, "reader").await, ("b c d".to_owned(), Source::Origin), "what kept one out has ended");
}

#[tokio::test]
async fn a_list_of_subjects_ends_when_a_grant_ends_and_when_one_begins() {
    for relation in ["viewer", "reader"] {
        let world = world().await;
        let last = Duration::from_millis(1);
        let ask = || users(&world, "document:a", relation);
        assert_eq!(ask().await, ("user:ann".to_owned(), Source::Origin));
        world.wait(Duration::from_secs(20) - last);
        assert_eq!(ask().await, ("user:ann".to_owned(), L1), "{relation}: until the last moment");
        world.wait(last);
        assert_eq!(ask().await, (String::new(), Source::Origin), "{relation}: it has ended");
        world.wait(Duration::from_secs(20) - last);
        assert_eq!(ask().await, (String::new(), L1), "{relation}");
        world.wait(last);
        assert_eq!(ask().await, ("user:bob".to_owned(), Source::Origin), "{relation}: another began");
    }
    let world = world().await;
    assert_eq!(users(&world, "document:d", "reader").await.0, "");
    world.wait(Duration::from_secs(50));
    assert_eq!(users(&world, "document:d", "reader").await, ("user:ann".to_owned(), Source::Origin));
}
