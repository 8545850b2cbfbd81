//! What a question brings for conditions: its context, and the properties of its entities.

use serde_json::{Value, json};

use super::{ask, world_of};
use crate::support::World;

const EVALUATION: &str = "/access/v1/evaluation";

const MODEL: &str = "
model
  schema 1.1
type user
type document
  relations
    define reader: [user with cleared]
    define editor: [user with explained]
    define owner: [user with owns]
    define caller: [user with reads]
    define guest: [user with in_time]
condition cleared(level: int) {
  level >= 3
}
condition explained(explain: bool, consistency: string) {
  explain && consistency == \"full\"
}
condition owns(subject: map<any>, resource: map<any>) {
  subject.id == \"ann\" && subject.properties.email == resource.properties.owner
}
condition reads(action: map<any>) {
  action.name == \"caller\" && action.properties.method == \"GET\"
}
condition in_time(current_time: timestamp) {
  current_time < timestamp(\"2000-01-01T00:00:00Z\")
}
";

async fn world() -> World {
    let relationships = [
        "document:1 reader user:ann cleared",
        "document:1 editor user:ann explained",
        "document:1 owner user:ann owns",
        "document:1 caller user:ann reads",
        "document:1 guest user:ann in_time",
    ];
    world_of(MODEL, &relationships).await.0
}

fn with_context(action: &str, context: Value) -> Value {
    let mut body = ask("user:ann", action, "document:1");
    body["context"] = context;
    body
}

#[tokio::test]
async fn the_context_gives_the_parameters_of_conditions_and_each_value_has_its_own_answer() {
    let world = world().await;
    for (level, allowed) in [(json!(3), true), (json!(2), false), (json!("3"), true), (json!(3), true)] {
        let body = with_context("reader", json!({"level": level, "not_read": [1]}));
        assert_eq!(world.post(EVALUATION, &body).await.decision(), allowed, "{level}");
    }
    let again = world.post(EVALUATION, &with_context("reader", json!({"level": 3, "not_read": [2]}))).await;
    assert_eq!(again.body["context"]["source"], "l1", "what no condition reads is no part of the question");
}

#[tokio::test]
async fn a_parameter_that_is_missing_or_wrong_is_400_with_its_name() {
    let world = world().await;
    for context in [json!({}), json!({"level": "high"}), json!({"level": null}), json!({"Level": 3})] {
        let reply = world.post(EVALUATION, &with_context("reader", context.clone())).await;
        assert_eq!(reply.status, 400, "{context}: {}", reply.body);
        assert!(reply.body.as_str().unwrap().contains("`level`"), "{}", reply.body);
    }
    let reply = world.post(EVALUATION, &ask("user:ann", "reader", "document:1")).await;
    assert_eq!(reply.status, 400);
}

#[tokio::test]
async fn in_a_batch_it_is_a_deny_with_the_error_beside_it_and_the_others_are_answered() {
    let world = world().await;
    let mut body = with_context("reader", json!({"level": 3}));
    body["evaluations"] = json!([{}, {"context": {}}, {"context": {"level": 1}}]);
    let reply = world.post("/access/v1/evaluations", &body).await;
    let answers = reply.body["evaluations"].as_array().unwrap();
    let decisions: Vec<_> = answers.iter().map(|answer| answer["decision"].as_bool().unwrap()).collect();
    assert_eq!(decisions, [true, false, false], "{}", reply.body);
    let error = &answers[1]["context"]["error"];
    assert_eq!(error["status"], 400);
    assert!(error["message"].as_str().unwrap().contains("`level`"), "{error}");
    assert_eq!(answers[2]["context"].get("error"), None);
}

#[tokio::test]
async fn a_question_whose_answer_needs_no_condition_has_one_without_context() {
    let world = world().await;
    assert!(!world.post(EVALUATION, &ask("user:bob", "reader", "document:1")).await.decision());
}

#[tokio::test]
async fn our_extensions_are_no_parameters_of_conditions() {
    let world = world().await;
    let reply = world.post(EVALUATION, &with_context("editor", json!({"explain": true, "consistency": "full"}))).await;
    assert_eq!(reply.status, 400);
    assert!(reply.body.as_str().unwrap().contains("`explain`"), "{}", reply.body);
}

#[tokio::test]
async fn properties_of_subject_and_resource_are_read_by_conditions() {
    let world = world().await;
    let mut body = ask("user:ann", "owner", "document:1");
    body["subject"]["properties"] = json!({"email": "ann@example.org"});
    for (owner, allowed) in [("ann@example.org", true), ("bob@example.org", false)] {
        body["resource"]["properties"] = json!({"owner": owner});
        assert_eq!(world.post(EVALUATION, &body).await.decision(), allowed);
    }
}

#[tokio::test]
async fn the_action_is_read_by_conditions_with_its_properties() {
    let world = world().await;
    for (method, allowed) in [("GET", true), ("PUT", false)] {
        let mut body = ask("user:ann", "caller", "document:1");
        body["action"]["properties"] = json!({"method": method});
        assert_eq!(world.post(EVALUATION, &body).await.decision(), allowed);
    }
}

#[tokio::test]
async fn a_context_takes_no_entity_s_place() {
    let world = world().await;
    let mut body = ask("user:ann", "owner", "document:1");
    body["subject"]["properties"] = json!({"email": "ann@example.org"});
    body["resource"]["properties"] = json!({"owner": "bob@example.org"});
    let forged = json!({"type": "document", "id": "1", "properties": {"owner": "ann@example.org"}});
    body["context"] = json!({"resource": forged, "subject": {"id": "ann"}, "action": {}});
    assert!(!world.post(EVALUATION, &body).await.decision());
}

#[tokio::test]
async fn the_time_is_the_server_s_unless_the_context_gives_it() {
    let world = world().await;
    assert!(!world.post(EVALUATION, &ask("user:ann", "guest", "document:1")).await.decision());
    let body = with_context("guest", json!({"current_time": "1999-12-31T23:59:59Z"}));
    assert!(world.post(EVALUATION, &body).await.decision());
}

#[tokio::test]
async fn a_search_evaluates_conditions_with_what_it_brings_and_is_400_where_it_brings_too_little() {
    let world = world().await;
    let searches = [
        ("resource", ask("user:ann", "reader", "document"), "1"),
        ("subject", ask("user", "reader", "document:1"), "ann"),
    ];
    for (kind, mut body, found) in searches {
        let path = format!("/access/v1/search/{kind}");
        assert_eq!(world.post(&path, &body).await.status, 400, "{kind}");
        for (level, results) in [(3, vec![found]), (2, vec![])] {
            body["context"] = json!({"level": level});
            assert_eq!(super::search::results(&world.post(&path, &body).await, "id"), results, "{kind} {level}");
        }
    }
}

#[tokio::test]
async fn a_search_reads_the_properties_of_what_it_finds() {
    let world = world().await;
    let mut body = ask("user", "owner", "document:1");
    body["subject"]["properties"] = json!({"email": "x"});
    for (owner, results) in [("x", vec!["ann"]), ("y", vec![])] {
        body["resource"]["properties"] = json!({"owner": owner});
        let reply = world.post("/access/v1/search/subject", &body).await;
        assert_eq!(super::search::results(&reply, "id"), results, "{owner}");
    }
}
