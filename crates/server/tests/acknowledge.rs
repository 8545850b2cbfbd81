//! What an acknowledgement means: a change that was answered is in force on every instance, with all caches on, whatever happens to the others.
#![allow(clippy::print_stdout, reason = "a test says what it measured")]
#![allow(clippy::disallowed_methods, reason = "leases run in other processes, in real time")]

use std::time::{Duration, Instant};

use serde_json::json;

use crate::combinations::Backends;
use crate::support::MODEL;
use crate::support::child::Server;
use crate::support::client::{
    Answer, PATIENCE, PAUSE, allowed, decided, fetch, fill, grant, member, revoke, send, signal, start, until,
    until_cached,
};
use crate::support::wire::{exchange, post_with};

#[test]
fn whoever_asks_any_instance_after_the_acknowledgement_gets_no_allow_and_no_outdated_deny() {
    let Some(backends) = Backends::new() else { return };
    let instances = ["one", "two", "three"].map(|name| start(&backends, name, &[]));
    let store = fill(&instances[0]);
    let mut took = Vec::new();
    for round in 0..60 {
        let (writer, user) = (&instances[round % 3], format!("u{}", round % 5));
        assert_eq!(grant(writer, &store, &user).status, 200);
        assert!(instances.iter().all(|server| allowed(server, &store, &user)), "round {round}: granted, and denied");
        let begun = Instant::now();
        let answer = revoke(writer, &store, &user, "?wait=all");
        took.push(begun.elapsed());
        assert_eq!(answer.status, 200, "{}", answer.body);
        let after = instances.iter().position(|server| allowed(server, &store, &user));
        assert_eq!(after, None, "round {round}: an allow after the acknowledgement");
    }
    took.sort();
    println!(
        "three instances: a revocation is acknowledged after {:?} (median), {:?} at most",
        took[took.len() / 2],
        took[took.len() - 1]
    );
}

#[test]
fn who_does_not_wait_gets_a_token_by_which_any_instance_tells_where_the_change_is_in_force() {
    let Some(backends) = Backends::new() else { return };
    let (one, two) = (start(&backends, "one", &[]), start(&backends, "two", &[]));
    let store = fill(&one);
    assert_eq!(grant(&one, &store, "ann").status, 200);
    for wait in ["none", "local"] {
        assert!(allowed(&two, &store, "ann"));
        let answer = revoke(&one, &store, "ann", &format!("?wait={wait}"));
        assert_eq!((answer.status, &answer.body["in_force"]), (202, &json!(false)), "{}", answer.body);
        assert!(!allowed(&one, &store, "ann"), "where it was written it is in force");
        let url = answer.body["url"].as_str().unwrap();
        assert_eq!(url, format!("/revocations/{}", answer.token()));
        let begun = Instant::now();
        for server in [&two, &one] {
            loop {
                let standing = fetch(server.public, url);
                if standing.status == 200 {
                    assert_eq!((&standing.body["in_force"], &standing.body["confirmed_by"]), (&json!(true), &json!(2)));
                    break;
                }
                assert_eq!(standing.status, 202, "{}", standing.body);
                assert!(begun.elapsed() < PATIENCE, "{}", standing.body);
            }
            assert!(!allowed(&two, &store, "ann"));
        }
        assert_eq!(grant(&two, &store, "ann").status, 200);
    }
    let token = grant(&one, &store, "eve").token().to_owned();
    assert_eq!(fetch(two.public, &format!("/revocations/{token}")).status, 200, "every change has one");
    for (path, status) in [
        (format!("/revocations/{token}A"), 404),
        (format!("/revocations/{}", token.to_lowercase()), 404),
        ("/revocations/x".to_owned(), 404),
    ] {
        let answer = fetch(two.public, &path);
        assert_eq!((answer.status, &answer.body["code"]), (status, &json!("unknown_token")), "{path}");
    }
    for query in ["?wait=some", "?timeout_ms=60001", "?timeout_ms=x"] {
        assert_eq!(revoke(&one, &store, "eve", query).status, 400, "{query}");
    }
    assert!(allowed(&one, &store, "eve"), "what was refused did nothing");
}

