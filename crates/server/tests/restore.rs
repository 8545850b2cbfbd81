//! Restoring PostgreSQL by the book, which is docs/OPERATIONS.md, with the programs that an operator has; and what the book says of those who don't.
#![allow(clippy::print_stdout, reason = "a test says what it measured")]
#![allow(clippy::disallowed_methods, reason = "leases run in other processes, in real time")]

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde_json::json;
use test_services::{Postgres, PostgresOptions, Redis, RedisOptions, TestDatabase, psql};

use crate::support::child::Server;
use crate::support::client::{
    Answer, allowed, ask, fetch, fill, grant, member, revoke, send, shared, signal, until, until_cached,
};
use crate::support::wire::{exchange, post_with};

/// Who is in the team in the backup.
const BACKED_UP: [(&str, bool); 3] = [("ann", true), ("bob", true), ("eve", false)];
/// And after it, in what the backup never had: ann was revoked, eve was granted.
const LOST: [(&str, bool); 3] = [("ann", false), ("bob", true), ("eve", true)];

/// So many numbers of transactions are used up before anything is dumped: more than are given after a restore into another server.
const NUMBERS: u32 = 20_000;

const EVERY_TIER: [bool; 3] = [true, true, true];
const VIEWS_ONLY: [bool; 3] = [false, false, true];

/// An instance, ready, with views of this age at most.
fn instance(url: &str, redis: &Redis, name: &str, tiers: [bool; 3], refresh_seconds: u32) -> Server {
    let tiers = ["l1", "l2", "l3"].into_iter().zip(tiers).map(|(tier, on)| format!("cache.{tier}.enabled={on}"));
    let others = [
        format!("postgres.url={url}"),
        format!("redis.url={}", redis.url()),
        format!("server.instance={name}"),
        format!("cache.l3.refresh_seconds={refresh_seconds}"),
        "postgres.connections=4".to_owned(),
    ];
    let all: Vec<String> = tiers.chain(others).flat_map(|setting| ["--set".to_owned(), setting]).collect();
    let server = Server::start(&all.iter().map(String::as_str).collect::<Vec<_>>());
    until_ready(&server);
    server
}

fn until_ready(server: &Server) {
    until("it is ready", || fetch(server.public, "/readyz").status == 200);
}

/// Ends instances as an operator does.
fn stop(instances: impl IntoIterator<Item = Server>) {
    let mut instances: Vec<Server> = instances.into_iter().collect();
    instances.iter().for_each(Server::terminate);
    for instance in &mut instances {
        assert_eq!(instance.ended().0, Some(0));
    }
}

fn cell(database: &TestDatabase, question: &str) -> String {
    database.psql(question).unwrap()[0][0].clone().unwrap()
}

/// The number that the next transaction gets.
fn number(database: &TestDatabase) -> u64 {
    cell(database, "SELECT pg_snapshot_xmax(pg_current_snapshot())").parse().unwrap()
}

fn use_up(database: &TestDatabase, numbers: u32) {
    let each = "PERFORM pg_current_xact_id(); COMMIT;";
    database.psql(&format!("DO $$ BEGIN FOR i IN 1..{numbers} LOOP {each} END LOOP; END $$")).unwrap();
}

fn history(database: &TestDatabase) -> String {
    cell(database, "SELECT tiergate.history()")
}

/// Step 3 of the book.
fn begin_another_history(database: &TestDatabase) {
    database.psql("SELECT tiergate.new_epoch()").unwrap();
}

