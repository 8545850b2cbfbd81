//! PostgreSQL goes away, is locked, or has no connection left, while servers run: what is cached is answered as long as it may be, all the rest is refused in
//! time, and all is well again when PostgreSQL is.
#![allow(clippy::print_stdout, reason = "a test says what it measured")]
#![allow(clippy::disallowed_methods, reason = "leases run in other processes, in real time")]

use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::json;
use test_services::{Postgres, PostgresOptions, Session, TestDatabase, shared_redis};

use crate::combinations::Backends;
use crate::fates::{repeat_until_done, says_that_it_is_not_known};
use crate::support::child::Server;
use crate::support::client::{
    Answer, PAUSE, allowed, ask, fetch, fill, grant, revoke, shared, start, until, until_cached,
};

/// `postgres.lease_ms`, unless a test says something else.
const LEASE: Duration = Duration::from_secs(1);
/// The same where PostgreSQL goes away: so long that some of it is left by then.
const LONG_LEASE: Duration = Duration::from_secs(2);
/// `postgres.max_outage_stale_ms` of the server that has one.
const STALE: Duration = Duration::from_secs(3);
/// How long a request takes at most, with what a loaded machine adds.
const REQUEST: Duration = Duration::from_secs(3 + 2);

fn refused(answer: &Answer) {
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(answer.head.contains("retry-after: 1"), "{}", answer.head);
}

fn ready(server: &Server) -> Answer {
    fetch(server.admin, "/readyz")
}

/// What a server answered about ann, and when it was asked.
struct Asked {
    at: Instant,
    answer: Answer,
}

impl Asked {
    fn is_allow(&self) -> bool {
        self.answer.status == 200 && self.answer.body["decision"] == true
    }
}

fn ask_until(server: &Server, store: &str, end: Instant) -> Vec<Asked> {
    let mut all = Vec::new();
    while Instant::now() < end {
        let at = Instant::now();
        all.push(Asked { at, answer: ask(server, store, "ann") });
        sleep(PAUSE);
    }
    all
}

/// Nobody was allowed by anything but what was cached, and nobody by that once its time was over.
fn judge(asked: &[Asked], is_over: Instant) {
    for Asked { at, answer } in asked {
        match answer.status {
            200 => assert!(*at < is_over, "answered from what was cached {:?} too late", *at - is_over),
            _ => refused(answer),
        }
    }
    assert!(asked.iter().any(|asked| asked.at >= is_over), "nobody asked so late");
}

/// Whatever stands still goes on in the end, also where a test fails: nothing else could end.
struct GoesOn<'a>(&'a Postgres);

impl Drop for GoesOn<'_> {
    fn drop(&mut self) {
        self.0.resume();
    }
}

/// Two servers, with memory and Redis, over a PostgreSQL that goes away and comes back: one may answer no longer than its lease, the other one for a
/// while more. What they say to who wants to change something meanwhile is looked at by the caller.
fn without_postgres(go: impl Fn(&Postgres), meanwhile: impl Fn(&Answer), come_back: impl Fn(&Postgres)) {
    let Some(redis) = shared_redis() else { return };
    let Some(postgres) = Postgres::start(&PostgresOptions::default()) else { return };
    let database = TestDatabase::create_on(&postgres.url(), "SELECT").unwrap();
    let namespace = redis.prefix().trim_end_matches(':').to_owned();
    let over = |stale: Duration| {
        let settings = [
            format!("postgres.url={}", database.url()),
            format!("postgres.lease_ms={}", LONG_LEASE.as_millis()),
            format!("postgres.max_outage_stale_ms={}", stale.as_millis()),
            format!("redis.url={}", redis.url()),
            format!("redis.namespace={namespace}"),
            "http.request_timeout_ms=1000".to_owned(),
            // Nobody reads what it logs, and it would wait for that.
            "log.level=off".to_owned(),
        ];
        Server::start(&settings.iter().flat_map(|set| ["--set", set]).collect::<Vec<_>>())
    };
    let (strict, bounded) = (over(Duration::ZERO), over(STALE));
    let store = fill(&strict);
    for user in ["ann", "bob"] {
        assert_eq!(grant(&strict, &store, user).status, 200);
    }
    until_cached(&bounded, &store, "ann");
    until_cached(&strict, &store, "ann");
    let _goes_on = GoesOn(&postgres);
    go(&postgres);
    // The last renewal was sent earlier.
    let gone = Instant::now();
    let (strictly, boundedly) = (gone + LONG_LEASE, gone + LONG_LEASE + STALE);
    let end = boundedly + Duration::from_secs(2);
    let [by_strict, by_bounded] = std::thread::scope(|scope| {
        let asking = [&strict, &bounded].map(|server| scope.spawn(|| ask_until(server, &store, end)));
        let changing = [&strict, &bounded].map(|server| scope.spawn(|| revoke(server, &store, "bob", "")));
        for answer in changing.map(|changing| changing.join().unwrap()) {
            meanwhile(&answer);
        }
        asking.map(|asking| asking.join().unwrap())
    });
    judge(&by_strict, strictly);
    judge(&by_bounded, boundedly);
    let last = |asked: &[Asked]| asked.iter().rfind(|asked| asked.is_allow()).map(|asked| asked.at - gone);
    println!("allowed for {:?} within a lease, and for {:?} with {STALE:?} more", last(&by_strict), last(&by_bounded));
    assert!(last(&by_strict).is_some(), "a lease outlives its last renewal");
    // Less by the time between two renewals, and what a loaded machine adds to that.
    assert!(last(&by_bounded) >= Some(STALE), "what an operator allows is made use of");
    come_back(&postgres);
    let back = Instant::now();
    for server in [&strict, &bounded] {
        until("it answers again", || ask(server, &store, "ann").status == 200);
        until("it is ready", || ready(server).status == 200);
    }
    println!("both answer again {:?} after PostgreSQL came back", back.elapsed());
    repeat_until_done(&strict, &store);
    assert_eq!([&strict, &bounded].map(|server| allowed(server, &store, "ann")), [false; 2]);
}

