//! What holds for every endpoint of the API alike.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use crate::support::{World, question};

/// Each with a request that it answers.
fn endpoints() -> Vec<(String, Value)> {
    let names = ["evaluation", "evaluations", "search/subject", "search/resource", "search/action"];
    names.iter().map(|name| (format!("/access/v1/{name}"), question("ann"))).collect()
}

fn request(path: &str, content_type: &str, body: String) -> Request<Body> {
    let request = Request::post(path).header("content-type", content_type).header("x-request-id", "bfe9eb29");
    request.body(Body::from(body)).unwrap()
}

#[tokio::test]
async fn an_answer_is_json_and_stored_by_nobody() {
    let world = World::small().await;
    for (path, body) in endpoints() {
        let reply = world.post(&path, &body).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        assert!(reply.body.is_object());
        assert_eq!((reply.header("content-type"), reply.header("cache-control")), ("application/json", "no-store"));
    }
}

#[tokio::test]
async fn another_content_type_or_a_body_that_is_no_object_is_400_with_a_json_string() {
    let world = World::small().await;
    for (path, body) in endpoints() {
        for content_type in ["text/plain", "application/x-www-form-urlencoded", "application/xml", ""] {
            let reply = world.send(request(&path, content_type, body.to_string())).await;
            assert_eq!((reply.status, reply.body.is_string()), (400, true), "{path} {content_type}");
        }
        for text in ["", "{", "[]", "null", "\"x\"", "{\"subject\": []}", "{\"subject\": {\"type\": 1}}"] {
            let reply = world.send(request(&path, "application/json", text.to_owned())).await;
            assert_eq!((reply.status, reply.body.is_string()), (400, true), "{path} {text}");
        }
    }
}

#[tokio::test]
async fn the_request_id_comes_back_with_answers_and_with_errors() {
    let world = World::small().await;
    for (path, body) in endpoints() {
        for text in [body.to_string(), "{".to_owned(), "{}".to_owned()] {
            let reply = world.send(request(&path, "application/json", text)).await;
            assert_eq!(reply.header("x-request-id"), "bfe9eb29", "{path}");
        }
    }
}

#[tokio::test]
async fn a_field_that_is_not_known_is_ignored_wherever_it_stands() {
    let world = World::small().await;
    for (path, mut body) in endpoints() {
        let before = world.post(&path, &body).await.body;
        body["new"] = json!([1, {"deep": null}]);
        for part in ["subject", "action", "resource"] {
            body[part]["new"] = json!({"any": [1.5, {"thing": true}]});
        }
        body["context"] = json!({"explain": {"not": "known"}, "time": "2026-01-01T00:00:00Z"});
        body["page"] = json!({"new": 1});
        body["options"] = json!({"new": 1});
        let after = world.post(&path, &body).await;
        assert_eq!(after.status, 200, "{path}: {}", after.body);
        for field in ["decision", "results"] {
            assert_eq!(after.body.get(field), before.get(field), "{path}");
        }
    }
}

#[tokio::test]
async fn another_method_is_405_and_a_path_that_does_not_exist_404() {
    let world = World::small().await;
    for (path, body) in endpoints() {
        assert_eq!(world.get(&path).await.status, 405, "{path}");
        assert_eq!(world.post(&format!("{path}/more"), &body).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn an_origin_that_is_away_is_503_and_nobody_is_allowed() {
    let world = World::small().await;
    world.decisions.close().await;
    for (path, body) in endpoints() {
        let reply = world.post(&path, &body).await;
        assert_eq!((reply.status, reply.header("retry-after"), reply.body.is_string()), (503, "1", true), "{path}");
    }
}

#[tokio::test]
async fn an_answer_has_the_fields_of_the_published_schema_and_types_as_there() {
    let world = World::small().await;
    for user in ["ann", "bob"] {
        let answer = world.post("/access/v1/evaluation", &question(user)).await.body;
        assert!(answer["decision"].is_boolean() && answer["context"].is_object(), "{answer}");
        assert_eq!(answer.as_object().unwrap().len(), 2, "{answer}");
    }
    let mut batch = question("ann");
    batch["evaluations"] = json!([{}, {"subject": null}, {"subject": {}}]);
    let answers = world.post("/access/v1/evaluations", &batch).await.body;
    for answer in answers["evaluations"].as_array().unwrap() {
        assert!(answer["decision"].is_boolean() && answer["context"].is_object(), "{answer}");
    }
    let found = world.post("/access/v1/search/action", &question("ann")).await.body;
    assert!(found["results"].is_array() && found["page"]["next_token"].is_string(), "{found}");
}

#[tokio::test]
async fn more_context_or_more_nesting_than_may_be_is_no_allow() {
    let world = World::small().await;
    let nested = format!("{}1{}", "[".repeat(70), "]".repeat(70));
    for (path, body) in endpoints() {
        let text = body.to_string().replacen('{', &format!("{{\"context\": {{\"deep\": {nested}}}, "), 1);
        let reply = world.post_text(&path, &text).await;
        assert_eq!((reply.status, reply.body.is_string()), (400, true), "{path}: {}", reply.body);
        let mut large = body;
        large["context"] = json!({"large": "x".repeat(65 << 10)});
        let reply = world.post(&path, &large).await;
        assert_eq!((reply.status, reply.body.is_string()), (400, true), "{path}: {}", reply.body);
        assert!(reply.body.as_str().unwrap().contains("at most 65536"), "{}", reply.body);
    }
}

#[tokio::test]
async fn a_list_of_values_is_no_object_whose_fields_it_could_be() {
    let world = World::small().await;
    for (path, body) in endpoints() {
        for (part, values) in [
            ("subject", json!(["user", "ann", null])),
            ("resource", json!(["document", "plan", null])),
            ("context", json!([])),
        ] {
            let mut body = body.clone();
            body[part] = values;
            assert_eq!(world.post(&path, &body).await.status, 400, "{path} {part}");
        }
    }
    let mut batch = question("ann");
    batch["evaluations"] = json!([[null, null, null, null]]);
    assert_eq!(world.post("/access/v1/evaluations", &batch).await.status, 400);
}