#[test]
fn an_answer_contains_at_least_the_change_whose_token_the_question_names() {
    let Some(backends) = Backends::new() else { return };
    let (mut one, two) = (start(&backends, "one", &[]), start(&backends, "two", &[]));
    let store = fill(&one);
    let question = json!({"subject": {"type": "user", "id": "ann"}, "action": {"name": "can_view"}, "resource": {"type": "document", "id": "1"}});
    let path = format!("/stores/{store}/access/v1/evaluation");
    let ask = |token: &str| {
        let header = format!("tiergate-at-least: {token}");
        Answer::of(&exchange(two.public, &post_with(&path, &header, &question.to_string())))
    };
    for round in 0..40 {
        let write = format!("/stores/{store}/write?wait=none");
        let granted = send(one.public, &write, &json!({"writes": member("ann")}));
        assert_eq!(ask(granted.token()).body["decision"], true, "round {round}");
        let revoked = send(one.public, &write, &json!({"deletes": member("ann")}));
        assert_eq!(ask(revoked.token()).body["decision"], false, "round {round}");
        assert_eq!(ask(granted.token()).body["decision"], false, "at least, and not at most");
    }
    for token in ["", "x", "AWg0c2pHqUqYh2cVb0m0m0sAAAAAAAAC5QfQy0lRk0lJZ0m0m0m0m0k"] {
        assert_eq!(ask(token).status, 400, "{token}");
    }
    backends.database.psql("SELECT tiergate.new_epoch()").unwrap();
    // This process follows the old history: what it would be asked for now only another one can answer.
    until("it ends", || std::net::TcpStream::connect(one.public).is_err());
    assert_eq!(one.ended().0, Some(75));
}

#[test]
fn an_instance_that_was_stopped_is_fenced_and_says_nothing_from_before_when_it_goes_on() {
    let Some(backends) = Backends::new() else { return };
    let (one, two) = (start(&backends, "one", &[]), start(&backends, "two", &[]));
    let store = fill(&one);
    let mut waited_for = 0;
    for round in 0..3 {
        assert_eq!(grant(&one, &store, "ann").status, 200);
        // One that was fenced before and has not joined again is no member: nobody waits for it, and it has nothing to answer from.
        until_cached(&two, &store, "ann");
        assert!(allowed(&two, &store, "ann"));
        signal(&two, "-STOP");
        let begun = Instant::now();
        let early = revoke(&one, &store, "ann", "?wait=all&timeout_ms=50");
        // A loaded machine may have kept it from renewing its lease before it was stopped: it was fenced then, and may say as little.
        let was_member = early.status != 200;
        if was_member {
            let lagging = early.body["lagging"].as_array().unwrap();
            let waits = lagging.iter().any(|laggard| laggard["instance"] == "two");
            assert!(early.status == 202 && waits, "{}", early.body);
            let url = early.body["url"].as_str().unwrap();
            while fetch(one.public, url).status != 200 {
                assert!(begun.elapsed() < PATIENCE);
            }
            waited_for += 1;
        }
        let acknowledged = begun.elapsed();
        // Its question waits for it, from after the acknowledgement.
        let waiting = std::thread::scope(|scope| {
            let asked = scope.spawn(|| allowed(&two, &store, "ann"));
            std::thread::sleep(Duration::from_millis(20));
            signal(&two, "-CONT");
            asked.join().unwrap()
        });
        assert!(!waiting, "round {round}: an allow after the acknowledgement");
        println!("an instance that is stopped: acknowledged after {acknowledged:?}");
        // Its last renewal may be a third of a lease old, or older on a loaded machine.
        assert!(!was_member || acknowledged >= Duration::from_millis(500), "it could still answer from what it had");
    }
    assert!(waited_for > 0, "it was never a member when it was stopped");
}

#[test]
fn an_instance_that_ends_in_peace_is_waited_for_by_nobody_and_one_that_is_killed_for_its_lease() {
    let Some(backends) = Backends::new() else { return };
    let (one, mut two) = (start(&backends, "one", &[]), start(&backends, "two", &["postgres.lease_ms=20000"]));
    let store = fill(&one);
    assert_eq!(grant(&one, &store, "ann").status, 200);
    two.terminate();
    assert_eq!(two.ended().0, Some(0));
    assert_eq!(revoke(&one, &store, "ann", "?timeout_ms=1000").status, 200, "it has given its lease back");
    let mut three = start(&backends, "three", &[]);
    assert_eq!(grant(&one, &store, "ann").status, 200);
    three.kill();
    let begun = Instant::now();
    let answer = revoke(&one, &store, "ann", "");
    println!("an instance that was killed: acknowledged after {:?}", begun.elapsed());
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(begun.elapsed() >= Duration::from_millis(600), "{:?}", begun.elapsed());
}

