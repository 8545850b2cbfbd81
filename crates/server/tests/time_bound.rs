//! Grants that end at a time: no server allows anything by one that is asked for after its end, from whatever tier, and nobody has to change anything for that.
//!
//! The test and the servers read the same clock.
#![allow(clippy::print_stdout, reason = "a test says what it measured")]
#![allow(clippy::disallowed_methods, reason = "conditions read the clock of the wall, in other processes")]

use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::combinations::Backends;
use crate::support::child::Server;
use crate::support::client::{PAUSE, fetch, send, shared, until};

const MODEL: &str = "
model
  schema 1.1
type user
type team
  relations
    define member: [user with until]
type document
  relations
    define blocked: [user with since]
    define viewer: [user, user with until, team#member]
    define can_view: viewer but not blocked

condition until(current_time: timestamp, until: timestamp) {
  current_time < until
}
condition since(current_time: timestamp, since: timestamp) {
  current_time >= since
}
";

/// From the grants to their end: in this time they have to come into every tier.
const LIFE: Duration = Duration::from_secs(5);
/// An entry ends a little before its time, and to be answered takes a moment.
const SHORT_BEFORE: Duration = Duration::from_millis(200);
/// By a grant of her own, by her team's membership, and because she is blocked from then on.
const DOCUMENTS: [&str; 3] = ["own", "team", "blocked"];

/// An answer, with when it was asked for and when it had come.
struct Answered {
    document: &'static str,
    asked: SystemTime,
    came: SystemTime,
    allow: bool,
    source: String,
}

fn ask(server: &Server, store: &str, document: &'static str) -> Answered {
    let question = json!({
        "subject": {"type": "user", "id": "ann"},
        "action": {"name": "can_view"},
        "resource": {"type": "document", "id": document},
    });
    let asked = SystemTime::now();
    let answer = send(server.public, &format!("/stores/{store}/access/v1/evaluation"), &question);
    let came = SystemTime::now();
    assert_eq!(answer.status, 200, "{}", answer.body);
    let source = answer.body["context"]["source"].as_str().unwrap().to_owned();
    Answered { document, asked, came, allow: answer.body["decision"] == true, source }
}

/// A store whose grants end at this time.
fn fill(server: &Server, end: SystemTime) -> String {
    let store = send(server.public, "/stores", &json!({"name": "time-bound"})).body["id"].as_str().unwrap().to_owned();
    let model = authz::model::Model::from_dsl(MODEL).unwrap().to_json();
    assert_eq!(send(server.public, &format!("/stores/{store}/authorization-models"), &model).status, 201);
    let end = end.duration_since(UNIX_EPOCH).unwrap().as_millis();
    let end = jiff::Timestamp::from_millisecond(i64::try_from(end).unwrap()).unwrap().to_string();
    let key = |user: &str, relation: &str, object: &str| json!({"user": user, "relation": relation, "object": object});
    let under = |mut key: Value, condition: &str| {
        key["condition"] = json!({"name": condition, "context": {condition: end}});
        key
    };
    let keys = [
        under(key("user:ann", "viewer", "document:own"), "until"),
        under(key("user:ann", "member", "team:9"), "until"),
        key("team:9#member", "viewer", "document:team"),
        key("user:ann", "viewer", "document:blocked"),
        under(key("user:ann", "blocked", "document:blocked"), "since"),
    ];
    let written = send(server.public, &format!("/stores/{store}/write"), &json!({"writes": {"tuple_keys": keys}}));
    assert_eq!(written.status, 200, "{}", written.body);
    store
}

#[test]
fn a_grant_that_ends_at_a_time_ends_then_on_every_server_and_in_every_tier() {
    let Some(backends) = Backends::new() else { return };
    let start = |tiers| Server::start(&backends.arguments(tiers).iter().map(String::as_str).collect::<Vec<_>>());
    // The third one has no memory: whatever it has cached comes from Redis, each time.
    let servers = [[true, true, false], [true, true, false], [false, true, false]].map(start);
    for server in &servers {
        until("its tier joins", || fetch(server.admin, "/admin/v1/pools").body["redis"].is_object());
    }
    let end = SystemTime::now() + LIFE;
    let store = fill(&servers[0], end);
    let mut all: [Vec<Answered>; 3] = [(); 3].map(|()| Vec::new());
    for document in DOCUMENTS {
        all[0].push(ask(&servers[0], &store, document));
        until("it lies in Redis", || {
            shared(&servers[0], &store, "ann", document) == Some(true) || SystemTime::now() > end
        });
    }
    while SystemTime::now() < end + Duration::from_secs(1) {
        for (server, all) in servers.iter().zip(&mut all) {
            all.extend(DOCUMENTS.map(|document| ask(server, &store, document)));
        }
        sleep(PAUSE);
    }
    let by_the_tiers = [&["l1"][..], &["l1", "l2"], &["l2"]];
    for ((of, tiers), answers) in ["one", "two", "three"].into_iter().zip(by_the_tiers).zip(&all) {
        for document in DOCUMENTS {
            let answers = || answers.iter().filter(|answer| answer.document == document);
            for Answered { asked, came, allow, source, .. } in answers() {
                if let Ok(late) = asked.duration_since(end) {
                    assert!(!allow, "{of}, {document}: allowed from {source}, {late:?} after its end");
                }
                assert!(*allow || *came > end - SHORT_BEFORE, "{of}, {document}: denied while it holds");
            }
            let before: BTreeSet<_> = answers().filter(|answer| answer.allow).map(|answer| &*answer.source).collect();
            assert!(tiers.iter().all(|tier| before.contains(tier)), "{of}, {document}: allowed from {before:?} only");
            let last = answers().rfind(|answer| answer.allow).unwrap();
            let first = answers().find(|answer| answer.asked >= end).unwrap();
            println!(
                "{of}, {document}: last allowed {:?} before the end from {}, denied {:?} after it from {}",
                end.duration_since(last.asked).unwrap(),
                last.source,
                first.asked.duration_since(end).unwrap(),
                first.source
            );
        }
    }
}