/// Runs a client of PostgreSQL to its end.
fn run<A: AsRef<OsStr>>(program: &str, arguments: impl IntoIterator<Item = A>) -> Output {
    Postgres::client(program).unwrap().args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn dump(database: &TestDatabase, to: &Path, how: &[&str]) {
    let fixed = [OsStr::new("--format=custom"), "--file".as_ref(), to.as_ref(), database.url().as_ref()];
    let output = run("pg_dump", how.iter().map(OsStr::new).chain(fixed));
    assert!(output.status.success(), "{}", said(&output));
}

fn restore(dump: &Path, into: &str, how: &[&str]) -> Output {
    let fixed = [OsStr::new("--dbname"), into.as_ref(), dump.as_ref()];
    run("pg_restore", how.iter().map(OsStr::new).chain(fixed))
}

/// The files of a server that is stopped, beside it.
struct Files {
    data: PathBuf,
    copy: PathBuf,
}

impl Files {
    /// Copies them.
    fn copy(postgres: &Postgres) -> Self {
        let data = PathBuf::from(psql(&postgres.url(), "SHOW data_directory").unwrap()[0][0].clone().unwrap());
        let copy = data.with_file_name("copy");
        postgres.stop();
        assert!(Command::new("cp").arg("-a").args([&data, &copy]).status().unwrap().success());
        postgres.restart().unwrap();
        Self { data, copy }
    }

    /// Puts the copy in their place.
    fn put_back(&self, postgres: &Postgres) {
        postgres.stop();
        std::fs::remove_dir_all(&self.data).unwrap();
        std::fs::rename(&self.copy, &self.data).unwrap();
        postgres.restart().unwrap();
    }
}

/// Two instances, and a store as the backup is going to have it.
fn backed_up(database: &TestDatabase, redis: &Redis) -> ([Server; 2], String) {
    let instances = ["one", "two"].map(|name| instance(database.url(), redis, name, EVERY_TIER, 1));
    let store = fill(&instances[0]);
    for (user, _) in BACKED_UP.iter().filter(|(_, is_member)| *is_member) {
        assert_eq!(grant(&instances[0], &store, user).status, 200);
    }
    (instances, store)
}

/// A future that the backup does not have, and what clients keep of it.
struct Lost {
    history: String,
    /// Above every number that it gave.
    number: u64,
    of_a_change: String,
    of_an_answer: String,
    of_changes: String,
}

impl Lost {
    /// Changes what the backup says, and sees to it that everybody has it cached: each instance in its memory, and all of them in Redis and in views.
    fn pass(instances: &[Server; 2], store: &str, database: &TestDatabase) -> Self {
        let [one, two] = instances;
        assert_eq!(grant(one, store, "eve").status, 200);
        let revoked = revoke(two, store, "ann", "?wait=all");
        assert_eq!(revoked.status, 200, "{}", revoked.body);
        for (user, truth) in LOST {
            for server in instances {
                assert_eq!(allowed(server, store, user), truth, "{user}");
                until_cached(server, store, user);
            }
            until_shared(one, store, user, truth);
        }
        until("it is in a view", || {
            cell(database, "SELECT count(*) FROM tiergate.authorization_context_v1 v WHERE v::text LIKE '%eve%'") == "1"
        });
        let changes = fetch(one.public, &format!("/stores/{store}/changes"));
        Self {
            history: history(database),
            number: number(database),
            of_a_change: revoked.token().to_owned(),
            of_an_answer: ask(one, store, "eve").token().to_owned(),
            of_changes: changes.body["continuation_token"].as_str().unwrap().to_owned(),
        }
    }
}

/// Waits until a decision lies where all instances find it.
fn until_shared(server: &Server, store: &str, user: &str, decision: bool) {
    until("it is in Redis", || shared(server, store, user, "1") == Some(decision));
}

/// Step 4 of the book, and what has to hold from then on.
fn start_again(database: &TestDatabase, redis: &Redis, store: &str, lost: &Lost) {
    assert_ne!(history(database), lost.history);
    // They leave the views as they were restored.
    let instances = [("one", EVERY_TIER), ("two", EVERY_TIER), ("three", VIEWS_ONLY)]
        .map(|(name, tiers)| instance(database.url(), redis, name, tiers, 3_600));
    nothing_from_before_is_served(&instances, store);
    tokens_from_before_are_refused(&instances[1], store, lost);
    changes_are_in_force_everywhere_when_they_are_acknowledged(&instances, store);
    what_changed_is_told_in_its_order(&instances[0], store);

    // What is cached from now on is used again, in every tier.
    for server in &instances[..2] {
        until_cached(server, store, "ann");
    }
    until_shared(&instances[0], store, "ann", true);
    let refreshing = instance(database.url(), redis, "four", VIEWS_ONLY, 1);
    let hits = || {
        assert!(allowed(&refreshing, store, "ann"));
        let tiers = fetch(refreshing.admin, "/admin/v1/cache").body["tiers"].as_array().unwrap().clone();
        tiers.iter().find(|tier| tier["name"] == "l3").unwrap()["probes"]["hit"].as_u64().unwrap()
    };
    until("a look-up in a view", || hits() > 0);
    stop(instances.into_iter().chain([refreshing]));
}

fn nothing_from_before_is_served(instances: &[Server], store: &str) {
    for (user, truth) in BACKED_UP {
        let first = ask(&instances[0], store, user);
        assert_eq!(first.body["context"]["source"], "origin", "{user}: {}", first.body);
        for _ in 0..3 {
            for (n, server) in instances.iter().enumerate() {
                assert_eq!(allowed(server, store, user), truth, "{user} at instance {n}");
            }
        }
    }
}

fn tokens_from_before_are_refused(server: &Server, store: &str, lost: &Lost) {
    let path = format!("/stores/{store}/check");
    let question =
        json!({"tuple_key": {"user": "user:ann", "relation": "can_view", "object": "document:1"}}).to_string();
    for token in [&lost.of_a_change, &lost.of_an_answer] {
        let header = format!("tiergate-at-least: {token}");
        let answer = Answer::of(&exchange(server.public, &post_with(&path, &header, &question)));
        assert_eq!((answer.status, &answer.body["code"]), (400, &json!("invalid_token")), "{}", answer.body);
        assert!(answer.body["message"].as_str().unwrap().contains("of another history"), "{}", answer.body);
    }
    let answer = fetch(server.public, &format!("/revocations/{}", lost.of_a_change));
    assert_eq!((answer.status, &answer.body["code"]), (404, &json!("another_history")), "{}", answer.body);
    assert!(answer.body["message"].as_str().unwrap().contains("was restored"), "{}", answer.body);
    let answer = fetch(server.public, &format!("/stores/{store}/changes?continuation_token={}", lost.of_changes));
    assert_eq!((answer.status, &answer.body["code"]), (400, &json!("invalid_continuation_token")), "{}", answer.body);
}

/// Users come and go, and the one who asks next gets the truth wherever it asks. In the end they are as they were backed up.
fn changes_are_in_force_everywhere_when_they_are_acknowledged(instances: &[Server], store: &str) {
    let everywhere = |user: &str, truth: bool| {
        let decisions: Vec<bool> = instances.iter().map(|server| allowed(server, store, user)).collect();
        assert_eq!(decisions, vec![truth; instances.len()], "{user}");
    };
    for round in 0..6 {
        let writer = &instances[round % instances.len()];
        for (user, was_there) in BACKED_UP {
            let changes = if was_there { ["revoke", "grant"] } else { ["grant", "revoke"] };
            for change in changes {
                let answer = match change {
                    "grant" => grant(writer, store, user),
                    _ => revoke(writer, store, user, "?wait=all"),
                };
                assert_eq!(answer.status, 200, "round {round}, {change} {user}: {}", answer.body);
                everywhere(user, change == "grant");
                let standing = fetch(writer.public, &format!("/revocations/{}", answer.token()));
                assert_eq!((standing.status, &standing.body["confirmed_by"]), (200, &json!(3)), "{}", standing.body);
            }
        }
    }
    // One that changes nothing is answered once what it rests on is in force.
    let again = json!({"writes": {"tuple_keys": member("bob")["tuple_keys"], "on_duplicate": "ignore"}});
    let answer = send(instances[0].public, &format!("/stores/{store}/write"), &again);
    assert_eq!(answer.status, 200, "{}", answer.body);
}

fn what_changed_is_told_in_its_order(server: &Server, store: &str) {
    let answer = fetch(server.public, &format!("/stores/{store}/changes?page_size=100"));
    assert_eq!(answer.status, 200, "{}", answer.body);
    let changes = answer.body["changes"].as_array().unwrap();
    let users: Vec<&str> = changes.iter().map(|change| change["tuple_key"]["user"].as_str().unwrap()).collect();
    // Those of the backup, and then those of each round.
    assert_eq!(users[..5], ["team:9#member", "user:ann", "user:bob", "user:ann", "user:ann"], "{}", answer.body);
    assert_eq!(changes.len(), 3 + 6 * 6, "{}", answer.body);
    let answer = fetch(
        server.public,
        &format!("/stores/{store}/changes?continuation_token={}", answer.body["continuation_token"].as_str().unwrap()),
    );
    assert_eq!(answer.body["changes"], json!([]), "nothing is told twice");
}

#[test]
fn a_dump_restored_by_the_book_into_a_server_with_lower_numbers_is_all_that_anybody_knows() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let Some(broken) = Postgres::start(&PostgresOptions::default()) else { return };
    let Some(new) = Postgres::start(&PostgresOptions::default()) else { return };
    let before = TestDatabase::create_on(&broken.url(), "SELECT").unwrap();
    use_up(&before, NUMBERS);
    let (instances, store) = backed_up(&before, &redis);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tiergate.dump");
    dump(&before, &file, &[]);
    let lost = Lost::pass(&instances, &store, &before);

    stop(instances);
    broken.stop();
    let restored = TestDatabase::create_on(&new.url(), "SELECT").unwrap();
    let output = restore(&file, restored.url(), &["--exit-on-error"]);
    assert!(output.status.success(), "{}", said(&output));
    assert!(is_guarded(&restored), "the guard came along");
    let kept: u64 = cell(&restored, "SELECT max(xid) FROM tiergate.log").parse().unwrap();
    begin_another_history(&restored);
    start_again(&restored, &redis, &store, &lost);
    assert!(number(&restored) < kept.min(lost.number), "the numbers were not lower: the test shows less");

    // Also once the numbers have come to where those of before ended.
    use_up(&restored, NUMBERS);
    assert!(number(&restored) > lost.number);
    let again = instance(restored.url(), &redis, "again", EVERY_TIER, 1);
    tokens_from_before_are_refused(&again, &store, &lost);
    for (user, truth) in BACKED_UP {
        assert_eq!(allowed(&again, &store, user), truth, "{user}");
    }
    what_changed_is_told_in_its_order(&again, &store);
}

