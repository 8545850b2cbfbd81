//! Lists under conditions: met, not met, and not to be evaluated.

use std::sync::Arc;

use authz::condition::Context;
use authz::decide::{Consistency, ListObjectsRequest, ListUsersRequest, RequestProperties};
use authz::evaluate::Limits;
use authz::model::Model;
use authz::relation::{Object, Relationship, RelationshipCondition, Subject, SubjectKind, Tuple};
use serde_json::{Value, json};

use super::support::World;

const MODEL: &str = "model
  schema 1.1
type user
type team
  relations
    define member: [user, user with small]
type document
  relations
    define shared: [team#member with small]
    define shared_with: [team]
    define viewer: [user, user with small, user with of_region] or member from shared_with or shared
    define visible: [user with own]

condition small(size: int, limit: int) {
  size < limit
}
condition of_region(resource: map<any>, region: string) {
  resource.properties.region == region
}
condition own(subject: map<any>, team: string) {
  subject.properties.team == team
}
";

fn context(values: Value) -> Context {
    match values {
        Value::Object(values) => Context::from(values),
        _ => panic!("a context is an object"),
    }
}

fn under(object: &str, relation: &str, subject: &str, condition: &str, values: Value) -> Relationship {
    Relationship {
        tuple: Tuple::parse(object, relation, subject).unwrap(),
        condition: Some(Arc::new(RelationshipCondition { name: condition.into(), context: context(values) })),
    }
}

async fn world() -> World {
    let world = World::new(Limits::default(), &Model::from_dsl(MODEL).unwrap()).await;
    world
        .write([
            under("document:a", "viewer", "user:ann", "small", json!({"limit": 10})),
            under("document:b", "viewer", "user:ann", "small", json!({"limit": 100})),
            under("team:x", "member", "user:ann", "small", json!({"limit": 100})),
            under("document:c", "shared", "team:x#member", "small", json!({"limit": 10})),
            Tuple::parse("document:d", "shared_with", "team:x").unwrap().into(),
            under("document:e", "viewer", "user:ann", "of_region", json!({"region": "north"})),
            under("document:f", "viewer", "user:ann", "of_region", json!({"region": "south"})),
            under("document:g", "visible", "user:ann", "own", json!({"team": "red"})),
            under("document:g", "visible", "user:bob", "own", json!({"team": "blue"})),
        ])
        .await;
    let properties = |id: &str, values: Value| (Object::parse(id).unwrap(), context(values));
    let stored = vec![
        properties("document:e", json!({"region": "north"})),
        properties("document:f", json!({"region": "north"})),
        properties("user:ann", json!({"team": "red"})),
        properties("user:bob", json!({"team": "red"})),
    ];
    world.properties(stored).await;
    world
}

async fn objects(world: &World, given: Value) -> Result<(Vec<String>, bool), String> {
    let request = ListObjectsRequest {
        store: world.store,
        model: None,
        subject: Subject::parse("user:ann").unwrap(),
        relation: "viewer".into(),
        object_type: "document".into(),
        contextual_tuples: Vec::new(),
        context: context(given),
        properties: RequestProperties::default(),
        consistency: Consistency::MinimizeLatency,
    };
    let listed = world.point.list_objects(&request).await.map_err(|error| error.to_string())?;
    Ok((listed.items.iter().map(ToString::to_string).collect(), listed.source == cache_core::Source::Tier("l1")))
}

async fn users(world: &World, object: &str, relation: &str, given: Value) -> Result<Vec<String>, String> {
    let request = ListUsersRequest {
        store: world.store,
        model: None,
        object: Object::parse(object).unwrap(),
        relation: relation.into(),
        filters: vec![SubjectKind { type_name: "user".into(), relation: None }],
        contextual_tuples: Vec::new(),
        context: context(given),
        properties: RequestProperties::default(),
        consistency: Consistency::MinimizeLatency,
    };
    let listed = world.point.list_users(&request).await.map_err(|error| error.to_string())?;
    Ok(listed.items.iter().map(ToString::to_string).collect())
}

#[tokio::test]
async fn a_list_holds_what_is_under_conditions_that_are_met() {
    let world = world().await;
    assert_eq!(objects(&world, json!({"size": 5})).await.unwrap().0, ["a", "b", "c", "d", "e"]);
    assert_eq!(objects(&world, json!({"size": 50})).await.unwrap().0, ["b", "d", "e"]);
    assert_eq!(objects(&world, json!({"size": 500})).await.unwrap().0, ["e"]);
    assert_eq!(users(&world, "document:c", "viewer", json!({"size": 5})).await.unwrap(), ["user:ann"]);
    assert!(users(&world, "document:c", "viewer", json!({"size": 50})).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_condition_that_cannot_be_evaluated_makes_the_list_an_error() {
    let world = world().await;
    let error = objects(&world, json!({})).await.unwrap_err();
    assert!(error.contains("small") && error.contains("size"), "{error}");
    let error = users(&world, "document:c", "viewer", json!({})).await.unwrap_err();
    assert!(error.contains("small") && error.contains("size"), "{error}");
    // What decides without it is no error: nothing of document:e rests on a size.
    assert_eq!(users(&world, "document:e", "viewer", json!({})).await.unwrap(), ["user:ann"]);
}

#[tokio::test]
async fn lists_of_other_contexts_are_other_lists_and_properties_kill_them() {
    let world = world().await;
    objects(&world, json!({"size": 5})).await.unwrap();
    assert!(objects(&world, json!({"size": 5, "unread": 1})).await.unwrap().1, "nothing reads the other value");
    assert!(!objects(&world, json!({"size": 50})).await.unwrap().1);
    let stored = vec![(Object::parse("document:f").unwrap(), context(json!({"region": "south"})))];
    world.properties(stored).await;
    assert_eq!(objects(&world, json!({"size": 500})).await.unwrap().0, ["e", "f"]);
    assert_eq!(objects(&world, json!({"size": 50})).await.unwrap().0, ["b", "d", "e", "f"]);
}

#[tokio::test]
async fn a_condition_over_the_subject_is_judged_for_each() {
    let world = world().await;
    assert_eq!(users(&world, "document:g", "visible", json!({})).await.unwrap(), ["user:ann"]);
    let stored = vec![(Object::parse("user:bob").unwrap(), context(json!({"team": "blue"})))];
    world.properties(stored).await;
    assert_eq!(users(&world, "document:g", "visible", json!({})).await.unwrap(), ["user:ann", "user:bob"]);
}
