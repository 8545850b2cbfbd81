//! Bodies that nobody sends by mistake. None of them is a 500, and none gets an allow.

use axum::body::Body;
use axum::http::Request;
use serde_json::json;
use server::config::Settings;

use crate::support::{World, question};

const EVALUATION: &str = "/access/v1/evaluation";

/// The question as text, with something put behind its opening brace.
fn beginning_with(text: &str) -> String {
    question("ann").to_string().replacen('{', &format!("{{{text}"), 1)
}

async fn refused(body: &str) -> String {
    let world = World::small().await;
    let reply = world.post_text(EVALUATION, body).await;
    assert_eq!(reply.status, 400, "{}", reply.body);
    reply.body.as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_key_that_stands_twice_is_refused_wherever_it_stands() {
    let subject = r#""subject":{"type":"user","id":"bob"},"#;
    assert!(refused(&beginning_with(subject)).await.contains(r#"the key "subject" stands twice"#));
    let inner = question("ann").to_string().replace(r#""id":"ann""#, r#""id":"bob","id":"ann""#);
    assert!(refused(&inner).await.contains(r#"the key "id" stands twice"#));
    let deep = beginning_with(r#""context":{"a":[{"b":1,"c":2,"b":3}]},"#);
    assert!(refused(&deep).await.contains(r#"the key "b" stands twice"#));
    let escaped = beginning_with(r#""\u0073ubject":{"type":"user","id":"bob"},"#);
    assert!(refused(&escaped).await.contains("stands twice"));
}

#[tokio::test]
async fn ten_thousand_levels_of_nesting_are_refused() {
    let deep = format!(r#""context":{{"x":{}{}}},"#, "[".repeat(10_000), "]".repeat(10_000));
    assert!(refused(&beginning_with(&deep)).await.contains("levels"));
    refused(&"[".repeat(500_000)).await;
    refused(&"{\"a\":".repeat(100_000)).await;
}

#[tokio::test]
async fn a_number_out_of_range_is_refused() {
    let huge = beginning_with(r#""context":{"x":1e999},"#);
    refused(&huge).await;
    refused(&beginning_with(&format!(r#""context":{{"x":{}}},"#, "9".repeat(1_000)))).await;
}

#[tokio::test]
async fn an_id_of_a_mebibyte_is_refused_and_not_repeated_to_the_caller() {
    let message = refused(&question(&"x".repeat(1_000_000)).to_string()).await;
    assert!(message.len() < 500, "{}", message.len());
    let wrong_type = json!({"subject": "x".repeat(1_000_000)}).to_string();
    assert!(refused(&wrong_type).await.len() < 500);
}

#[tokio::test]
async fn hostile_characters_in_ids_are_refused() {
    for id in ["a\u{0}", "a\r\nb", "a\u{200b}b", "a#b", "*", "\u{202e}nna", " ", "a\tb"] {
        refused(&question(id).to_string()).await;
    }
}

#[tokio::test]
async fn text_that_is_not_utf_8_is_refused() {
    let world = World::small().await;
    let mut body = question("ann").to_string().into_bytes();
    let at = body.windows(3).position(|window| window == b"ann").unwrap();
    body[at] = 0xff;
    let request = Request::post(EVALUATION).header("content-type", "application/json");
    assert_eq!(world.send(request.body(Body::from(body)).unwrap()).await.status, 400);
}

#[tokio::test]
async fn what_is_no_object_is_refused() {
    for body in ["", "null", "[]", "5", "\"text\"", "{} {}", "{'a':1}", "{\"subject\":null}"] {
        refused(body).await;
    }
}

#[tokio::test]
async fn a_body_over_the_bound_is_413_for_authzen_and_400_for_openfga() {
    let mut settings = Settings::default();
    settings.http.max_body_bytes = 2_000;
    let world = World::with(settings).await;
    let store = world.store("only").await.0;
    let body = json!({"x": "y".repeat(3_000)}).to_string();
    assert_eq!(world.post_text(EVALUATION, &body).await.status, 413);
    let reply = world.post_text(&format!("/stores/{store}/check"), &body).await;
    assert_eq!((reply.status, reply.body["code"].as_str()), (400, Some("exceeded_entity_limit")));

    // Without an announced length it is stopped while it comes in.
    let chunks = (0..10).map(|_| Ok::<_, std::io::Error>("y".repeat(1_000)));
    let body = Body::from_stream(futures_util::stream::iter(chunks));
    let request = Request::post(EVALUATION).header("content-type", "application/json");
    assert_eq!(world.send(request.body(body).unwrap()).await.status, 413);
}

#[tokio::test]
async fn hostile_bodies_get_the_openfga_shape_there() {
    let world = World::small().await;
    let store = world.store("other").await.0;
    for path in ["check", "write", "read", "authorization-models"] {
        for body in ["{", "{\"a\":1,\"a\":2}", "[]", "5"] {
            let reply = world.post_text(&format!("/stores/{store}/{path}"), body).await;
            assert_eq!(reply.status, 400, "{path} {body}");
            assert!(reply.body["code"].is_string() && reply.body["message"].is_string(), "{path} {body}");
        }
    }
}
