//! A replica follows its primary, lags behind it, loses it, and takes its place, as a test orders it.

use std::net::TcpStream;
use std::time::Duration;

use test_services::{Postgres, PostgresOptions, ReplicatedPostgres, psql};

/// How long a paused replica is looked at. It bounds what is shown, not what is waited for.
const A_MOMENT: Duration = Duration::from_millis(200);
const COUNT: &str = "SELECT count(*) FROM t";
const INSERT: &str = "INSERT INTO t VALUES (1)";
/// Which timeline a server writes, and which cluster it is of.
const TIMELINE: &str = "SELECT substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8)";
const CLUSTER: &str = "SELECT system_identifier FROM pg_control_system()";

fn one(server: &Postgres, question: &str) -> String {
    psql(&server.url(), question).expect("it answers").remove(0).remove(0).expect("it is not null")
}

/// Both, with a table without rows.
fn with_a_table() -> Option<ReplicatedPostgres> {
    let both = ReplicatedPostgres::start(&PostgresOptions::default())?;
    psql(&both.primary().url(), "CREATE TABLE t (a int)").expect("it answers");
    both.catch_up().expect("it follows");
    Some(both)
}

/// Whether something that can only be asked for stays so.
fn stays(is_so: impl Fn() -> bool) -> bool {
    let (_held, wait) = std::sync::mpsc::channel::<()>();
    (0..10).all(|_| {
        let _ = wait.recv_timeout(A_MOMENT / 10);
        is_so()
    })
}

#[test]
fn a_replica_shows_what_its_primary_commits_and_takes_no_writes() {
    let Some(both) = with_a_table() else { return };
    psql(&both.primary().url(), INSERT).expect("it takes writes");
    both.catch_up().expect("it follows");
    assert_eq!(one(both.replica(), COUNT), "1");
    assert_eq!(one(both.replica(), CLUSTER), one(both.primary(), CLUSTER));
    let said = psql(&both.replica().url(), INSERT).expect_err("it takes no writes").to_string();
    assert!(said.contains("read-only transaction"), "{said}");
    // Also after each of them was gone for a while.
    for gone in [both.primary(), both.replica()] {
        gone.kill();
        gone.restart().expect("it starts again");
    }
    psql(&both.primary().url(), INSERT).expect("it takes writes");
    both.catch_up().expect("it follows again");
    assert_eq!(one(both.replica(), COUNT), "2");
}

#[test]
fn a_replica_whose_replay_is_paused_lags_until_it_is_resumed() {
    let Some(both) = with_a_table() else { return };
    both.pause_replay().expect("it is a replica");
    psql(&both.primary().url(), INSERT).expect("the primary does not wait for it");
    assert!(stays(|| one(both.replica(), COUNT) == "0"), "it goes on");
    both.resume_replay().expect("it is a replica");
    both.catch_up().expect("it follows");
    assert_eq!(one(both.replica(), COUNT), "1");
}

#[test]
fn what_was_received_before_a_promotion_is_there_after_it_though_replay_was_paused() {
    let Some(both) = with_a_table() else { return };
    both.pause_replay().expect("it is a replica");
    psql(&both.primary().url(), INSERT).expect("it takes writes");
    let written = one(both.primary(), "SELECT pg_current_wal_flush_lsn()");
    let received = format!("SELECT pg_last_wal_receive_lsn() >= '{written}'");
    assert!(!stays(|| one(both.replica(), &received) == "f"), "it receives nothing");
    both.primary().kill();
    both.promote().expect("it is a replica");
    assert_eq!(one(both.replica(), COUNT), "1");
}

#[test]
fn a_replica_that_was_cut_off_takes_writes_on_another_timeline_once_it_is_promoted_and_lacks_what_it_missed() {
    let Some(both) = with_a_table() else { return };
    both.cut_off().expect("it is a replica");
    let number = |server| {
        one(server, "INSERT INTO t VALUES (1) RETURNING pg_current_xact_id()").parse::<u64>().expect("a number")
    };
    let lost = (0..10).map(|_| number(both.primary())).last();
    assert!(stays(|| one(both.replica(), COUNT) == "0"), "it still follows");
    let before = one(both.primary(), TIMELINE);
    both.primary().kill();
    both.promote().expect("it is a replica");
    assert_ne!(one(both.replica(), TIMELINE), before);
    assert_eq!(one(both.replica(), "SELECT pg_is_in_recovery()"), "f");
    assert!(Some(number(both.replica())) <= lost, "the numbers of lost transactions are given again");
    assert_eq!(one(both.replica(), COUNT), "1");
    assert!(both.promote().is_err(), "it is no replica any more");
}

#[test]
fn both_end_with_their_value() {
    let Some(both) = ReplicatedPostgres::start(&PostgresOptions::default()) else { return };
    let addresses = [both.primary().address(), both.replica().address()];
    assert!(addresses.iter().all(|address| TcpStream::connect(address).is_ok()));
    drop(both);
    for address in addresses {
        assert!(TcpStream::connect(address).is_err(), "{address} still listens");
    }
}
