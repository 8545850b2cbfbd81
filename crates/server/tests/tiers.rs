//! The server over PostgreSQL and Redis as an operator has it: changes by others, restarts, parts that are down.
#![allow(clippy::print_stdout, reason = "a test says what it measured")]
#![allow(clippy::disallowed_methods, reason = "what is measured here happens in other processes, in real time")]

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use test_services::{Postgres, PostgresOptions, Redis, RedisOptions, TestDatabase};

use crate::combinations::Backends;
use crate::support::MODEL;
use crate::support::child::{Server, run};
use crate::support::wire::{exchange, get, post};

/// How long anything may take that is waited for.
const PATIENCE: Duration = Duration::from_secs(20);
/// The poll interval, with what a loaded machine adds to a decision.
const SOON: Duration = Duration::from_millis(50 + 950);

fn answered(answer: &str) -> (u16, Value) {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), serde_json::from_str(body).unwrap_or_default())
}

fn send(address: SocketAddr, path: &str, body: &Value) -> (u16, Value) {
    answered(&exchange(address, &post(path, &body.to_string())))
}

fn sent(address: SocketAddr, path: &str, body: &Value) -> Value {
    let (status, body) = send(address, path, body);
    assert!((200..300).contains(&status), "{path}: {status} {body}");
    body
}

fn ready(server: &Server) -> (u16, Value) {
    answered(&exchange(server.admin, &get("/readyz")))
}

/// Waits for something, and says how long it took.
#[track_caller]
fn until(what: &str, mut holds: impl FnMut() -> bool) -> Duration {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "{what} did not come true");
        std::thread::yield_now();
    }
    begun.elapsed()
}

/// A store in which ann may view many documents by way of her team. Returns its id.
fn fill(server: &Server, documents: usize) -> String {
    let store = sent(server.public, "/stores", &json!({"name": "tiers"}))["id"].as_str().unwrap().to_owned();
    let model = authz::model::Model::from_dsl(MODEL).unwrap().to_json();
    sent(server.public, &format!("/stores/{store}/authorization-models"), &model);
    let key = |user: &str, relation: &str, object: &str| json!({"user": user, "relation": relation, "object": object});
    let mut keys = vec![key("user:ann", "member", "team:9")];
    keys.extend((0..documents).map(|n| key("team:9#member", "viewer", &format!("document:{n}"))));
    for part in keys.chunks(100) {
        sent(server.public, &format!("/stores/{store}/write"), &json!({"writes": {"tuple_keys": part}}));
    }
    store
}

fn question(user: &str, document: usize) -> Value {
    json!({
        "subject": {"type": "user", "id": user},
        "action": {"name": "can_view"},
        "resource": {"type": "document", "id": document.to_string()},
    })
}

fn ask(server: &Server, store: &str, user: &str, document: usize) -> (u16, Value) {
    send(server.public, &format!("/stores/{store}/access/v1/evaluation"), &question(user, document))
}

fn allowed(server: &Server, store: &str, user: &str, document: usize) -> bool {
    let (status, body) = ask(server, store, user, document);
    assert_eq!(status, 200, "{body}");
    body["decision"].as_bool().unwrap()
}

fn source(server: &Server, store: &str, user: &str, document: usize) -> String {
    let (status, body) = ask(server, store, user, document);
    assert_eq!(status, 200, "{body}");
    body["context"]["source"].as_str().unwrap().to_owned()
}