#[test]
fn what_is_cached_is_used_no_longer_than_the_lease_without_postgres_unless_an_operator_allows_it() {
    use test_services::{Postgres, PostgresOptions, TestDatabase};
    let Some(server) = Postgres::start(&PostgresOptions::default()) else { return };
    let database = TestDatabase::create_on(&server.url(), "SELECT").unwrap();
    let over = |more: &[&str]| {
        let url = format!("postgres.url={}", database.url());
        let all: Vec<&str> =
            [url.as_str()].into_iter().chain(more.iter().copied()).flat_map(|set| ["--set", set]).collect();
        Server::start(&all)
    };
    let (strict, lenient) = (over(&[]), over(&["postgres.max_outage_stale_ms=60000"]));
    let store = fill(&strict);
    assert_eq!(grant(&strict, &store, "ann").status, 200);
    assert!(allowed(&strict, &store, "ann") && allowed(&lenient, &store, "ann"));
    server.kill();
    let question = json!({"subject": {"type": "user", "id": "ann"}, "action": {"name": "can_view"}, "resource": {"type": "document", "id": "1"}});
    let path = format!("/stores/{store}/access/v1/evaluation");
    let begun = Instant::now();
    let refused = loop {
        let answer = send(strict.public, &path, &question);
        match answer.status {
            200 => assert!(begun.elapsed() < PATIENCE),
            status => break (status, begun.elapsed()),
        }
        std::thread::sleep(PAUSE);
    };
    println!("without PostgreSQL: {} after {:?}", refused.0, refused.1);
    assert_eq!(refused.0, 503);
    assert!(allowed(&lenient, &store, "ann"), "a minute was allowed");
    server.restart().unwrap();
    let begun = Instant::now();
    while send(strict.public, &path, &question).status != 200 {
        assert!(begun.elapsed() < PATIENCE);
        std::thread::sleep(PAUSE);
    }
    println!("answers again {:?} after PostgreSQL was started", begun.elapsed());
}

#[test]
fn an_invalidation_by_each_scope_is_in_force_on_every_instance_when_it_is_answered() {
    let Some(backends) = Backends::new() else { return };
    let (one, two) = (start(&backends, "one", &[]), start(&backends, "two", &[]));
    let store = fill(&one);
    assert_eq!(grant(&one, &store, "ann").status, 200);
    let cached = |server: &Server| decided(server, &store, "ann")["context"]["source"] == "l1";
    // What nobody invalidates stays where it is: else the others would show nothing.
    for (scope, concerned) in [
        (json!({"scope": "user", "id": "eve"}), false),
        (json!({"scope": "user", "id": "ann"}), true),
        (json!({"scope": "team", "id": "8"}), false),
        (json!({"scope": "team", "id": "9"}), true),
        (json!({"scope": "subject", "id": "user:ann"}), true),
        (json!({"scope": "resource", "id": "document:2"}), false),
        (json!({"scope": "resource", "id": "document:1"}), true),
        (json!({"scope": "type", "name": "project_visibility"}), false),
        (json!({"scope": "type", "name": "user_permissions"}), true),
        (json!({"scope": "pattern", "pattern": "*:user:eve:*"}), false),
        (json!({"scope": "pattern", "pattern": "*:user:ann:*"}), true),
        (json!({"scope": "all"}), true),
    ] {
        // On a machine that is too busy a lease may be over in between, and then nobody uses what is kept: such a round says nothing.
        let kept = (0..5).any(|_| {
            until_cached(&two, &store, "ann");
            until_cached(&one, &store, "ann");
            let answer = send(one.admin, "/admin/v1/invalidate", &scope);
            assert_eq!((answer.status, &answer.body["confirmed_by"]), (200, &json!(2)), "{scope}: {}", answer.body);
            let kept = [cached(&two), cached(&one)];
            assert!(!concerned || kept == [false; 2], "{scope}: {kept:?}");
            kept == [true; 2]
        });
        assert_eq!(kept, !concerned, "{scope}");
    }
}

#[test]
fn a_change_of_the_model_is_in_force_on_every_instance_when_it_is_answered() {
    let Some(backends) = Backends::new() else { return };
    let (one, two) = (start(&backends, "one", &[]), start(&backends, "two", &[]));
    let store = fill(&one);
    assert_eq!(grant(&one, &store, "ann").status, 200);
    let path = format!("/stores/{store}/authorization-models");
    let narrow = MODEL.replace("define can_view: viewer", "define can_view: owner");
    for _ in 0..5 {
        for (text, allows) in [(MODEL, true), (&narrow, false)] {
            let model = authz::model::Model::from_dsl(text).unwrap().to_json();
            assert_eq!(send(one.public, &path, &model).status, 201);
            assert_eq!([allowed(&two, &store, "ann"), allowed(&one, &store, "ann")], [allows; 2]);
        }
    }
}