#[test]
fn files_put_back_by_the_book_are_all_that_anybody_knows() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let Some(postgres) = Postgres::start(&PostgresOptions::default()) else { return };
    let database = TestDatabase::create_on(&postgres.url(), "SELECT").unwrap();
    let (instances, store) = backed_up(&database, &redis);
    let files = Files::copy(&postgres);
    instances.iter().for_each(until_ready);
    let lost = Lost::pass(&instances, &store, &database);

    stop(instances);
    files.put_back(&postgres);
    assert_eq!(history(&database), lost.history, "nothing but step 3 tells them apart");
    begin_another_history(&database);
    start_again(&database, &redis, &store, &lost);
}

/// `more` numbers are used up in the copy before anybody looks, so that its transactions alone tell nothing.
fn an_older_copy_while_instances_run(more: u32) {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let Some(postgres) = Postgres::start(&PostgresOptions::default()) else { return };
    let database = TestDatabase::create_on(&postgres.url(), "SELECT").unwrap();
    let (instances, store) = backed_up(&database, &redis);
    let files = Files::copy(&postgres);
    instances.iter().for_each(until_ready);
    let lost = Lost::pass(&instances, &store, &database);

    instances.iter().for_each(|server| signal(server, "-STOP"));
    files.put_back(&postgres);
    use_up(&database, more);
    assert_eq!(number(&database) > lost.number, more > 0);
    instances.iter().for_each(|server| signal(server, "-CONT"));
    let begun = Instant::now();
    for server in &instances {
        until("it is noticed", || reason(server).contains("restart"));
    }
    println!("noticed after {:?}: {}", begun.elapsed(), reason(&instances[0]));
    // Some leases: whatever would come back by itself does so in that time. Not too often: each refusal is logged, which nobody reads here.
    for _ in 0..10 {
        for server in &instances {
            for (user, _) in LOST {
                assert_eq!(ask(server, &store, user).status, 503, "{user}");
            }
            assert_eq!(grant(server, &store, "kim").status, 503);
            assert_eq!(revoke(server, &store, "bob", "").status, 503);
            assert_eq!(fetch(server.public, "/readyz").status, 503);
            let reason = reason(server);
            assert!(reason.contains("restart") && reason.contains("new_epoch"), "{reason}");
        }
        std::thread::sleep(Duration::from_millis(300));
    }
    assert_eq!(cell(&database, "SELECT count(*) FROM tiergate.tuples WHERE subject_id = 'kim'"), "0");

    stop(instances);
    begin_another_history(&database);
    start_again(&database, &redis, &store, &lost);
}