#[test]
fn without_postgres_what_is_cached_is_answered_as_long_as_it_may_be_and_changes_are_refused() {
    without_postgres(Postgres::kill, refused, |postgres| postgres.restart().unwrap());
}

/// Connections stay open, and nothing is answered: a change may be made when PostgreSQL goes on.
#[test]
fn while_postgres_is_stopped_what_is_cached_is_answered_as_long_as_it_may_be_and_changes_are_not_known() {
    without_postgres(Postgres::pause, says_that_it_is_not_known, Postgres::resume);
}

fn timed(work: impl FnOnce() -> Answer) -> (Answer, Duration) {
    let begun = Instant::now();
    (work(), begun.elapsed())
}

/// What an allow that is cached is answered from. On a loaded machine a lease may be over for a moment, or Redis be late.
fn source(server: &Server, store: &str, user: &str) -> String {
    let mut source = None;
    until("a hit is answered", || {
        let answer = ask(server, store, user);
        if answer.status == 200 {
            assert_eq!(answer.body["decision"], json!(true), "{user}: {}", answer.body);
            source = answer.body["context"]["source"].as_str().map(str::to_owned);
        }
        source.is_some()
    });
    source.unwrap_or_default()
}

#[test]
fn while_a_lock_keeps_everybody_from_the_relationships_hits_are_answered_and_all_the_rest_is_refused_in_time() {
    let Some(backends) = Backends::new() else { return };
    let [one, two] = ["one", "two"].map(|name| start(&backends, name, &["cache.l3.enabled=false"]));
    let store = fill(&one);
    let names = |prefix: &str, count: usize| (0..count).map(|n| format!("{prefix}{n}")).collect::<Vec<_>>();
    let (known, new) = (names("known", 8), names("new", 20));
    for user in known.iter().chain(&new) {
        assert_eq!(grant(&one, &store, user).status, 200);
    }
    // It has the model, and its place in Redis.
    assert!(allowed(&two, &store, "new0"));
    until("its tier joins", || fetch(two.admin, "/admin/v1/pools").body["redis"].is_object());
    known.iter().for_each(|user| until_cached(&one, &store, user));
    until("all lie in Redis", || known.iter().all(|user| shared(&one, &store, user, "1") == Some(true)));

    let mut session = Session::new(backends.database.url());
    session.psql("BEGIN; LOCK TABLE tiergate.tuples IN ACCESS EXCLUSIVE MODE").unwrap();
    let waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'relation'";
    std::thread::scope(|scope| {
        let questions = new[1..].iter().flat_map(|user| [(&one, user), (&two, user)]);
        let store = &*store;
        let mut asking: Vec<_> =
            questions.map(|(server, user)| scope.spawn(move || timed(|| ask(server, store, user)))).collect();
        asking.push(scope.spawn(|| timed(|| revoke(&two, store, "known0", ""))));
        until("they wait", || !backends.database.psql(waiting).unwrap().is_empty());
        let sources: Vec<_> = known.iter().map(|user| [&one, &two].map(|server| source(server, store, user))).collect();
        assert!(
            sources.iter().any(|[one, _]| one == "l1") && sources.iter().any(|[_, two]| two == "l2"),
            "{sources:?}"
        );
        let mut slowest = Duration::ZERO;
        for (answer, took) in asking.into_iter().map(|asking| asking.join().unwrap()) {
            refused(&answer);
            slowest = slowest.max(took);
        }
        println!("the last one was refused after {slowest:?}");
        assert!(slowest < REQUEST, "{slowest:?}");
    });
    session.psql("ROLLBACK").unwrap();

    for server in [&one, &two] {
        until("it is answered again", || ask(server, &store, "new1").status == 200);
        assert!(known.iter().chain(&new).all(|user| allowed(server, &store, user)), "what was refused was not made");
    }
    assert_eq!(revoke(&two, &store, "known0", "").status, 200);
    assert_eq!([&one, &two].map(|server| allowed(server, &store, "known0")), [false; 2]);
}