#[test]
fn whoever_waits_for_longer_than_a_request_may_take_is_told_by_which_token_to_ask() {
    let Some(backends) = Backends::new() else { return };
    let one = start(&backends, "one", &["http.request_timeout_ms=1000", "postgres.acknowledge_timeout_ms=1500"]);
    let mut two = start(&backends, "two", &["postgres.lease_ms=20000"]);
    let store = fill(&one);
    assert_eq!(grant(&one, &store, "ann").status, 200);
    two.kill();
    let begun = Instant::now();
    let asked = revoke(&one, &store, "ann", "?wait=all&timeout_ms=2500");
    assert_eq!((asked.status, &asked.body["in_force"]), (202, &json!(false)), "{}", asked.body);
    assert!(begun.elapsed() >= Duration::from_millis(2_500), "{:?}", begun.elapsed());
    assert_eq!(asked.body["token"], asked.token());
    let begun = Instant::now();
    let configured = grant(&one, &store, "ann");
    assert_eq!((configured.status, &configured.body["code"]), (503, &json!("not_in_force_yet")), "{}", configured.body);
    assert!(configured.body["message"].as_str().unwrap().contains("/revocations/"), "{}", configured.body);
    assert!(begun.elapsed() >= Duration::from_millis(1_500), "{:?}", begun.elapsed());
}

#[test]
fn what_can_have_no_token_is_not_begun() {
    let Some(backends) = Backends::new() else { return };
    let one = start(&backends, "one", &[]);
    let store = fill(&one);
    // It has not read the secret of tokens yet.
    let two = start(&backends, "two", &[]);
    let psql = |sql: &str| backends.database.psql(sql).unwrap();
    psql("ALTER TABLE tiergate.secrets RENAME TO hidden");
    let refused = grant(&two, &store, "ann");
    assert_eq!(refused.status, 503, "{}", refused.body);
    assert!(psql("SELECT 1 FROM tiergate.tuples WHERE subject_id = 'ann'").is_empty(), "{}", refused.body);
    psql("ALTER TABLE tiergate.hidden RENAME TO secrets");
    assert_eq!(grant(&two, &store, "ann").status, 200);
}

#[test]
fn the_store_of_paths_that_name_none_is_the_same_on_every_instance_when_a_store_comes_or_goes() {
    let Some(backends) = Backends::new() else { return };
    let (one, two) = (start(&backends, "one", &[]), start(&backends, "two", &[]));
    let store = fill(&one);
    assert_eq!(grant(&one, &store, "ann").status, 200);
    let question = json!({"subject": {"type": "user", "id": "ann"}, "action": {"name": "can_view"}, "resource": {"type": "document", "id": "1"}});
    let plainly = || [&one, &two].map(|server| send(server.public, "/access/v1/evaluation", &question).status);
    for round in 0..10 {
        let (writer, other) = if round % 2 == 0 { (&one, &two) } else { (&two, &one) };
        assert_eq!(plainly(), [200; 2], "round {round}: there is one store");
        let made = send(writer.public, "/stores", &json!({"name": "second"}));
        assert_eq!(made.status, 201, "{}", made.body);
        assert_eq!(plainly(), [404; 2], "round {round}: it is not clear which");
        let path = format!("/stores/{}", made.body["id"].as_str().unwrap());
        let gone = exchange(
            other.public,
            &format!("DELETE {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n").into_bytes(),
        );
        assert_eq!(Answer::of(&gone).status, 204, "{gone}");
    }
    assert_eq!(plainly(), [200; 2]);
    // A default that is there, and is taken away and another put in its place, past every instance.
    let insert = "INSERT INTO tiergate.stores (id, name, created_at) VALUES ('01ARZ3NDEKTSV4RRFFQ69G5FAV', 'demo', 1)";
    backends.database.psql(insert).unwrap();
    until("another store, which has no model, is the default", || plainly() == [400; 2]);
    backends.database.psql("DELETE FROM tiergate.stores WHERE name = 'demo'").unwrap();
    until("the only store is the default", || plainly() == [200; 2]);
    let accepted = send(one.public, "/stores?wait=none", &json!({"name": "third"}));
    assert_eq!((accepted.status, accepted.body["id"].is_string()), (202, true), "{}", accepted.body);
    assert_eq!(accepted.body["token"], accepted.token());
}
