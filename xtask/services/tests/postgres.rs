//! A private PostgreSQL does what a test orders it to do.

use std::net::TcpStream;
use std::sync::mpsc;
use std::time::Duration;

use test_services::{Place, Postgres, PostgresOptions, psql};

/// How long a paused server is listened to. It bounds what is shown, not what is waited for.
const A_MOMENT: Duration = Duration::from_millis(200);
/// How long an answer may take.
const SOON: Duration = Duration::from_secs(20);

fn one(url: &str, question: &str) -> String {
    psql(url, question).expect("it answers").remove(0).remove(0).expect("it is not null")
}

#[test]
fn settings_are_taken_and_the_server_ends_with_its_value() {
    let options = PostgresOptions::default().max_connections(17).setting("application_name", "it's");
    let Some(postgres) = Postgres::start(&options) else { return };
    assert_eq!(one(&postgres.url(), "SHOW max_connections"), "17");
    assert_eq!(one(&postgres.url(), "SHOW fsync"), "off");
    let address = postgres.address();
    drop(postgres);
    assert!(TcpStream::connect(address).is_err(), "it still listens");
}

#[test]
fn what_was_committed_survives_a_kill() {
    let Some(postgres) = Postgres::start(&PostgresOptions::default()) else { return };
    let url = postgres.url();
    psql(&url, "CREATE TABLE t (a int); INSERT INTO t VALUES (7)").expect("it answers");
    for stop in [Postgres::kill, Postgres::stop] {
        stop(&postgres);
        assert!(psql(&url, "SELECT 1").is_err());
        postgres.restart().expect("it starts again");
        assert_eq!(one(&url, "SELECT a FROM t"), "7");
    }
}

#[test]
fn a_paused_server_answers_once_it_is_resumed() {
    let Some(postgres) = Postgres::start(&PostgresOptions::default()) else { return };
    let url = postgres.url();
    postgres.pause();
    let (said, answer) = mpsc::channel();
    let asking = std::thread::spawn(move || said.send(one(&url, "SELECT 1")));
    assert!(answer.recv_timeout(A_MOMENT).is_err(), "it answered");
    postgres.resume();
    assert_eq!(answer.recv_timeout(SOON).as_deref(), Ok("1"));
    asking.join().expect("it does not panic").expect("somebody listens");
}

#[test]
fn a_server_that_does_not_start_shows_its_log() {
    if Postgres::start(&PostgresOptions::default()).is_none() {
        return;
    }
    let options = PostgresOptions::default().setting("no_such_setting", "1");
    let said = Postgres::try_start(&Place::of_this_build(), &options).err().expect("it can't start").to_string();
    assert!(said.contains("no_such_setting"), "{said}");
}
