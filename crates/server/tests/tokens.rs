//! What the token of an answer promises: whoever carries it to any instance is answered from no older state.
//!
//! Changes are made by a session that wakes nobody, and the readers of the instances poll so rarely that they stay behind: what an instance answers
//! without a token shows that it is.
#![allow(clippy::print_stdout, reason = "a test says what it measured")]
#![allow(clippy::disallowed_methods, reason = "readers run in other processes, in real time")]

use std::net::SocketAddr;
use std::time::Instant;

use serde_json::{Value, json};
use test_services::{Postgres, PostgresOptions, TestDatabase};

use crate::combinations::Backends;
use crate::support::child::Server;
use crate::support::client::{Answer, fill, grant, revoke, send, shared, start, until, until_cached};
use crate::support::wire::{exchange, post_with};

/// So that a reader hears of nothing that it does not ask for.
const BLIND: [&str; 2] = ["postgres.poll_interval_ms=10000", "postgres.lease_ms=60000"];

/// How often a change is made anew because the other instance noticed it.
const TRIES: usize = 5;

/// A question to an endpoint, and whether its answer has ann.
struct Way {
    path: &'static str,
    body: fn() -> Value,
    has_ann: fn(&Answer) -> bool,
    /// Where the question takes a token beside the header.
    in_body: Option<fn(&mut Value, &str)>,
}

fn question() -> Value {
    json!({"subject": {"type": "user", "id": "ann"}, "action": {"name": "can_view"}, "resource": {"type": "document", "id": "1"}})
}

fn in_context(body: &mut Value, token: &str) {
    body["context"] = json!({"consistency": {"at_least": token}});
}

fn key() -> Value {
    json!({"user": "user:ann", "relation": "can_view", "object": "document:1"})
}

fn lists_ann(answer: &Answer, pointer: &str) -> bool {
    answer.body.pointer(pointer).unwrap().to_string().contains("ann")
}

const WAYS: [Way; 10] = [
    Way {
        path: "access/v1/evaluation",
        body: question,
        has_ann: |answer| answer.body["decision"] == true,
        in_body: Some(in_context),
    },
    Way {
        path: "access/v1/evaluations",
        body: || {
            let mut body = question();
            body["evaluations"] = json!([{}, {"subject": {"type": "user", "id": "bob"}}]);
            body
        },
        has_ann: |answer| answer.body["evaluations"][0]["decision"] == true,
        in_body: Some(in_context),
    },
    Way {
        path: "access/v1/evaluations",
        body: || json!({"evaluations": [question(), question()]}),
        has_ann: |answer| answer.body["evaluations"][0]["decision"] == true,
        // In another item than the one that is looked at: the request waits as a whole.
        in_body: Some(|body, token| in_context(&mut body["evaluations"][1], token)),
    },
    Way {
        path: "access/v1/search/subject",
        body: || {
            let mut body = question();
            body["subject"] = json!({"type": "user"});
            body
        },
        has_ann: |answer| lists_ann(answer, "/results"),
        in_body: Some(in_context),
    },
    Way {
        path: "access/v1/search/resource",
        body: || {
            let mut body = question();
            body["resource"] = json!({"type": "document"});
            body
        },
        has_ann: |answer| answer.body["results"][0]["id"] == "1",
        in_body: Some(in_context),
    },
    Way {
        path: "access/v1/search/action",
        body: || {
            let mut body = question();
            body.as_object_mut().unwrap().remove("action");
            body
        },
        has_ann: |answer| answer.body["results"].to_string().contains("can_view"),
        in_body: Some(in_context),
    },
    Way {
        path: "check",
        body: || json!({"tuple_key": key()}),
        has_ann: |answer| answer.body["allowed"] == true,
        in_body: None,
    },
    Way {
        path: "batch-check",
        body: || json!({"checks": [{"tuple_key": key(), "correlation_id": "ann"}]}),
        has_ann: |answer| answer.body["result"]["ann"]["allowed"] == true,
        in_body: None,
    },
    Way {
        path: "list-objects",
        body: || json!({"user": "user:ann", "relation": "can_view", "type": "document"}),
        has_ann: |answer| answer.body["objects"] == json!(["document:1"]),
        in_body: None,
    },
    Way {
        path: "list-users",
        body: || json!({"object": {"type": "document", "id": "1"}, "relation": "can_view", "user_filters": [{"type": "user"}]}),
        has_ann: |answer| lists_ann(answer, "/users"),
        in_body: None,
    },
];

impl Way {
    fn ask(&self, server: &Server, store: &str) -> Answer {
        send(server.public, &format!("/stores/{store}/{}", self.path), &(self.body)())
    }

    fn ask_with_header(&self, server: &Server, store: &str, token: &str) -> Answer {
        ask_with_header(server.public, &format!("/stores/{store}/{}", self.path), &(self.body)(), token)
    }
}

fn ask_with_header(address: SocketAddr, path: &str, body: &Value, token: &str) -> Answer {
    let header = format!("tiergate-at-least: {token}");
    Answer::of(&exchange(address, &post_with(path, &header, &body.to_string())))
}

