//! Lists of objects, lists of users, and how a relation is computed.

use authz::model::Model;
use authz::relation::Tuple;
use authz::store::WriteBatch;
use serde_json::{Value, json};
use server::config::Settings;

use super::{assert_fault, key, store};
use crate::support::World;

const MODEL: &str = "
model
  schema 1.1
type user
type team
  relations
    define member: [user]
type folder
  relations
    define viewer: [user]
type document
  relations
    define parent: [folder]
    define owner: [user]
    define blocked: [user]
    define viewer: [user, user:*, team#member, user with weekday] or owner or viewer from parent
    define editor: owner and viewer
    define can_view: viewer but not blocked
condition weekday(day: string) { day != \"sunday\" }
";

/// A store under the model with relationships, and its path.
async fn world(
    settings: Settings,
    tuples: impl IntoIterator<Item = (String, &'static str, String)>,
) -> (World, String) {
    let world = World::with(settings).await;
    let store = world.decisions.create_store("lists").await.unwrap().id;
    world.decisions.write_model(store, &Model::from_dsl(MODEL).unwrap()).await.unwrap();
    let tuples: Vec<_> =
        tuples.into_iter().map(|(user, relation, object)| Tuple::parse(&object, relation, &user).unwrap()).collect();
    for batch in tuples.chunks(100) {
        world.decisions.write(store, None, WriteBatch::of(batch.to_vec())).await.unwrap();
    }
    (world, format!("/stores/{}", store.0))
}

async fn small() -> (World, String) {
    let tuple = |user: &str, relation, object: &str| (user.to_owned(), relation, object.to_owned());
    let tuples = [
        tuple("user:ann", "member", "team:9"),
        tuple("team:9#member", "viewer", "document:plan"),
        tuple("user:ann", "owner", "document:budget"),
        tuple("user:*", "viewer", "document:public"),
        tuple("user:eve", "blocked", "document:public"),
        tuple("folder:f", "parent", "document:inside"),
        tuple("user:ann", "viewer", "folder:f"),
    ];
    let (world, path) = world(Settings::default(), tuples).await;
    let conditional = json!({"user": "user:bob", "relation": "viewer", "object": "document:plan",
        "condition": {"name": "weekday", "context": {}}});
    let body = json!({"writes": {"tuple_keys": [conditional]}});
    assert_eq!(world.post(&format!("{path}/write"), &body).await.status, 200);
    (world, path)
}

fn objects(user: &str) -> Value {
    json!({"user": user, "relation": "can_view", "type": "document"})
}

#[tokio::test]
async fn objects_are_listed_plain_and_streamed() {
    let (world, path) = small().await;
    for (user, context, expected) in [
        ("user:ann", json!({}), vec!["document:budget", "document:inside", "document:plan", "document:public"]),
        ("user:bob", json!({"day": "monday"}), vec!["document:plan", "document:public"]),
        ("user:bob", json!({"day": "sunday"}), vec!["document:public"]),
        ("user:eve", json!(null), vec![]),
        ("team:9#member", json!(null), vec!["document:plan"]),
    ] {
        let mut body = objects(user);
        body["context"] = context;
        let plain = world.post(&format!("{path}/list-objects"), &body).await;
        assert_eq!((plain.status, plain.body), (200, json!({"objects": expected})), "{user}");
        let streamed = world.post(&format!("{path}/streamed-list-objects"), &body).await;
        let line = |object: &&str| format!("{{\"result\":{{\"object\":\"{object}\"}}}}\n");
        assert_eq!((streamed.status, streamed.text), (200, expected.iter().map(line).collect()), "{user}");
        assert_eq!(streamed.headers["cache-control"], "no-store");
    }
}

#[tokio::test]
async fn a_revocation_reaches_a_list() {
    let (world, path) = small().await;
    for _ in 0..2 {
        let body = world.post(&format!("{path}/list-objects"), &objects("user:ann")).await.body;
        assert_eq!(body["objects"].as_array().unwrap().len(), 4);
    }
    let gone = json!({"deletes": {"tuple_keys": [key("user:ann", "member", "team:9")]}});
    world.post(&format!("{path}/write"), &gone).await;
    let body = world.post(&format!("{path}/list-objects"), &objects("user:ann")).await.body;
    assert_eq!(body["objects"], json!(["document:budget", "document:inside", "document:public"]));
}

#[tokio::test]
async fn the_plain_form_ends_at_its_bound_and_the_streamed_form_does_not() {
    let mut settings = Settings::default();
    assert_eq!(settings.limits.list_results, 1_000, "as OpenFGA has it");
    settings.limits.list_results = 10;
    let many = (0..700).map(|at| ("user:ann".to_owned(), "owner", format!("document:d{at:03}")));
    let (world, path) = world(settings, many).await;
    let plain = world.post(&format!("{path}/list-objects"), &objects("user:ann")).await.body;
    assert_eq!(plain["objects"].as_array().unwrap().len(), 10);
    let streamed = world.post(&format!("{path}/streamed-list-objects"), &objects("user:ann")).await.text;
    assert_eq!(streamed.lines().count(), 700);
    assert!(streamed.lines().all(|line| serde_json::from_str::<Value>(line).unwrap()["result"]["object"].is_string()));
}

#[tokio::test]
async fn users_are_listed_as_objects_usersets_and_wildcards() {
    let (world, path) = small().await;
    let ask = |id: &str, filter: Value, context: Value| {
        let body = json!({"object": {"type": "document", "id": id}, "relation": "viewer", "user_filters": [filter],
            "context": context, "contextual_tuples": [key("user:zoe", "member", "team:9")]});
        let (world, path) = (&world, format!("{path}/list-users"));
        async move { world.post(&path, &body).await.body["users"].clone() }
    };
    let user = |id: &str| json!({"object": {"type": "user", "id": id}});
    let monday = json!({"day": "monday"});
    let users = ask("plan", json!({"type": "user"}), monday.clone()).await;
    assert_eq!(users, json!([user("ann"), user("bob"), user("zoe")]));
    assert_eq!(ask("plan", json!({"type": "user"}), json!({"day": "sunday"})).await, json!([user("ann"), user("zoe")]));
    let team = json!({"userset": {"type": "team", "id": "9", "relation": "member"}});
    assert_eq!(ask("plan", json!({"type": "team", "relation": "member"}), monday).await, json!([team]));
    assert_eq!(ask("public", json!({"type": "user"}), json!({})).await, json!([{"wildcard": {"type": "user"}}]));
}

#[tokio::test]
async fn a_relation_is_expanded_by_one_level() {
    let (world, path) = small().await;
    let mut trees = Vec::new();
    for (relation, object) in [
        ("viewer", "document:inside"),
        ("viewer", "document:public"),
        ("editor", "document:budget"),
        ("can_view", "document:plan"),
        ("owner", "document:budget"),
    ] {
        let reply = world
            .post(&format!("{path}/expand"), &json!({"tuple_key": {"relation": relation, "object": object}}))
            .await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        trees.push(reply.body["tree"]["root"].clone());
    }
    insta::assert_json_snapshot!(trees);
    let with = json!({"tuple_key": {"relation": "owner", "object": "document:budget"},
        "contextual_tuples": {"tuple_keys": [key("user:zoe", "owner", "document:budget")]}});
    let tree = world.post(&format!("{path}/expand"), &with).await.body;
    assert_eq!(tree["tree"]["root"]["leaf"]["users"]["users"], json!(["user:ann", "user:zoe"]));
}

#[tokio::test]
async fn every_fault_of_a_list_is_400_and_says_what() {
    let (world, path) = small().await;
    let users = |filters: Value| json!({"object": {"type": "document", "id": "plan"}, "relation": "viewer", "user_filters": filters});
    let bodies = [
        ("list-objects", json!({})),
        ("list-objects", json!({"user": "user:ann", "relation": "", "type": "document"})),
        ("list-objects", json!({"user": "ann", "relation": "viewer", "type": "document"})),
        ("list-objects", json!({"user": "user:ann", "relation": "viewer", "type": "dokument"})),
        ("list-objects", json!({"user": "user:ann", "relation": "views", "type": "document"})),
        ("list-objects", json!({"user": "user:bob", "relation": "viewer", "type": "document"})),
        ("list-objects", json!({"user": "user:ann", "relation": "viewer", "type": "document", "consistency": "?"})),
        ("streamed-list-objects", json!({"user": "user:bob", "relation": "viewer", "type": "document"})),
        ("streamed-list-objects", json!({"user": "user:*#x", "relation": "viewer", "type": "document"})),
        ("list-users", json!({})),
        ("list-users", users(json!([]))),
        ("list-users", users(json!([{"type": "user"}, {"type": "team", "relation": "member"}]))),
        ("list-users", users(json!([{"type": "moon"}]))),
        ("list-users", users(json!([{"type": "team", "relation": "owner"}]))),
        ("list-users", users(json!([{"relation": "member"}]))),
        ("list-users", users(json!([{"type": "user"}]))),
        ("list-users", json!({"object": "document:plan", "relation": "viewer", "user_filters": [{"type": "user"}]})),
        ("expand", json!({})),
        ("expand", json!({"tuple_key": {"relation": "viewer", "object": "document"}})),
        ("expand", json!({"tuple_key": {"relation": "views", "object": "document:plan"}})),
    ];
    let mut said = String::new();
    for (name, body) in bodies {
        let reply = world.post(&format!("{path}/{name}"), &body).await;
        assert_eq!(reply.status, 400, "{name} {body}: {}", reply.body);
        said += &format!("{name}: {} {}\n", reply.body["code"], reply.body["message"]);
    }
    insta::assert_snapshot!(said);
}

#[tokio::test]
async fn an_unknown_store_is_404_and_an_unknown_version_400() {
    let (world, path) = store().await;
    let bodies = [
        ("list-objects", objects("user:ann")),
        ("streamed-list-objects", objects("user:ann")),
        (
            "list-users",
            json!({"object": {"type": "document", "id": "plan"}, "relation": "viewer", "user_filters": [{"type": "user"}]}),
        ),
        ("expand", json!({"tuple_key": {"relation": "viewer", "object": "document:plan"}})),
    ];
    for (name, mut body) in bodies {
        let nowhere = world.post(&format!("/stores/01ARZ3NDEKTSV4RRFFQ69G5FAV/{name}"), &body).await;
        assert_fault(&nowhere, 404, "store_id_not_found");
        body["authorization_model_id"] = json!("01ARZ3NDEKTSV4RRFFQ69G5FAV");
        assert_fault(&world.post(&format!("{path}/{name}"), &body).await, 400, "authorization_model_not_found");
    }
}
