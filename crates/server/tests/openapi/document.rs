//! That the documents are whole.

use std::collections::HashSet;

use axum::body::Body;
use axum::http::Request;
use serde_json::Value;

use super::{Documented, documents, operations, resolved};
use crate::support::{Reply, World};

const METHODS: [&str; 7] = ["GET", "PUT", "POST", "DELETE", "PATCH", "OPTIONS", "HEAD"];

#[tokio::test]
async fn a_change_of_the_documents_is_seen() {
    for (name, mut document) in ["public", "administration"].into_iter().zip(documents(&World::empty().await).await) {
        // A release changes nothing else.
        document["info"]["version"] = "[version]".into();
        insta::assert_json_snapshot!(name, document);
    }
}

#[tokio::test]
async fn each_listener_serves_every_method_that_its_document_has_and_no_other() {
    let world = World::empty().await;
    for (document, is_public) in documents(&world).await.iter().zip([true, false]) {
        let operations = operations(document);
        for Documented { path, method, .. } in &operations {
            let reply = ask(&world, is_public, method, path).await;
            assert!(is_there(&reply), "{method} {path} is documented and not there: {}", reply.text);
        }
        let documented: HashSet<_> =
            operations.iter().map(|operation| (operation.method.as_str(), operation.path.as_str())).collect();
        // A gateway's path takes every method, for which a document has no word; HEAD comes with GET.
        for path in operations.iter().filter(|operation| !operation.is_of("Gateways")).map(|operation| &operation.path)
        {
            for method in METHODS.into_iter().filter(|method| !documented.contains(&(*method, path.as_str()))) {
                if method == "HEAD" && documented.contains(&("GET", path.as_str())) {
                    continue;
                }
                let reply = ask(&world, is_public, method, path).await;
                assert_eq!(reply.status, 405, "{method} {path} is there and not documented: {}", reply.text);
            }
        }
    }
}

#[tokio::test]
async fn neither_listener_has_the_paths_of_the_other() {
    let world = World::empty().await;
    let [public, administration] = documents(&world).await;
    for operation in operations(&administration).iter().filter(|operation| operation.is_of("Administration")) {
        assert!(!is_there(&ask(&world, true, &operation.method, &operation.path).await), "{}", operation.path);
    }
    for operation in operations(&public).iter().filter(|operation| operation.is_of("AuthZEN")) {
        assert!(!is_there(&ask(&world, false, &operation.method, &operation.path).await), "{}", operation.path);
    }
}

#[tokio::test]
async fn every_reference_leads_somewhere_and_every_schema_is_referred_to() {
    for document in documents(&World::empty().await).await {
        let mut referred = HashSet::new();
        references(&document, &document, &mut referred);
        for kind in ["schemas", "responses"] {
            for name in document["components"][kind].as_object().unwrap().keys() {
                assert!(referred.contains(&format!("#/components/{kind}/{name}")), "nothing refers to {name}");
            }
        }
    }
}

#[tokio::test]
async fn every_operation_has_a_summary_an_example_of_each_body_and_says_what_can_go_wrong() {
    for document in documents(&World::empty().await).await {
        let mut ids = HashSet::new();
        for documented in operations(&document) {
            let id = documented.id();
            assert!(ids.insert(id.to_owned()), "{id} stands twice");
            assert!(documented.operation["summary"].as_str().is_some_and(|text| text.len() > 5), "{id} has no summary");
            for (_, content) in contents(&document, &documented.operation) {
                assert!(!content["example"].is_null(), "{id}: {content} has no example");
                assert!(content["schema"].is_object(), "{id}: {content} has no schema");
            }
            for parameter in documented.operation["parameters"].as_array().into_iter().flatten() {
                assert!(parameter["description"].is_string(), "{id}: {parameter} has no description");
                assert!(parameter["required"] == false || parameter["example"].is_string(), "{id}: {parameter}");
            }
            let statuses: Vec<_> = documented.responses().map(|(status, _)| status).collect();
            assert!(statuses.iter().any(|status| (200..300).contains(status)), "{id} has no answer: {statuses:?}");
            // A probe refuses nobody: whatever it is asked, it answers.
            let can_refuse = statuses.iter().any(|status| (400..500).contains(status));
            assert!(can_refuse != documented.is_of("Health"), "{id} says nothing of being refused: {statuses:?}");
            let takes_body = !documented.operation["requestBody"].is_null();
            let has_parameters = documented.path.contains("{store_id}");
            assert!(!(takes_body || has_parameters) || statuses.contains(&400), "{id}: {statuses:?}");
        }
    }
}

/// The contents of the request's body and of all answers.
fn contents<'d>(document: &'d Value, operation: &'d Value) -> Vec<(&'d String, &'d Value)> {
    let responses = operation["responses"].as_object().unwrap().values();
    let bodies = std::iter::once(&operation["requestBody"]).chain(responses);
    bodies.filter_map(|body| resolved(document, body)["content"].as_object()).flatten().collect()
}

fn references(document: &Value, value: &Value, referred: &mut HashSet<String>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| references(document, item, referred)),
        Value::Object(fields) => {
            if let Some(to) = fields.get("$ref").and_then(Value::as_str) {
                assert!(resolved(document, value).is_object());
                referred.insert(to.to_owned());
            }
            fields.values().for_each(|field| references(document, field, referred));
        }
        _ => {}
    }
}

fn is_there(reply: &Reply) -> bool {
    let nowhere =
        ["there is nothing under this path", "this path does not have this method", "there is no such gateway"];
    !nowhere.iter().any(|text| reply.text.contains(text))
}

async fn ask(world: &World, is_public: bool, method: &str, path: &str) -> Reply {
    let path = path.replace("{store_id}", "01JADEMP00000000000000STRE").replace(['{', '}'], "");
    let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
    if is_public { world.send(request).await } else { world.admin_send(request).await }
}