/// Asks the origin, and so lets an instance know whatever has changed.
fn ask_fully(server: &Server, store: &str) -> Answer {
    let mut body = question();
    body["context"] = json!({"consistency": "full"});
    send(server.public, &format!("/stores/{store}/access/v1/evaluation"), &body)
}

/// Changes ann's membership past all instances.
fn change_unnoticed(database: &TestDatabase, store: &str, is_member: bool) {
    let columns = "store, object_type, object_id, relation, subject_type, subject_id";
    let change = if is_member {
        format!("INSERT INTO tiergate.tuples ({columns}) VALUES ('{store}', 'team', '9', 'member', 'user', 'ann')")
    } else {
        format!("DELETE FROM tiergate.tuples WHERE store = '{store}' AND relation = 'member' AND subject_id = 'ann'")
    };
    database.psql(&format!("SET tiergate.writer = 'on'; {change}")).unwrap();
}

/// Changes ann's membership until the second instance hasn't noticed, and gives the answer of the first, which has. A poll that an earlier question
/// of the second was owed may still come on a busy machine, and show it the change.
fn left_behind(
    database: &TestDatabase,
    way: &Way,
    [one, two]: [&Server; 2],
    store: &str,
    is_member: &mut bool,
) -> Answer {
    for _ in 0..TRIES {
        // Asked twice: the second answer comes from memory.
        assert!([(), ()].iter().all(|()| (way.has_ann)(&way.ask(two, store)) == *is_member), "{}", way.path);
        *is_member = !*is_member;
        change_unnoticed(database, store, *is_member);
        assert_eq!(ask_fully(one, store).status, 200);
        let first = way.ask(one, store);
        assert_eq!((way.has_ann)(&first), *is_member, "{}", way.path);
        if (way.has_ann)(&way.ask(two, store)) != *is_member {
            return first;
        }
    }
    panic!("{}: the second instance was never behind", way.path)
}

#[test]
fn no_endpoint_answers_from_a_state_that_is_older_than_the_answer_whose_token_is_named() {
    let Some(backends) = Backends::new() else { return };
    let (one, two) = (start(&backends, "one", &BLIND), start(&backends, "two", &BLIND));
    let store = fill(&one);
    let mut is_member = false;
    for way in WAYS {
        for by_header in [true, false] {
            let Some(in_body) = way.in_body.filter(|_| !by_header).or(by_header.then_some(|_, _| ())) else { continue };
            let first = left_behind(&backends.database, &way, [&one, &two], &store, &mut is_member);
            let second = if by_header {
                way.ask_with_header(&two, &store, first.token())
            } else {
                let mut body = (way.body)();
                in_body(&mut body, first.token());
                send(two.public, &format!("/stores/{store}/{}", way.path), &body)
            };
            assert_eq!(second.status, 200, "{}: {}", way.path, second.body);
            assert_eq!((way.has_ann)(&second), is_member, "{} by header {by_header}: an older state", way.path);
        }
    }
    for (path, body) in [
        ("expand", json!({"tuple_key": {"relation": "member", "object": "team:9"}})),
        ("streamed-list-objects", json!({"user": "user:ann", "relation": "can_view", "type": "document"})),
    ] {
        let token = send(one.public, &format!("/stores/{store}/{path}"), &body).token().to_owned();
        assert_eq!(ask_with_header(two.public, &format!("/stores/{store}/{path}"), &body, &token).status, 200);
    }
}

#[test]
fn what_came_from_a_tier_that_others_fill_is_in_the_token_too() {
    let Some(backends) = Backends::new() else { return };
    let [one, two, three] = ["one", "two", "three"].map(|name| start(&backends, name, &BLIND));
    let store = fill(&one);
    let way = &WAYS[0];
    // The model, too, is in its memory.
    until_cached(&two, &store, "bob");
    let mut ahead = 0;
    for round in 0..3 {
        assert_eq!(grant(&one, &store, "ann").status, 200);
        while way.ask(&three, &store).body["context"]["source"] != "l1" {}
        change_unnoticed(&backends.database, &store, false);
        assert_eq!(ask_fully(&one, &store).body["decision"], false);
        until_shared(&one, &store);
        // It takes from Redis what the first has learnt, and has heard of nothing itself.
        let taken = way.ask(&two, &store);
        assert_eq!(taken.body["decision"], false);
        ahead += usize::from(taken.body["context"]["source"] == "l2");
        // From its own memory now, which is no older.
        let again = way.ask(&two, &store);
        assert_eq!(way.ask(&three, &store).body["decision"], true, "it should be behind");
        for (which, answer) in [("taken", &taken), ("kept", &again)] {
            let at_three = way.ask_with_header(&three, &store, answer.token());
            assert_eq!(at_three.body["decision"], false, "round {round}, {which}: an older state");
        }
        println!("round {round}: {} then {}", taken.body["context"]["source"], again.body["context"]["source"]);
    }
    assert!(ahead > 0, "the second never took anything from Redis");
}

