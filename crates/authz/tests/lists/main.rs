//! Lists, held against checks: what a list holds is exactly what checks allow, cached or not, after every change.
//!
//! `TIERGATE_LIST_WORLDS` is the number of random worlds of each test, and `TIERGATE_LIST_WORLD` runs a single one.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

mod bounds;
mod conditional;
#[path = "../worlds/conditions.rs"]
#[allow(dead_code, reason = "lists need a part of it")]
mod conditions;
#[path = "../worlds/generator.rs"]
#[allow(dead_code, reason = "lists need a part of it")]
mod generator;
mod law;
mod nested;
mod oracle;
#[path = "../worlds/reference.rs"]
#[allow(dead_code, reason = "lists need a part of it")]
mod reference;
mod revocation;
mod support;
mod time;

#[expect(clippy::disallowed_methods, reason = "a test has no configuration but its environment")]
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}, which is no number")))
}

/// The seeds that a test runs.
fn seeds(from: u64, worlds: u64) -> Vec<u64> {
    match number("TIERGATE_LIST_WORLD") {
        Some(seed) => vec![seed],
        None => (from..from + number("TIERGATE_LIST_WORLDS").unwrap_or(worlds)).collect(),
    }
}
