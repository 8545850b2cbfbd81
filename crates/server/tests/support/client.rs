//! A client of servers that run as processes: it fills a store, grants, revokes and asks, over HTTP.
#![allow(clippy::disallowed_methods, reason = "what is waited for happens in other processes, in real time")]

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::MODEL;
use super::child::Server;
use super::wire::{exchange, get, post};
use crate::combinations::Backends;

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// Between two questions to a server that logs each of its failures, which nobody reads here.
pub(crate) const PAUSE: Duration = Duration::from_millis(20);

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn of(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let body = serde_json::from_str(body).unwrap_or_default();
        Self { status: head[9..12].parse().unwrap(), head: head.to_owned(), body }
    }

    pub(crate) fn token(&self) -> &str {
        let line = self.head.lines().find_map(|line| line.strip_prefix("tiergate-token: "));
        line.unwrap_or_else(|| panic!("no token: {}", self.head))
    }
}

pub(crate) fn send(address: SocketAddr, path: &str, body: &Value) -> Answer {
    Answer::of(&exchange(address, &post(path, &body.to_string())))
}

pub(crate) fn fetch(address: SocketAddr, path: &str) -> Answer {
    Answer::of(&exchange(address, &get(path)))
}

pub(crate) fn start(backends: &Backends, name: &str, more: &[&str]) -> Server {
    let mut arguments = backends.arguments([true, true, true]);
    arguments.extend(["--set".to_owned(), format!("server.instance={name}")]);
    for setting in more {
        arguments.extend(["--set".to_owned(), (*setting).to_owned()]);
    }
    Server::start(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

/// A store in which users may view one document by way of their team.
pub(crate) fn fill(server: &Server) -> String {
    let store =
        send(server.public, "/stores", &json!({"name": "acknowledged"})).body["id"].as_str().unwrap().to_owned();
    let model = authz::model::Model::from_dsl(MODEL).unwrap().to_json();
    assert_eq!(send(server.public, &format!("/stores/{store}/authorization-models"), &model).status, 201);
    let key = json!({"user": "team:9#member", "relation": "viewer", "object": "document:1"});
    assert_eq!(
        send(server.public, &format!("/stores/{store}/write"), &json!({"writes": {"tuple_keys": [key]}})).status,
        200
    );
    store
}

pub(crate) fn member(user: &str) -> Value {
    json!({"tuple_keys": [{"user": format!("user:{user}"), "relation": "member", "object": "team:9"}]})
}

pub(crate) fn grant(server: &Server, store: &str, user: &str) -> Answer {
    send(server.public, &format!("/stores/{store}/write"), &json!({"writes": member(user)}))
}

pub(crate) fn revoke(server: &Server, store: &str, user: &str, query: &str) -> Answer {
    send(server.public, &format!("/stores/{store}/write{query}"), &json!({"deletes": member(user)}))
}

/// May this user view the document?
pub(crate) fn ask(server: &Server, store: &str, user: &str) -> Answer {
    let question = json!({
        "subject": {"type": "user", "id": user},
        "action": {"name": "can_view"},
        "resource": {"type": "document", "id": "1"},
    });
    send(server.public, &format!("/stores/{store}/access/v1/evaluation"), &question)
}

/// The same, where it is answered.
pub(crate) fn decided(server: &Server, store: &str, user: &str) -> Value {
    let answer = ask(server, store, user);
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

pub(crate) fn allowed(server: &Server, store: &str, user: &str) -> bool {
    decided(server, store, user)["decision"].as_bool().unwrap()
}

#[track_caller]
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "it did not happen: {what}");
        std::thread::sleep(PAUSE);
    }
}

/// Waits until an instance answers from what it has cached: it holds a lease.
pub(crate) fn until_cached(server: &Server, store: &str, user: &str) {
    until("it is cached", || decided(server, store, user)["context"]["source"] == "l1");
}

/// What lies in Redis of a decision of [`ask`], where all instances find it.
pub(crate) fn shared(server: &Server, store: &str, user: &str, document: &str) -> Option<bool> {
    let object = format!("document:{document}");
    let asked = json!({"store": store, "subject": format!("user:{user}"), "relation": "can_view", "object": object});
    let answer = send(server.admin, "/admin/v1/explain", &asked);
    let tiers = answer.body["tiers"].as_array().unwrap();
    tiers.iter().find(|tier| tier["tier"] == "l2")?["held"]["decision"].as_bool()
}

/// Sends a signal to the process, by its name as `kill` takes it.
pub(crate) fn signal(server: &Server, name: &str) {
    assert!(Command::new("kill").args([name, &server.id().to_string()]).status().unwrap().success());
}
