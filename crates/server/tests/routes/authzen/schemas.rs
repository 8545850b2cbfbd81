//! The published JSON schemas: what they ask for we ask for, and what they promise we answer.

use serde_json::{Value, json};

use super::published;
use crate::support::{World, question};

const PATH: &str = "/access/v1/evaluation";

/// The first place at which a value does not fit a schema. Of schemas it knows what these ones use: `type`, `required`, `properties`.
fn misfit(value: &Value, schema: &Value, place: &str) -> Option<String> {
    let fits = match schema["type"].as_str().unwrap() {
        "object" => value.is_object(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        other => panic!("a type that this test does not know: {other}"),
    };
    if !fits {
        return Some(format!("{place} is {value}"));
    }
    let missing = required(schema).find(|name| value.get(name).is_none());
    if let Some(name) = missing {
        return Some(format!("{place}.{name} is missing"));
    }
    let fields = schema["properties"].as_object().into_iter().flatten();
    fields
        .filter_map(|(name, schema)| Some((name, schema, value.get(name)?)))
        .find_map(|(name, schema, value)| misfit(value, schema, &format!("{place}.{name}")))
}

fn required(schema: &Value) -> impl Iterator<Item = &str> {
    schema["required"].as_array().into_iter().flatten().map(|name| name.as_str().unwrap())
}

#[tokio::test]
async fn every_answer_fits_its_schema_alone_and_in_a_batch() {
    let Some(schema) = published("schemas/evaluation-response.schema.json") else { return };
    assert!(misfit(&json!({"decision": "true"}), &schema, "answer").is_some());
    assert!(misfit(&json!({"context": {}}), &schema, "answer").is_some());
    let world = World::small().await;
    let mut unknown = question("ann");
    unknown["action"]["name"] = json!("fly");
    for body in [question("ann"), question("bob"), unknown] {
        assert_eq!(misfit(&world.post(PATH, &body).await.body, &schema, "answer"), None);
    }
    let mut batch = question("ann");
    batch["evaluations"] = json!([{}, {"subject": {}}, {"resource": {"type": "moon", "id": "1"}}]);
    let answers = world.post("/access/v1/evaluations", &batch).await.body;
    for answer in answers["evaluations"].as_array().unwrap() {
        assert_eq!(misfit(answer, &schema, "answer"), None);
    }
}

#[tokio::test]
async fn a_request_needs_what_its_schema_needs_and_nothing_else() {
    let Some(schema) = published("schemas/evaluation-request.schema.json") else { return };
    let world = World::small().await;
    assert_eq!(misfit(&question("ann"), &schema, "request"), None);
    assert_eq!(world.post(PATH, &question("ann")).await.status, 200);
    for part in required(&schema) {
        let mut body = question("ann");
        body.as_object_mut().unwrap().remove(part);
        assert_eq!(world.post(PATH, &body).await.status, 400, "{part}");
        for field in required(&schema["properties"][part]) {
            let mut body = question("ann");
            body[part].as_object_mut().unwrap().remove(field);
            assert_eq!(world.post(PATH, &body).await.status, 400, "{part}.{field}");
            body[part][field] = json!(["of another type"]);
            assert_eq!(world.post(PATH, &body).await.status, 400, "{part}.{field}");
        }
        let mut body = question("ann");
        body[part]["properties"] = json!(["of another type"]);
        assert_eq!(world.post(PATH, &body).await.status, 400, "{part}.properties");
    }
    for example in schema["examples"].as_array().unwrap() {
        let reply = world.post(PATH, example).await;
        assert!(!reply.decision(), "nothing is known of the example's types");
    }
}