/// Waits until the denial lies where the others find it.
fn until_shared(server: &Server, store: &str) {
    until("the denial is in Redis", || shared(server, store, "ann", "1") == Some(false));
}

#[test]
fn a_token_that_cannot_be_honoured_is_an_error_wherever_it_stands() {
    let (Some(backends), Some(elsewhere)) = (Backends::new(), Backends::new()) else { return };
    let (one, other) = (start(&backends, "one", &[]), start(&elsewhere, "other", &[]));
    let store = fill(&one);
    let of_a_change = grant(&one, &store, "ann").token().to_owned();
    let of_an_answer = WAYS[0].ask(&one, &store).token().to_owned();
    let theirs = WAYS[0].ask(&other, &fill(&other)).token().to_owned();
    let mut altered = of_an_answer.clone().into_bytes();
    altered[30] = if altered[30] == b'A' { b'B' } else { b'A' };
    let altered = String::from_utf8(altered).unwrap();
    let unknown = ["", "x", &theirs, &altered, &of_an_answer[..40], &format!("{of_an_answer}AA")];
    for token in unknown {
        refused(&one, &store, token, "none of this deployment");
    }
    for token in [&of_a_change, &of_an_answer] {
        assert_eq!(WAYS[0].ask_with_header(&one, &store, token).status, 200);
    }
    // The log is trimmed: nobody can tell any more what the tokens of before name.
    backends.database.psql("UPDATE tiergate.log_state SET trimmed_below = pg_current_xact_id()").unwrap();
    assert_eq!(revoke(&one, &store, "ann", "").status, 200);
    for token in [&of_a_change, &of_an_answer] {
        refused(&one, &store, token, "too old");
    }
    let newer = WAYS[0].ask(&one, &store).token().to_owned();
    assert_eq!(WAYS[0].ask_with_header(&one, &store, &newer).status, 200);
    backends.database.psql("SELECT tiergate.new_epoch()").unwrap();
    let restarted = start(&backends, "two", &[]);
    refused(&restarted, &store, &newer, "of another history");
}

/// Whether a token is refused, and why.
fn refused(server: &Server, store: &str, token: &str, why: &str) {
    for way in &WAYS {
        let path = format!("/stores/{store}/{}", way.path);
        let by_header = way.ask_with_header(server, store, token);
        let by_body = way.in_body.map(|put| {
            let mut body = (way.body)();
            put(&mut body, token);
            (send(server.public, &path, &body), "consistency.at_least")
        });
        for (answer, place) in [Some((by_header, "Tiergate-At-Least")), by_body].into_iter().flatten() {
            let message = answer.body.as_str().or(answer.body["message"].as_str()).unwrap_or_default().to_owned();
            assert!(
                answer.status == 400 && message.contains(why) && message.contains(place),
                "{token}: {}",
                answer.body
            );
            assert!(answer.body.is_string() || answer.body["code"] == "invalid_token", "{}", answer.body);
        }
    }
    // Two tokens, of which one can be honoured, wherever each stands.
    let good = WAYS[0].ask(server, store).token().to_owned();
    let path = format!("/stores/{store}/{}", WAYS[0].path);
    for (in_header, in_body) in [(token, &*good), (&*good, token)] {
        let mut body = question();
        in_context(&mut body, in_body);
        assert_eq!(ask_with_header(server.public, &path, &body, in_header).status, 400, "{token}");
    }
    let twice = format!("tiergate-at-least: {good}\r\ntiergate-at-least: {token}");
    let answer = Answer::of(&exchange(server.public, &post_with(&path, &twice, &question().to_string())));
    assert_eq!(answer.status, 400, "the second of two headers: {token}");
}

#[test]
fn a_state_that_can_not_be_reached_is_no_answer_however_long_caches_may_be_used() {
    let Some(server) = Postgres::start(&PostgresOptions::default()) else { return };
    let database = TestDatabase::create_on(&server.url(), "SELECT").unwrap();
    let over = || {
        let url = format!("postgres.url={}", database.url());
        let more = ["postgres.max_outage_stale_ms=600000", "cache.l3.enabled=false"];
        let all: Vec<&str> =
            std::iter::once(url.as_str()).chain(more).chain(BLIND).flat_map(|set| ["--set", set]).collect();
        Server::start(&all)
    };
    let (one, two) = (over(), over());
    let store = fill(&one);
    let way = &WAYS[0];
    assert_eq!(grant(&one, &store, "ann").status, 200);
    while way.ask(&two, &store).body["context"]["source"] != "l1" {}
    let known = way.ask(&two, &store).token().to_owned();
    change_unnoticed(&database, &store, false);
    let newer = ask_fully(&one, &store).token().to_owned();
    server.kill();
    assert_eq!(way.ask(&two, &store).body["decision"], true, "it should be behind, and may answer");
    assert_eq!(way.ask_with_header(&two, &store, &known).body["decision"], true, "nothing newer is asked for");
    let begun = Instant::now();
    let answer = way.ask_with_header(&two, &store, &newer);
    println!("without PostgreSQL: {} after {:?}", answer.status, begun.elapsed());
    assert_eq!(answer.status, 503, "{}", answer.body);
}
