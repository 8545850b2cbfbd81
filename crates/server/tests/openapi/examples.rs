//! That the examples work in the demo store, and that what is answered is what is documented.

use authz::demo;
use authz::demo::Size;
use authz::store::{StoreId, WriteBatch};
use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};
use server::config::{Route, Settings};

use super::{Documented, documents, operations, resolved, schema};
use crate::support::{Reply, World};

/// The relationships that the examples are about stand first in the demo world.
const OF_THE_TOUR: usize = 6;

/// Operations whose examples show other values than the answers to the examples of questions have.
const OTHER_VALUES: [&str; 12] = [
    // Another model, and other changes.
    "readAuthorizationModel",
    "readAuthorizationModels",
    "readAssertions",
    "readChanges",
    // A token of this process, and how many instances there are.
    "readRevocation",
    // Counts, revisions, and the server's own URL.
    "cache",
    "pools",
    "explain",
    "invalidate",
    "writeProperties",
    "metadata",
    "storeMetadata",
];

/// Fields whose values differ from one time to the next.
const PASSING: [&str; 9] = [
    "id",
    "created_at",
    "updated_at",
    "timestamp",
    "authorization_model_id",
    "continuation_token",
    "next_token",
    "source",
    "token",
];

struct Demo {
    world: World,
    store: StoreId,
    model: String,
}

#[tokio::test]
async fn every_example_works_in_the_demo_store_and_is_answered_as_documented() {
    let demo = Demo::new().await;
    let mut asked = 0;
    for (document, is_public) in documents(&demo.world).await.iter().zip([true, false]) {
        for documented in operations(document) {
            let (id, demo) = (documented.id(), Demo::new().await);
            let reply = demo.ask(&documented, is_public).await;
            let (status, response) = documented
                .responses()
                .find(|(status, _)| *status == reply.status)
                .unwrap_or_else(|| panic!("{id} answers {}, which is not documented: {}", reply.status, reply.text));
            assert!(status < 300 || documented.is_of("Gateways"), "{id}: {status} {}", reply.text);
            let (content_type, content) = match resolved(document, response)["content"].as_object() {
                Some(contents) => contents.iter().next().unwrap(),
                None => {
                    assert_eq!(reply.text, "", "{id} answers with a body that is not documented");
                    continue;
                }
            };
            assert!(reply.header("content-type").starts_with(content_type.as_str()), "{id}");
            let body = body(&reply);
            assert_eq!(schema::faults(document, &content["schema"], &body), [""; 0], "{id}");
            if !OTHER_VALUES.contains(&id) && !documented.is_of("Documentation") {
                assert_eq!(lasting(&body), lasting(&content["example"]), "{id}");
            }
            asked += 1;
        }
    }
    assert!(asked > 40, "only {asked} operations were asked");
}

#[tokio::test]
async fn every_example_is_as_its_schema_says() {
    for document in documents(&World::empty().await).await {
        for documented in operations(&document) {
            let responses = documented.responses().map(|(_, response)| response);
            for body in std::iter::once(&documented.operation["requestBody"]).chain(responses) {
                for content in
                    resolved(&document, body)["content"].as_object().into_iter().flat_map(|found| found.values())
                {
                    let faults = schema::faults(&document, &content["schema"], &content["example"]);
                    assert_eq!(faults, [""; 0], "{}", documented.id());
                }
            }
        }
    }
}

#[tokio::test]
async fn a_body_that_is_not_as_its_schema_says_is_refused_with_the_documented_error() {
    let demo = Demo::new().await;
    for (document, is_public) in documents(&demo.world).await.iter().zip([true, false]) {
        for mut documented in operations(document) {
            let Some(content) = documented.operation.pointer_mut("/requestBody/content/application~1json") else {
                continue;
            };
            content["example"] = json!([]);
            let reply = demo.ask(&documented, is_public).await;
            assert_eq!(reply.status, 400, "{}: {}", documented.id(), reply.text);
            let (_, response) = documented.responses().find(|(status, _)| *status == 400).unwrap();
            let schema = &resolved(document, response)["content"]["application/json"]["schema"];
            assert_eq!(schema::faults(document, schema, &reply.body), [""; 0], "{}", documented.id());
        }
    }
}

impl Demo {
    async fn new() -> Self {
        let mut settings = Settings::default();
        let everybody =
            Route { methods: vec!["GET".into()], path: "/documents/{id}".into(), public: true, ..Route::default() };
        settings.gateway.routes = vec![everybody];
        let world = World::with(settings).await;
        let store = world.decisions.create_store(demo::STORE_NAME).await.unwrap().id;
        let model = world.decisions.write_model(store, &demo::model()).await.unwrap().0.to_string();
        let tuples = demo::World::new(Size::SMALL).tuples().take(OF_THE_TOUR).collect::<Vec<_>>();
        world.decisions.write(store, None, WriteBatch::of(tuples)).await.unwrap();
        let demo = Self { world, store, model };
        let [_, administration] = documents(&demo.world).await;
        let operations = operations(&administration);
        let properties = operations.iter().find(|documented| documented.id() == "writeProperties").unwrap();
        assert_eq!(demo.ask(properties, false).await.status, 200);
        demo
    }

    /// Of a change.
    async fn token(&self) -> String {
        let key = serde_json::json!({"user": "user:token", "relation": "member", "object": "team:elsewhere"});
        let write = serde_json::json!({"writes": {"tuple_keys": [key], "on_duplicate": "ignore"}});
        let written = self.world.post(&format!("/stores/{}/write", self.store.0), &write).await;
        assert_eq!(written.status, 200, "{}", written.text);
        written.header("tiergate-token").to_owned()
    }

    /// Sends an operation with its examples.
    async fn ask(&self, documented: &Documented, is_public: bool) -> Reply {
        let Documented { path, method, operation } = documented;
        let mut target = path.clone();
        let mut request = Request::builder().method(method.as_str());
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let name = parameter["name"].as_str().unwrap();
            let example = match name {
                "store_id" => self.store.0.to_string(),
                "model_id" => self.model.clone(),
                "token" | "Tiergate-At-Least" => self.token().await,
                _ => parameter["example"].as_str().unwrap_or_default().to_owned(),
            };
            match parameter["in"].as_str().unwrap() {
                "path" => target = target.replace(&format!("{{{name}}}"), &example),
                "header" => request = request.header(name, example),
                _ => {}
            }
        }
        let body = match &operation["requestBody"] {
            Value::Null => Body::empty(),
            body => {
                request = request.header("content-type", "application/json");
                Body::from(body["content"]["application/json"]["example"].to_string())
            }
        };
        let request = request.uri(target).body(body).unwrap();
        if is_public { self.world.send(request).await } else { self.world.admin_send(request).await }
    }
}

/// The body as a value: JSON, the first line of JSON lines, or a text.
fn body(reply: &Reply) -> Value {
    let line = || reply.text.lines().next().and_then(|line| serde_json::from_str(line).ok());
    match &reply.body {
        Value::Null => line().unwrap_or_else(|| Value::from(reply.text.as_str())),
        body => body.clone(),
    }
}

/// Without what is different each time. An id that the caller gave stays.
fn lasting(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(lasting).collect(),
        Value::Object(fields) => {
            let ours = |name: &str, value: &Value| {
                PASSING.contains(&name) && (name != "id" || value.as_str().is_some_and(|id| id.len() == 26))
            };
            fields
                .iter()
                .filter(|(name, value)| !ours(name, value))
                .map(|(name, value)| (name.clone(), lasting(value)))
                .collect()
        }
        other => other.clone(),
    }
}