/// Why an instance can't answer, as its operator is told.
fn reason(server: &Server) -> String {
    let health = fetch(server.admin, "/readyz");
    let checks = health.body["checks"].as_array().unwrap();
    let origin = checks.iter().find(|check| check["name"] == "origin").unwrap();
    origin["message"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn an_instance_that_runs_while_older_files_are_put_in_place_answers_nothing_once_it_has_noticed() {
    an_older_copy_while_instances_run(0);
}

#[test]
fn an_older_copy_that_has_given_as_many_numbers_is_noticed_too() {
    an_older_copy_while_instances_run(NUMBERS);
}

#[test]
fn data_alone_is_refused_by_the_guard_where_the_tables_are() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let Some(postgres) = Postgres::start(&PostgresOptions::default()) else { return };
    let full = TestDatabase::create_on(&postgres.url(), "SELECT").unwrap();
    let server = instance(full.url(), &redis, "full", EVERY_TIER, 1);
    let store = fill(&server);
    assert_eq!(grant(&server, &store, "ann").status, 200);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tiergate.dump");
    dump(&full, &file, &[]);

    let tables = TestDatabase::create_on(&postgres.url(), "SELECT").unwrap();
    stop([instance(tables.url(), &redis, "tables", EVERY_TIER, 1)]);
    let data_only = ["--data-only", "--disable-triggers"];
    let refused = "would no longer reach the invalidation log";
    let some = ["--exit-on-error", "--table=stores", "--table=models", "--table=tuples"];
    let output = restore(&file, tables.url(), &[&data_only, &some[..]].concat());
    assert_eq!((output.status.code(), said(&output).contains(refused)), (Some(1), true), "{}", said(&output));
    assert_eq!(cell(&tables, "SELECT count(*) FROM tiergate.stores"), "0");
    // Of its own accord pg_restore goes on, and says at the end that it could not do all of it.
    let output = restore(&file, tables.url(), &data_only);
    assert_eq!((output.status.code(), said(&output).contains(refused)), (Some(1), true), "{}", said(&output));
    assert!(said(&output).contains("errors ignored on restore"), "{}", said(&output));
    assert!(is_guarded(&tables));
    let off = "SELECT count(*) FROM pg_trigger t JOIN tiergate.guarded g ON t.tgrelid = g.target AND t.tgname = ANY (g.triggers) WHERE t.tgenabled <> 'A'";
    assert_eq!(cell(&tables, off), "0", "whatever came in was logged");
    let output = restore(&file, tables.url(), &["--exit-on-error"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
}

#[test]
fn a_dump_of_the_schema_leaves_the_guard_to_whoever_may_install_it() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let Some(postgres) = Postgres::start(&PostgresOptions::default()) else { return };
    let empty = || TestDatabase::create_on(&postgres.url(), "SELECT").unwrap();
    let full = empty();
    let server = instance(full.url(), &redis, "full", EVERY_TIER, 1);
    let store = fill(&server);
    assert_eq!(grant(&server, &store, "ann").status, 200);
    let directory = tempfile::tempdir().unwrap();
    let (whole, schema) = (directory.path().join("whole.dump"), directory.path().join("schema.dump"));
    dump(&full, &whole, &[]);
    dump(&full, &schema, &["--schema=tiergate"]);

    let by_superuser = empty();
    let output = restore(&schema, by_superuser.url(), &["--exit-on-error"]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(cell(&by_superuser, "SELECT tiergate.install_guard()"), "t");
    assert!(is_guarded(&by_superuser));

    let by_role = [empty(), empty()];
    by_role[0].psql("CREATE ROLE app LOGIN PASSWORD 'secret'").unwrap();
    let [refused, url] = by_role.each_ref().map(|database| {
        database.psql(&format!("ALTER DATABASE {} OWNER TO app", database.name())).unwrap();
        format!("postgres://app:secret@{}/{}", postgres.address(), database.name())
    });
    let how = ["--exit-on-error", "--no-owner"];
    let output = restore(&whole, &refused, &how);
    assert!(!output.status.success() && said(&output).contains("event trigger"), "{}", said(&output));
    let output = restore(&schema, &url, &how);
    assert!(output.status.success(), "{}", said(&output));
    psql(&url, "SELECT tiergate.new_epoch()").unwrap();
    assert!(allowed(&instance(&url, &redis, "app", EVERY_TIER, 1), &store, "ann"));
}

/// Whether what would keep changes from the log is refused.
fn is_guarded(database: &TestDatabase) -> bool {
    let refused = database.psql("ALTER TABLE tiergate.tuples DISABLE TRIGGER ALL");
    refused.is_err_and(|error| error.to_string().contains("would no longer reach the invalidation log"))
}
