//! Changes whose writer gets no answer, or one that does not tell: whoever repeats such a change, at any server, and asks to ignore what is done already, is
//! answered once it is in force everywhere, and it is done once.
//!
//! Deletions are held in their statement or in their commit by a trigger that waits for a lock, so that the moment is known.
#![allow(clippy::print_stdout, reason = "a test says what it measured")]
#![allow(clippy::disallowed_methods, reason = "what is waited for happens in other processes, in real time")]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use fault_proxy::{Direction, Fault, Proxy};
use serde_json::{Value, json};
use test_services::{Postgres, PostgresOptions, Session, TestDatabase};

use crate::combinations::Backends;
use crate::support::child::Server;
use crate::support::client::{
    Answer, PATIENCE, PAUSE, allowed, ask, fetch, fill, grant, member, send, signal, start, until, until_cached,
};
use crate::support::wire::{exchange, post_with};

/// What others wait for a server that is gone, by the documentation: its lease and a tenth of a second.
const LEASE_AND_MARGIN: Duration = Duration::from_millis(1_000 + 100);
/// What a machine may need that does much else.
const ROOM: Duration = Duration::from_millis(1_500);
/// A statement that is held is not given up meanwhile, nor an acknowledgement that takes its time.
const PATIENT: [&str; 3] =
    ["postgres.lock_timeout_ms=15000", "postgres.statement_timeout_ms=15000", "postgres.acknowledge_timeout_ms=2800"];
/// What both attempts at the same change are called.
const REQUEST: &str = "x-request-id: the-revocation-of-ann";

const IN_ITS_STATEMENT: &str =
    "CREATE TRIGGER hold BEFORE DELETE ON tiergate.tuples FOR EACH ROW EXECUTE FUNCTION hold()";
const IN_ITS_COMMIT: &str = "CREATE CONSTRAINT TRIGGER hold AFTER DELETE ON tiergate.tuples
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION hold()";

/// Deletions wait from now on, until they are let go.
struct Held(Session);

impl Held {
    fn hold(database: &TestDatabase, trigger: &str) -> Self {
        let mut session = Session::new(database.url());
        let hold = "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN PERFORM pg_advisory_xact_lock(42); RETURN OLD; END $$";
        session.psql(&format!("{hold}; {trigger}; SELECT pg_advisory_lock(42)")).unwrap();
        Self(session)
    }

    fn release(&mut self) {
        self.0.psql("SELECT pg_advisory_unlock(42)").unwrap();
    }

    /// The process that serves whoever waits, and what it was asked to do.
    fn waiting(&mut self) -> Option<(String, String)> {
        let sql =
            "SELECT pid, query FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'";
        let mut row = self.0.psql(sql).unwrap().pop()?;
        Some((row.remove(0).unwrap(), row.remove(0).unwrap()))
    }

    fn until_waiting(&mut self) -> (String, String) {
        let mut found = None;
        until("a deletion is held", || {
            found = self.waiting();
            found.is_some()
        });
        found.unwrap()
    }

    /// Lets the deletion go, and waits until whoever served it has seen that nobody is there any more.
    fn release_the_dead(&mut self, pid: &str) {
        self.release();
        let sql = format!("SELECT pid FROM pg_stat_activity WHERE pid = {pid}");
        until("its session ends", || self.0.psql(&sql).unwrap().is_empty());
    }
}

/// Asks for the revocation, and gets what came until the connection ended: nothing, where the server ended first.
fn revoke_in_background(address: SocketAddr, store: &str) -> JoinHandle<String> {
    let request = post_with(&format!("/stores/{store}/write"), REQUEST, &json!({"deletes": member("ann")}).to_string());
    std::thread::spawn(move || exchange(address, &request))
}

/// Asks for the same again.
fn repeat(server: &Server, store: &str) -> Answer {
    let mut deletes = member("ann");
    deletes["on_missing"] = json!("ignore");
    let body = json!({ "deletes": deletes }).to_string();
    Answer::of(&exchange(server.public, &post_with(&format!("/stores/{store}/write"), REQUEST, &body)))
}

/// Repeats it until it is answered as done.
pub(crate) fn repeat_until_done(server: &Server, store: &str) {
    let begun = Instant::now();
    loop {
        let answer = repeat(server, store);
        if answer.status == 200 {
            return;
        }
        assert_eq!(answer.status, 503, "{}", answer.body);
        assert!(begun.elapsed() < PATIENCE, "{}", answer.body);
        sleep(PAUSE);
    }
}

