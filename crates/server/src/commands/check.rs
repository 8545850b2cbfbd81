//! `tiergate check`

use std::process::ExitCode;

use authz::relation::{IdentError, Object};
use serde_json::{Value, json};

use super::{NO, YES, fail, say, small_runtime};
use crate::cli::CheckArgs;
use crate::client::{self, Reply};

pub(super) fn run(args: &CheckArgs) -> ExitCode {
    let body = match question(args) {
        Ok(body) => body,
        Err(error) => return fail(error),
    };
    let runtime = match small_runtime() {
        Ok(runtime) => runtime,
        Err(error) => return fail(error),
    };
    let path = match &args.store {
        Some(store) => format!("/stores/{store}/access/v1/evaluation"),
        None => "/access/v1/evaluation".to_owned(),
    };
    match runtime.block_on(client::send(&args.url.url, &path, Some(body))) {
        Ok(reply) => show(&reply),
        Err(error) => fail(error),
    }
}

fn question(args: &CheckArgs) -> Result<Value, IdentError> {
    let entity = |text: &str| Object::parse(text).map(|object| json!({"type": &*object.type_name, "id": &*object.id}));
    Ok(json!({
        "subject": entity(&args.subject)?,
        "action": {"name": args.relation},
        "resource": entity(&args.object)?,
    }))
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