fn start(arguments: &[String]) -> Server {
    Server::start(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn a_change_by_psql_and_a_truncate_are_in_force_on_every_instance_within_a_poll() {
    let Some(backends) = Backends::new() else { return };
    let arguments = backends.arguments([true, true, true]);
    let (one, two) = (start(&arguments), start(&arguments));
    let store = fill(&one, 3);
    let mut took = Vec::new();
    for _ in 0..5 {
        for server in [&one, &two] {
            until("the grant", || allowed(server, &store, "ann", 1));
        }
        backends.database.psql("DELETE FROM tiergate.tuples WHERE subject_id = 'ann'").unwrap();
        took.extend([&one, &two].map(|server| until("the revocation", || !allowed(server, &store, "ann", 1))));
        let grant = format!(
            "INSERT INTO tiergate.tuples (store, object_type, object_id, relation, subject_type, subject_id)
             VALUES ('{store}', 'team', '9', 'member', 'user', 'ann')"
        );
        backends.database.psql(&grant).unwrap();
    }
    for server in [&one, &two] {
        until("the grant", || allowed(server, &store, "ann", 1));
    }
    backends.database.psql("TRUNCATE tiergate.tuples").unwrap();
    let truncated = [&one, &two].map(|server| until("the truncation", || !allowed(server, &store, "ann", 1)));
    println!("psql: {took:?}; TRUNCATE: {truncated:?}");
    took.extend(truncated);
    assert!(took.iter().all(|took| *took < SOON), "{took:?}");
}

#[test]
fn a_direct_import_goes_past_the_server_and_is_in_force_there_within_a_poll() {
    let Some(backends) = Backends::new() else { return };
    let server = start(&backends.arguments([true, true, true]));
    let store = fill(&server, 1);
    assert!(!allowed(&server, &store, "eve", 0));
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let settings = format!("[postgres]\nurl = \"{}\"\n", backends.database.url());
    std::fs::write(at("tiergate.toml"), settings).unwrap();
    let rows = "user_type,user_id,user_relation,relation,object_type,object_id,condition_name,condition_context\n\
                user,eve,,member,team,9,,\nuser,ann,,member,team,9,,\n";
    std::fs::write(at("rows.csv"), format!("{rows}user,eve,,owner,team,9,,\n")).unwrap();
    let import = |file: &str, more: &[&str]| {
        let (file, settings) = (at(file), at("tiergate.toml"));
        let fixed = ["import", &file, "--store", &store, "--direct", "--config", &settings];
        let output = run(&[&fixed, more].concat());
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    };
    let (code, _, error) = import("rows.csv", &[]);
    assert_eq!(code, Some(2));
    assert!(
        error.contains("the model refuses 1 of the relationships, the first of them team:9#owner@user:eve"),
        "{error}"
    );
    assert!(!allowed(&server, &store, "eve", 0), "nothing was imported");
    let (code, said, error) = import("rows.csv", &["--skip-refused"]);
    assert_eq!((code, said.contains("2 relationships")), (Some(1), true), "{said} {error}");
    until("the grant", || allowed(&server, &store, "eve", 0));
    std::fs::write(at("rows.csv"), rows).unwrap();
    assert_eq!(import("rows.csv", &[]).0, Some(0), "again: what is there stays");
}

#[test]
fn who_asks_for_what_is_noted_and_a_log_that_is_gone_harms_no_answer() {
    let Some(backends) = Backends::new() else { return };
    let mut arguments = backends.arguments([true, true, true]);
    arguments.extend(["--set".to_owned(), "access_log.one_in=1".to_owned()]);
    let server = start(&arguments);
    let store = fill(&server, 3);
    assert!(allowed(&server, &store, "ann", 1) && allowed(&server, &store, "ann", 1));
    let key =
        |n: usize| json!({"tuple_key": {"user": "user:eve", "relation": "viewer", "object": format!("document:{n}")}});
    assert_eq!(sent(server.public, &format!("/stores/{store}/check"), &key(2))["allowed"], false);
    let mut item = key(0);
    item["correlation_id"] = json!("a");
    sent(server.public, &format!("/stores/{store}/batch-check"), &json!({"checks": [item]}));
    let noted = "SELECT subject, relation, object, allowed, count(*), sum(weight) FROM tiergate.access_log GROUP BY 1, 2, 3, 4 ORDER BY 3, 1";
    let rows = || -> Vec<String> {
        let rows = backends.database.psql(noted).unwrap();
        rows.into_iter().map(|row| row.into_iter().map(Option::unwrap).collect::<Vec<_>>().join(" ")).collect()
    };
    let expected =
        ["user:eve viewer document:0 f 1 1", "user:ann can_view document:1 t 2 2", "user:eve viewer document:2 f 1 1"];
    until("the notes", || rows() == expected);
    backends.database.psql("DROP TABLE tiergate.access_log CASCADE").unwrap();
    (0..50).for_each(|_| assert!(allowed(&server, &store, "ann", 1)));
}

#[test]
fn what_was_waited_for_is_counted_and_said_with_what_follows() {
    let Some(backends) = Backends::new() else { return };
    let server = start(&backends.arguments([false, true, false]));
    let store = fill(&server, 3);
    let pools = || answered(&exchange(server.admin, &get("/admin/v1/pools"))).1;
    until("the connections", || {
        allowed(&server, &store, "ann", 1) && pools()["redis"]["stored_bytes"].as_u64() > Some(0)
    });
    let pools = pools();
    assert_eq!(pools["postgres"]["connections"], 4, "{pools:#}");
    assert!(pools["postgres"]["lent"].as_u64() > Some(0) && pools["redis"]["breaker"] == "closed", "{pools:#}");
    assert_eq!(pools["postgres"]["advice"], "nothing to change");
}

#[test]
fn a_command_has_the_key_that_lies_in_postgres_and_a_dictionary_that_is_not_there_keeps_the_server_from_starting() {
    let Some(backends) = Backends::new() else { return };
    let arguments = backends.arguments([true, true, false]);
    let server = start(&arguments);
    let store = fill(&server, 3);
    assert!(allowed(&server, &store, "ann", 1));
    let settings: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let trained = run(&[&["cache", "train"], &settings[..]].concat());
    let said = format!("{}{}", text(&trained.stdout), text(&trained.stderr));
    assert_eq!(trained.status.code(), Some(1), "{said}");
    assert!(said.contains("and 100 are needed"), "there is a key, and there are too few values: {said}");
    let nowhere = ["--set", "redis.dictionaries.team_access=/nowhere/x.dict"];
    let refused = run(&[&["serve"], &settings[..], &nowhere].concat());
    assert_eq!(refused.status.code(), Some(2));
    assert!(text(&refused.stderr).contains("/nowhere/x.dict"), "{}", text(&refused.stderr));
}

/// What comes from Redis may contain a change that is unknown here, so that the log is asked before anything is composed of it: not over a
/// second connection of the evaluation's own, for which it might wait while all the others wait for theirs.
#[test]
fn an_evaluation_never_waits_for_a_connection_while_it_holds_one() {
    let Some(backends) = Backends::new() else { return };
    let mut arguments = backends.arguments([false, true, false]);
    arguments.extend(["--set".to_owned(), "postgres.connections=1".to_owned()]);
    let (one, two) = (start(&arguments), start(&arguments));
    let store = fill(&one, 40);
    until("parts in Redis", || source(&two, &store, "ann", 0) == "l2" || source(&one, &store, "ann", 0) == "l2");
    // Each document is new, and read from the origin; that ann is in the team is known from Redis.
    (1..40).for_each(|n| assert!(allowed(&two, &store, "ann", n)));
}

#[test]
fn views_are_made_and_kept_young_from_the_moment_their_tier_is_switched_on() {
    let Some(backends) = Backends::new() else { return };
    let server = start(&backends.arguments([true, false, false]));
    let store = fill(&server, 3);
    assert!(allowed(&server, &store, "ann", 0));
    let views = || {
        let (status, body) = answered(&exchange(server.admin, &get("/readyz")));
        assert_eq!(status, 200);
        body["dependencies"].to_string()
    };
    let budget = post("/admin/v1/tiers/l3", &json!({"budget_bytes": 1_u64 << 30}).to_string());
    assert_eq!(answered(&exchange(server.admin, &budget)).0, 400, "only memory has a budget");
    assert!(!views().contains("too old"), "nobody looks anything up in them: {}", views());
    let there = "SELECT count(*) FROM pg_matviews WHERE schemaname = 'tiergate'";
    assert_eq!(backends.database.psql(there).unwrap()[0][0].as_deref(), Some("0"));
    for (name, on) in [("l1", false), ("l3", true)] {
        let change = post(&format!("/admin/v1/tiers/{name}"), &json!({"enabled": on}).to_string());
        assert_eq!(answered(&exchange(server.admin, &change)).0, 200);
    }
    let hits = || {
        let (_, body) = answered(&exchange(server.admin, &get("/admin/v1/cache")));
        let tiers = body["tiers"].as_array().unwrap().clone();
        tiers.iter().find(|tier| tier["name"] == "l3").unwrap()["probes"]["hit"].as_u64().unwrap()
    };
    until("a look-up in a view", || allowed(&server, &store, "ann", 1) && hits() > 0);
}

#[test]
fn a_restart_keeps_its_hits_in_redis_and_another_instance_finds_them_too() {
    let Some(backends) = Backends::new() else { return };
    let arguments = backends.arguments([true, true, true]);
    let one = start(&arguments);
    let store = fill(&one, 150);
    (0..150).for_each(|n| assert!(allowed(&one, &store, "ann", n)));
    assert_eq!(source(&one, &store, "ann", 7), "l1");
    let two = start(&arguments);
    until("the last fill", || source(&two, &store, "ann", 149) != "origin");
    drop(one);
    let again = start(&arguments);
    // The key of the names in Redis lies in PostgreSQL, and is read in the background.
    until("the tier", || source(&again, &store, "ann", 0) == "l2" || source(&again, &store, "ann", 1) == "l2");
    let hits = (2..150).filter(|n| source(&again, &store, "ann", *n) == "l2").count();
    println!("after a restart {hits} of 148 questions are answered by Redis");
    assert!(hits >= 140, "{hits}");
}

#[test]
fn redis_that_dies_under_load_costs_no_error_and_no_answer_and_joins_again() {
    let Some(backends) = Backends::new() else { return };
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let mut arguments = backends.arguments([true, true, true]);
    arguments.extend(["--set".to_owned(), format!("redis.url={}", redis.url())]);
    arguments.extend(["--set".to_owned(), "redis.breaker.open_ms=200".to_owned()]);
    let server = start(&arguments);
    let store = fill(&server, 150);
    let mut slowest = Duration::ZERO;
    for round in 0..6 {
        match round {
            2 => redis.kill(),
            4 => redis.restart().unwrap(),
            _ => {}
        }
        for n in 0..150 {
            let begun = Instant::now();
            assert!(allowed(&server, &store, "ann", n));
            assert!(!allowed(&server, &store, &format!("stranger{round}"), n));
            slowest = slowest.max(begun.elapsed());
        }
        let (status, health) = ready(&server);
        assert_eq!(status, 200, "{health}");
        if round == 3 {
            assert_eq!(health["status"], "degraded", "{health}");
        }
    }
    until("the tier is well again", || ready(&server).1["status"] == "ready");
    println!("the slowest pair of answers took {slowest:?}");
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
}

#[test]
fn a_server_starts_without_its_parts_and_they_join_later() {
    let Some(postgres) = Postgres::start(&PostgresOptions::default()) else { return };
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let database = TestDatabase::create_on(&postgres.url(), "SELECT").unwrap();
    postgres.kill();
    redis.kill();
    let settings = [format!("postgres.url={}", database.url()), format!("redis.url={}", redis.url())];
    let arguments: Vec<String> = settings.into_iter().flat_map(|setting| ["--set".to_owned(), setting]).collect();
    let server = start(&arguments);
    let (status, health) = ready(&server);
    assert_eq!((status, &health["status"]), (503, &json!("not_ready")), "{health}");
    assert_eq!(send(server.public, "/stores", &json!({"name": "too early"})).0, 503);
    assert_eq!(send(server.public, "/access/v1/evaluation", &question("ann", 1)).0, 503, "unknown is never allow");
    postgres.restart().unwrap();
    until("the origin joins", || ready(&server).1["status"] == "degraded");
    let store = fill(&server, 3);
    assert!(allowed(&server, &store, "ann", 1));
    redis.restart().unwrap();
    until("the tier joins", || ready(&server).1["status"] == "ready");
    // Gone and back once more: nothing is answered wrongly, and nobody has to restart the server.
    postgres.kill();
    until("the loss is noticed", || ready(&server).0 == 503);
    assert_eq!(
        send(
            server.public,
            &format!("/stores/{store}/write"),
            &json!({"deletes": {"tuple_keys": [
                {"user": "user:ann", "relation": "member", "object": "team:9"}
            ]}})
        )
        .0,
        503
    );
    postgres.restart().unwrap();
    until("the origin is back", || ready(&server).0 == 200);
    assert!(allowed(&server, &store, "ann", 2));
}
