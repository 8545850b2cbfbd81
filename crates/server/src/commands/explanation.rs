//! An explanation, written for people.

use std::fmt::Write as _;
use std::process::ExitCode;

use serde_json::Value;

use super::{NO, YES, fail, say};
use crate::client::Reply;

/// Prints it; the exit status is that of the decision.
pub(super) fn show(Reply { status, body }: &Reply) -> ExitCode {
    if *status != 200 {
        let message = body["message"].as_str().unwrap_or("no explanation came");
        return fail(format!("the server answered {status}: {message}"));
    }
    say(text(body).trim_end());
    match body["decision"].as_bool() {
        Some(true) => YES,
        Some(false) => ExitCode::from(NO),
        None => fail("no decision"),
    }
}

fn text(body: &Value) -> String {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let number = |value: &Value| value.as_u64().map_or_else(String::new, |number| number.to_string());
    let mut text = String::new();
    match body["decision"].as_bool() {
        Some(allowed) => {
            let decision = if allowed { "allowed" } else { "denied" };
            let (source, stamp) = (word(&body["source"]), number(&body["stamp"]));
            let _ = writeln!(text, "{decision}, source {source}, stamp {stamp}, model {}", word(&body["model"]));
        }
        None => {
            let _ = writeln!(text, "no decision: {}", word(&body["error"]));
        }
    }
    let _ = writeln!(text, "\ntiers before the question ({}):", word(&body["cache_type"]));
    for tier in body["tiers"].as_array().into_iter().flatten() {
        let held = match tier["held"]["decision"].as_bool() {
            Some(true) => format!(", held allow of stamp {}", number(&tier["held"]["stamp"])),
            Some(false) => format!(", held deny of stamp {}", number(&tier["held"]["stamp"])),
            None => String::new(),
        };
        let _ = writeln!(text, "  {}: {}{held}", word(&tier["tier"]), word(&tier["reason"]));
    }
    if let Some(path) = body.get("path") {
        let stamp = body["path_stamp"].as_u64().map_or_else(String::new, |stamp| format!(", stamp {stamp}"));
        let _ = writeln!(text, "\npath (worked out anew{stamp}):");
        add_step(path, 1, &mut text);
    }
    let tags = body["tags"].as_array().map_or(0, Vec::len);
    let _ = writeln!(text, "\nrests on {tags} look-ups and entities (tags){}", kept(body));
    text
}

fn kept(body: &Value) -> String {
    let ends = body["holds_for_ms"].as_u64().map(|ms| format!("; a condition over time may turn it in {}", span(ms)));
    let not_kept = body["not_kept"].as_str().map(|why| format!("; it is not cached: {why}"));
    ends.into_iter().chain(not_kept).collect()
}

/// A time as people say it: its two largest units.
fn span(ms: u64) -> String {
    let units = [("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000), ("ms", 1)];
    let (mut rest, mut parts) = (ms, Vec::new());
    for (name, size) in units {
        if rest >= size && parts.len() < 2 {
            parts.push(format!("{} {name}", rest / size));
            rest %= size;
        }
    }
    if parts.is_empty() { "0 ms".to_owned() } else { parts.join(" ") }
}

fn add_step(step: &Value, depth: usize, text: &mut String) {
    let _ = writeln!(text, "{:width$}{}", "", step["text"].as_str().unwrap_or_default(), width = 2 * depth);
    for child in step["children"].as_array().into_iter().flatten() {
        add_step(child, depth + 1, text);
    }
}