/// How often the history tells that ann was removed.
fn told(server: &Server, store: &str) -> usize {
    let changes = fetch(server.public, &format!("/stores/{store}/changes?page_size=100"));
    assert_eq!(changes.status, 200, "{}", changes.body);
    let is_removal = |change: &&Value| {
        change["operation"] == "TUPLE_OPERATION_DELETE" && change["tuple_key"]["user"] == json!("user:ann")
    };
    changes.body["changes"].as_array().unwrap().iter().filter(is_removal).count()
}

fn is_stored(database: &TestDatabase) -> bool {
    !database.psql("SELECT 1 FROM tiergate.tuples WHERE subject_id = 'ann'").unwrap().is_empty()
}

/// Runs something while others ask about bob at these servers, whom nothing of it concerns.
fn beside_questions_about_bob<T>(servers: &[&Server], store: &str, work: impl FnOnce() -> T) -> T {
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let asking: Vec<_> = servers
            .iter()
            .map(|server| {
                scope.spawn(|| {
                    let mut asked = 0;
                    while !ended.load(Ordering::Relaxed) {
                        assert!(allowed(server, store, "bob"), "what concerns somebody else");
                        asked += 1;
                        sleep(PAUSE);
                    }
                    asked
                })
            })
            .collect();
        // Also where it panics: the others would never end.
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        ended.store(true, Ordering::Relaxed);
        assert!(asking.into_iter().all(|asking| asking.join().unwrap() > 0));
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Three servers, which know that ann and bob may view the document. The first one is going to be killed.
struct Stage {
    backends: Backends,
    one: Server,
    two: Server,
    three: Server,
    store: String,
}

impl Stage {
    fn set() -> Option<Self> {
        let backends = Backends::new()?;
        let [one, two, three] = ["one", "two", "three"].map(|name| start(&backends, name, &PATIENT));
        let store = fill(&two);
        for user in ["ann", "bob"] {
            assert_eq!(grant(&two, &store, user).status, 200);
            [&one, &two, &three].iter().for_each(|server| until_cached(server, &store, user));
        }
        Some(Self { backends, one, two, three, store })
    }

    /// Kills the first server while it revokes, held by this trigger.
    fn kill_while_held(&mut self, trigger: &str, is_held_by: impl Fn(&str) -> bool) {
        let mut held = Held::hold(&self.backends.database, trigger);
        let asked = revoke_in_background(self.one.public, &self.store);
        let (pid, query) = held.until_waiting();
        assert!(is_held_by(&query), "{query}");
        self.one.kill();
        assert_eq!(asked.join().unwrap(), "", "nobody was answered");
        held.release_the_dead(&pid);
    }

    /// Repeats the revocation at the second server, which has to wait for the lease of the dead one, and looks whether it is done once and in force.
    fn repeat(&self) {
        let begun = Instant::now();
        let answer = repeat(&self.two, &self.store);
        let took = begun.elapsed();
        println!("repeated: {} after {took:?}", answer.status);
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(answer.head.contains(REQUEST), "it is called what its writer called it: {}", answer.head);
        assert!(took < LEASE_AND_MARGIN + ROOM, "{took:?}");
        let servers = [&self.two, &self.three];
        assert_eq!(servers.map(|server| allowed(server, &self.store, "ann")), [false; 2], "it was acknowledged");
        self.is_done_once();
    }

    /// Whether the third server still holds its lease, for all that the others know.
    fn waits_for_the_third(&self) -> bool {
        let members = "SELECT 1 FROM tiergate.members WHERE name = 'three' AND NOT fenced";
        !self.backends.database.psql(members).unwrap().is_empty()
    }

    /// The same where the third server is stopped, and allows what was revoked until its lease is over. False where that was over already: on a loaded
    /// machine it may have renewed it too late before it was stopped.
    fn repeat_while_the_third_is_stopped(&self) -> bool {
        let begun = Instant::now();
        let deletes = json!({"tuple_keys": member("ann")["tuple_keys"], "on_missing": "ignore"});
        let impatient = format!("/stores/{}/write?wait=all&timeout_ms=0", self.store);
        let early = send(self.two.public, &impatient, &json!({ "deletes": deletes }));
        if early.status == 200 && !self.waits_for_the_third() {
            return false;
        }
        assert_eq!(early.status, 202, "the third one may still allow it: {}", early.body);
        let answer = beside_questions_about_bob(&[&self.two], &self.store, || repeat(&self.two, &self.store));
        let took = begun.elapsed();
        println!("repeated: {} after {took:?}", answer.status);
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert!(took < LEASE_AND_MARGIN + ROOM, "{took:?}");
        assert!(!allowed(&self.two, &self.store, "ann"));
        // Its question waits for it, from after the acknowledgement.
        let waiting = std::thread::scope(|scope| {
            let asked = scope.spawn(|| allowed(&self.three, &self.store, "ann"));
            sleep(PAUSE);
            signal(&self.three, "-CONT");
            asked.join().unwrap()
        });
        assert!(!waiting, "an allow after the acknowledgement");
        assert!(allowed(&self.three, &self.store, "bob"));
        self.is_done_once();
        true
    }

    fn is_done_once(&self) {
        assert_eq!((told(&self.two, &self.store), is_stored(&self.backends.database)), (1, false));
        assert_eq!(repeat(&self.three, &self.store).status, 200, "as often as one likes");
        assert_eq!(told(&self.three, &self.store), 1);
        let again = send(self.two.public, &format!("/stores/{}/write", self.store), &json!({"deletes": member("ann")}));
        let message = again.body["message"].as_str().unwrap();
        assert_eq!(again.status, 400, "whoever does not ask to ignore it learns that it is done: {message}");
        assert!(message.contains("does not exist"), "{message}");
    }
}

#[test]
fn a_change_whose_server_is_killed_before_its_commit_is_not_made_until_somebody_repeats_it() {
    let Some(mut stage) = Stage::set() else { return };
    stage.kill_while_held(IN_ITS_STATEMENT, |query| query.contains("DELETE"));
    assert!(is_stored(&stage.backends.database), "nothing is half done");
    assert_eq!(told(&stage.two, &stage.store), 0);
    let servers = [&stage.two, &stage.three];
    assert!(servers.iter().all(|server| allowed(server, &stage.store, "ann")));
    beside_questions_about_bob(&servers, &stage.store, || stage.repeat());
}

#[test]
fn a_change_whose_server_is_killed_in_its_commit_is_found_by_whoever_repeats_it_and_made_once() {
    let Some(mut stage) = Stage::set() else { return };
    stage.kill_while_held(IN_ITS_COMMIT, |query| query == "COMMIT");
    assert!(!is_stored(&stage.backends.database), "it was committed when nobody was there any more");
    beside_questions_about_bob(&[&stage.two, &stage.three], &stage.store, || stage.repeat());
}

/// A server that was stopped too late holds no lease, and nobody has to wait for it: such a round says nothing.
fn once_in_three_rounds(round: impl Fn(&mut Stage) -> bool) {
    for _ in 0..3 {
        let Some(mut stage) = Stage::set() else { return };
        if round(&mut stage) {
            return;
        }
    }
    panic!("the third one never held a lease when it was stopped");
}

/// The third server is stopped and holds a lease, for which the first one has to wait. Whoever finds the change made has to wait for it just the same.
#[test]
fn a_change_whose_server_is_killed_before_it_answers_is_acknowledged_to_whoever_repeats_it_no_earlier_than_it_is_in_force()
 {
    once_in_three_rounds(|stage| {
        until_cached(&stage.three, &stage.store, "ann");
        signal(&stage.three, "-STOP");
        let asked = revoke_in_background(stage.one.public, &stage.store);
        until("it is committed", || !is_stored(&stage.backends.database));
        stage.one.kill();
        let answer = asked.join().unwrap();
        if !answer.is_empty() && !stage.waits_for_the_third() {
            return false;
        }
        assert_eq!(answer, "", "nobody was answered");
        stage.repeat_while_the_third_is_stopped()
    });
}

/// The later one has a higher number, and everybody has confirmed it.
#[test]
fn a_change_that_was_committed_after_a_later_one_is_acknowledged_to_whoever_repeats_it_no_earlier_than_it_is_in_force()
{
    once_in_three_rounds(|stage| {
        let mut held = Held::hold(&stage.backends.database, IN_ITS_COMMIT);
        let asked = revoke_in_background(stage.one.public, &stage.store);
        let (pid, _) = held.until_waiting();
        assert_eq!(grant(&stage.two, &stage.store, "eve").status, 200);
        until_cached(&stage.three, &stage.store, "ann");
        signal(&stage.three, "-STOP");
        stage.one.kill();
        assert_eq!(asked.join().unwrap(), "", "nobody was answered");
        held.release_the_dead(&pid);
        assert!(!is_stored(&stage.backends.database));
        stage.repeat_while_the_third_is_stopped()
    });
}

/// Two servers, of which one reaches PostgreSQL through a proxy; its revocation is held in its commit.
struct Line {
    postgres: Postgres,
    database: TestDatabase,
    proxy: Proxy,
    behind: Server,
    beside: Server,
    store: String,
    held: Held,
    asked: JoinHandle<String>,
}

impl Line {
    fn hold() -> Option<Self> {
        let postgres = Postgres::start(&PostgresOptions::default())?;
        let database = TestDatabase::create_on(&postgres.url(), "SELECT").unwrap();
        let proxy = Proxy::start(postgres.address()).unwrap();
        let over = |address: SocketAddr| {
            let url = database.url().replace(&postgres.address().to_string(), &address.to_string());
            let url = format!("postgres.url={url}");
            let settings = [&*url, "cache.l3.enabled=false", "log.level=off"];
            Server::start(&settings.iter().chain(&PATIENT).flat_map(|set| ["--set", *set]).collect::<Vec<_>>())
        };
        let (behind, beside) = (over(proxy.address()), over(postgres.address()));
        let store = fill(&beside);
        assert_eq!(grant(&beside, &store, "ann").status, 200);
        [&behind, &beside].iter().for_each(|server| until_cached(server, &store, "ann"));
        let mut held = Held::hold(&database, IN_ITS_COMMIT);
        let asked = revoke_in_background(behind.public, &store);
        assert_eq!(held.until_waiting().1, "COMMIT");
        Some(Self { postgres, database, proxy, behind, beside, store, held, asked })
    }

    /// Lets it commit, and breaks the connection before anybody hears of it.
    fn cut(&mut self) {
        self.proxy.set_in(Direction::Replies, Fault::Hold);
        self.held.release();
        until("it is committed", || !is_stored(&self.database));
        self.proxy.reset();
        self.proxy.set(Fault::None);
    }

    /// What the writer was told in the end, and what is left to look at.
    fn answered(self) -> (Answer, Rest) {
        let Self { postgres, database, proxy, behind, beside, store, asked, .. } = self;
        (Answer::of(&asked.join().unwrap()), Rest { database, proxy, behind, beside, store, _postgres: postgres })
    }
}

/// A [`Line`] whose revocation was answered.
struct Rest {
    database: TestDatabase,
    proxy: Proxy,
    behind: Server,
    beside: Server,
    store: String,
    _postgres: Postgres,
}

impl Rest {
    fn is_done_once(&self) {
        assert_eq!(told(&self.beside, &self.store), 1);
        assert!(!is_stored(&self.database));
        for server in [&self.beside, &self.behind] {
            until("it answers again", || {
                let answer = ask(server, &self.store, "ann");
                assert_ne!(answer.body["decision"], true, "an allow after the acknowledgement");
                answer.status == 200
            });
        }
    }
}

/// That it may be stored is said, and what to do.
pub(crate) fn says_that_it_is_not_known(answer: &Answer) {
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(!answer.head.contains("retry-after"), "that tells machines to repeat it: {}", answer.head);
    assert_eq!(answer.body["code"], "fate_not_known");
    let message = answer.body["message"].as_str().unwrap();
    assert!(message.contains("is not known"), "{message}");
    assert!(message.contains("read it back") && message.contains("ask to ignore what is there already"), "{message}");
}

#[test]
fn a_change_whose_commit_was_cut_off_is_answered_as_made_where_postgres_can_tell() {
    let Some(mut line) = Line::hold() else { return };
    line.cut();
    let (answer, rest) = line.answered();
    assert_eq!(answer.status, 200, "{}", answer.body);
    rest.is_done_once();
    repeat_until_done(&rest.beside, &rest.store);
    rest.is_done_once();
}

#[test]
fn a_change_whose_commit_was_cut_off_is_answered_as_not_known_where_nobody_can_tell_and_found_by_whoever_repeats_it() {
    let Some(mut line) = Line::hold() else { return };
    line.proxy.refuse();
    line.cut();
    let (answer, rest) = line.answered();
    says_that_it_is_not_known(&answer);
    assert_eq!(repeat(&rest.beside, &rest.store).status, 200);
    rest.proxy.accept().unwrap();
    rest.is_done_once();
}

#[test]
fn a_change_in_whose_commit_postgres_crashed_is_answered_as_not_known_and_made_by_whoever_repeats_it() {
    let Some(line) = Line::hold() else { return };
    line.postgres.kill();
    line.postgres.restart().unwrap();
    let (answer, rest) = line.answered();
    says_that_it_is_not_known(&answer);
    assert!(is_stored(&rest.database), "it was never committed");
    repeat_until_done(&rest.beside, &rest.store);
    rest.is_done_once();
}
