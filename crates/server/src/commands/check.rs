//! `tiergate check`

use std::process::ExitCode;

use authz::relation::Object;
use serde_json::{Map, Value, json};

use super::{NO, YES, explanation, fail, say, small_runtime};
use crate::cli::CheckArgs;
use crate::client::{self, Reply, Server};

pub(super) fn run(args: &CheckArgs) -> ExitCode {
    let asked = if args.explain { explanation_request(args) } else { evaluation_request(args) };
    let Asked { server, path, body } = match asked {
        Ok(asked) => asked,
        Err(error) => return fail(error),
    };
    let runtime = match small_runtime() {
        Ok(runtime) => runtime,
        Err(error) => return fail(error),
    };
    match runtime.block_on(client::send(&server, &path, Some(body))) {
        Ok(reply) if args.explain => explanation::show(&reply),
        Ok(reply) => show(&reply),
        Err(error) => fail(error),
    }
}

/// What is sent where.
struct Asked {
    server: Server,
    path: String,
    body: Value,
}

fn evaluation_request(args: &CheckArgs) -> Result<Asked, String> {
    let properties = properties(args)?;
    let of = |name: &str| properties.get(name).cloned().unwrap_or_else(|| json!({}));
    let entity = |text: &str, name: &str| {
        let object = Object::parse(text).map_err(|error| error.to_string())?;
        Ok::<_, String>(json!({"type": &*object.type_name, "id": &*object.id, "properties": of(name)}))
    };
    let path = match &args.store {
        Some(store) => format!("/stores/{store}/access/v1/evaluation"),
        None => "/access/v1/evaluation".to_owned(),
    };
    let body = json!({
        "subject": entity(&args.subject, "subject")?,
        "action": {"name": args.relation, "properties": of("action")},
        "resource": entity(&args.object, "resource")?,
        "context": context(args)?,
    });
    Ok(Asked { server: args.url.server()?, path, body })
}

fn explanation_request(args: &CheckArgs) -> Result<Asked, String> {
    let body = json!({
        "store": args.store,
        "subject": args.subject,
        "relation": args.relation,
        "object": args.object,
        "context": context(args)?,
        "properties": properties(args)?,
    });
    Ok(Asked { server: args.url.key.server(&args.admin_url)?, path: "/admin/v1/explain".to_owned(), body })
}

fn context(args: &CheckArgs) -> Result<Map<String, Value>, String> {
    let Some(text) = &args.context else { return Ok(Map::new()) };
    serde_json::from_str(text)
        .map_err(|error| format!("--context is no JSON object: {error}; write it as '{{\"ip\":\"10.0.0.1\"}}'"))
}

fn properties(args: &CheckArgs) -> Result<Map<String, Value>, String> {
    let Some(text) = &args.properties else { return Ok(Map::new()) };
    serde_json::from_str(text).map_err(|error| {
        format!("--properties is no JSON object: {error}; write it as '{{\"subject\":{{\"level\":2}}}}'")
    })
}

fn show(Reply { status, body }: &Reply) -> ExitCode {
    let Some(decision) = body.get("decision").and_then(Value::as_bool) else {
        return fail(format!("the server answered {status}: {}", body.as_str().unwrap_or_default()));
    };
    // A deny whose reason is that the question makes no sense is no decision to rely on: a script must be able to tell.
    if let Some(reason) = body["context"]["reason"].as_str() {
        return fail(format!("no decision: {reason}"));
    }
    let of_context =
        |name: &str| body["context"][name].as_str().map(|text| format!(", {name} {text}")).unwrap_or_default();
    let word = if decision { "allowed" } else { "denied" };
    say(format!("{word}{}{}", of_context("source"), of_context("id")));
    if decision { YES } else { ExitCode::from(NO) }
}