/// Connections that others have open, until there are none left.
#[derive(Default)]
struct Others(Vec<Session>);

impl Others {
    fn take_all(&mut self, url: &str) {
        loop {
            let mut session = Session::new(url);
            match session.psql("SELECT 1") {
                Ok(_) => self.0.push(session),
                Err(error) => {
                    assert!(error.to_string().contains("too many clients"), "{error}");
                    return;
                }
            }
        }
    }
}

/// Says clearly what is wrong, and what to do.
fn says_that_there_are_too_many(server: &Server) -> bool {
    let answer = ready(server);
    let text = answer.body["checks"].to_string();
    answer.status == 503 && text.contains("PostgreSQL has no connection left; raise its max_connections")
}

#[test]
fn where_others_have_taken_all_connections_a_server_goes_on_with_its_own_and_one_without_any_joins_when_there_are_some()
{
    let Some(postgres) = Postgres::start(&PostgresOptions::default().max_connections(40)) else { return };
    let database = TestDatabase::create_on(&postgres.url(), "SELECT").unwrap();
    let over = |name: &str| {
        let settings = [
            format!("postgres.url={}", database.url()),
            format!("server.instance={name}"),
            "postgres.connections=4".to_owned(),
            "cache.l3.enabled=false".to_owned(),
        ];
        Server::start(&settings.iter().flat_map(|set| ["--set", set]).collect::<Vec<_>>())
    };
    let one = over("one");
    let store = fill(&one);
    for user in ["ann", "bob", "eve"] {
        assert_eq!(grant(&one, &store, user).status, 200);
    }
    until_cached(&one, &store, "ann");
    let mut operator = Session::new(database.url());
    operator.psql("SELECT 1").unwrap();
    let mut others = Others::default();
    others.take_all(database.url());

    assert!(allowed(&one, &store, "ann") && allowed(&one, &store, "bob"), "from memory, and from the origin");
    assert_eq!(revoke(&one, &store, "ann", "").status, 200);
    assert!(!allowed(&one, &store, "ann"));
    until("it is ready", || ready(&one).status == 200);

    let begun = Instant::now();
    let mut two = over("two");
    until("it says why it is not ready", || says_that_there_are_too_many(&two));
    refused(&ask(&two, &store, "bob"));
    let failures = || fetch(two.admin, "/admin/v1/pools").body["postgres"]["open_failures"].as_u64().unwrap();
    until("it has tried again and again", || failures() >= 6);
    // Its pauses are 100 ms at first and twice as long each time.
    assert!(
        begun.elapsed() >= Duration::from_millis(1_500),
        "after each failure it waits longer: {:?}",
        begun.elapsed()
    );
    others.0.clear();
    until("it joins", || ready(&two).status == 200);
    assert_eq!(revoke(&two, &store, "bob", "").status, 200);
    assert_eq!([&one, &two].map(|server| allowed(server, &store, "bob")), [false; 2]);

    // Both lose what they have, and others are faster.
    [&one, &two].iter().for_each(|server| until_cached(server, &store, "eve"));
    let ours = "FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'tiergate'";
    until("they have lost all", || {
        operator.psql(&format!("SELECT pg_terminate_backend(pid) {ours}")).unwrap();
        others.take_all(database.url());
        operator.psql(&format!("SELECT 1 {ours}")).unwrap().is_empty()
    });
    let lost = Instant::now();
    for server in [&one, &two] {
        until("it says what it lacks", || says_that_there_are_too_many(server));
        until("its lease is over", || {
            let at = Instant::now();
            let answer = ask(server, &store, "eve");
            assert!(answer.status == 503 || at < lost + LEASE, "answered {:?} after the last renewal", at - lost);
            answer.status == 503
        });
        refused(&revoke(server, &store, "eve", ""));
    }
    others.0.clear();
    for server in [&one, &two] {
        until("it joins again", || ready(server).status == 200 && ask(server, &store, "eve").status == 200);
        assert!(allowed(server, &store, "eve"), "what was refused was not made");
    }
    assert_eq!(revoke(&one, &store, "eve", "").status, 200);
    assert_eq!([&one, &two].map(|server| allowed(server, &store, "eve")), [false; 2]);
    two.terminate();
    let (code, log) = two.ended();
    assert_eq!(code, Some(0), "{log}");
    assert!(log.contains("(53300)") && log.contains("raise max_connections of the server"), "{log}");
}
