//! What an acknowledgement promises, in the schedules that would break it: commits against the order of numbers, members that are slow to apply, to join, to
//! renew, to leave.
#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected has failed")]

mod support;

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use cache_core::{Clock, Identity, Revision, Stamp, SystemClock};
use pg_log::{LogReader, LogRow, LogSink, MemberConfig, Pg};
use support::{Database, Recorder, SOON, plain, reader, until, xid};
use test_services::{Postgres, PostgresOptions};
use tokio_postgres::Client;

/// Longer than any test: polls are then made for a reason, and leases are renewed at a third of this.
const HOUR: Duration = Duration::from_secs(3_600);
/// What is not in force by now waits for somebody.
const BRIEFLY: Duration = Duration::from_millis(300);

fn holds(reader: &LogReader) -> bool {
    reader.lease().holds(SystemClock.now())
}

/// A member that polls for a reason only.
fn quiet(database: &Database, name: &str, lease: Duration) -> Pg {
    let mut config = database.config();
    config.log.poll_interval = HOUR;
    config.log.member = MemberConfig::new(name);
    config.log.member.lease = lease;
    Pg::new(config).unwrap()
}

async fn follow(pg: &Pg) -> (Arc<LogReader>, Arc<Recorder>) {
    let (reader, recorder) = reader(pg).await;
    reader.leased().await;
    (reader, recorder)
}

/// A writer that wakes nobody, as ours are until they have committed.
async fn silent(database: &Database) -> Client {
    let client = database.foreign().await;
    client.batch_execute("SET tiergate.writer = on").await.unwrap();
    client
}

async fn begin(client: &Client, name: &str) -> u64 {
    client.batch_execute(&format!("BEGIN; INSERT INTO things VALUES ('{name}', 'ann', '')")).await.unwrap();
    xid(client).await
}

async fn change(client: &Client, name: &str) -> u64 {
    let number = begin(client, name).await;
    client.batch_execute("COMMIT").await.unwrap();
    number
}

async fn count(psql: &Client, from: &str) -> i64 {
    psql.query_one(&format!("SELECT count(*) FROM {from}"), &[]).await.unwrap().get(0)
}

/// Waits until a statement on the members waits for a lock.
async fn held_up(psql: &Client, statement: &str) {
    let waiting = format!(
        "pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock' AND query LIKE '{statement}%members%'"
    );
    until("a statement waits for the lock", async || count(psql, &waiting).await > 0).await;
}

#[tokio::test]
async fn a_change_that_commits_after_a_higher_one_is_waited_for() {
    let Some(database) = Database::with_log() else { return };
    let (first, _) = follow(&quiet(&database, "first", HOUR)).await;
    let (_second, recorder) = follow(&quiet(&database, "second", HOUR)).await;
    let (ours, psql) = (silent(&database).await, database.foreign().await);
    let lower = begin(&ours, "lower").await;
    let higher = change(&psql, "higher").await;
    assert!(lower < higher);
    let reported = format!("tiergate.positions WHERE pg_visible_in_snapshot('{higher}', seen::pg_snapshot)");
    until("both have reported", async || count(&psql, &reported).await == 2).await;
    ours.batch_execute("COMMIT").await.unwrap();
    let standing = first.in_force(lower, BRIEFLY).await.unwrap();
    assert!(!standing.is_in_force() && !recorder.knows("lower"), "{standing:?}");
}

/// Applies nothing while it is shut.
#[derive(Default)]
struct Slow {
    recorder: Recorder,
    shut: Mutex<bool>,
    opened: Condvar,
}

impl Slow {
    fn shut(&self, shut: bool) {
        *self.shut.lock().unwrap() = shut;
        self.opened.notify_all();
    }
}

impl LogSink for Slow {
    fn joined(&self, identity: Identity, stamp: Stamp) {
        self.recorder.joined(identity, stamp);
    }

    fn apply(&self, rows: &[LogRow]) {
        // Whoever follows has a thread of their own: others go on meanwhile.
        drop(self.opened.wait_while(self.shut.lock().unwrap(), |shut| *shut).unwrap());
        self.recorder.apply(rows);
    }

    fn forget(&self, through: Revision) {
        self.recorder.forget(through);
    }

    fn advance(&self, stamp: Stamp) {
        self.recorder.advance(stamp);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_reports_what_it_has_not_applied() {
    let Some(database) = Database::with_log() else { return };
    let (first, _) = follow(&quiet(&database, "first", HOUR)).await;
    let slow = Arc::new(Slow::default());
    let second = LogReader::start(quiet(&database, "second", HOUR), Arc::clone(&slow) as Arc<dyn LogSink>);
    second.leased().await;
    slow.shut(true);
    let number = change(&database.foreign().await, "thing").await;
    let standing = first.in_force(number, BRIEFLY).await.unwrap();
    let applied = slow.recorder.knows("thing");
    slow.shut(false);
    assert!(!standing.is_in_force() && !applied, "{standing:?}");
    assert!(first.in_force(number, 30 * BRIEFLY).await.unwrap().is_in_force());
    assert!(slow.recorder.knows("thing"));
}

#[tokio::test]
async fn an_acknowledgement_needs_no_notification() {
    let Some(server) = Postgres::start(&PostgresOptions::default()) else { return };
    let refuse = "REVOKE EXECUTE ON FUNCTION pg_catalog.pg_notify(text, text) FROM PUBLIC";
    let (_database, pg) = plain(&server, refuse).await;
    let mut config = pg.config().clone();
    config.log.member.lease = Duration::from_secs(1);
    let members = ["first", "second"].map(|name| {
        let mut config = config.clone();
        config.log.member.name = name.to_owned();
        Pg::new(config).unwrap()
    });
    let (first, _) = follow(&members[0]).await;
    let (second, recorder) = follow(&members[1]).await;
    let ours = pg.exclusive().await.unwrap();
    for round in 0..3 {
        let row = format!("BEGIN; INSERT INTO tiergate.log (kind, fields) VALUES ('thing', ARRAY['thing {round}'])");
        ours.batch_execute(&row).await.unwrap();
        let number = xid(&*ours).await;
        ours.batch_execute("COMMIT").await.unwrap();
        let standing = first.in_force(number, SOON).await.unwrap();
        assert!(standing.is_in_force() && standing.confirmed_by == 2, "{standing:?}");
        assert!(recorder.knows(&format!("thing {round}")));
        assert!(holds(&second));
    }
}

#[tokio::test]
async fn two_members_of_one_name_are_waited_for_each() {
    let Some(database) = Database::with_log() else { return };
    let (first, _) = follow(&quiet(&database, "same", HOUR)).await;
    let slow = Arc::new(Slow::default());
    let second = LogReader::start(quiet(&database, "same", HOUR), Arc::clone(&slow) as Arc<dyn LogSink>);
    second.leased().await;
    slow.shut(true);
    let number = change(&database.foreign().await, "thing").await;
    let standing = first.in_force(number, BRIEFLY).await.unwrap();
    slow.shut(false);
    assert!(!standing.is_in_force() && standing.confirmed_by == 1 && standing.lagging.len() == 1, "{standing:?}");
    let standing = first.in_force(number, SOON).await.unwrap();
    assert!(standing.is_in_force() && standing.confirmed_by == 2, "{standing:?}");
}

#[tokio::test]
async fn whoever_starts_knows_what_was_changed_before() {
    let Some(database) = Database::with_log() else { return };
    change(&database.foreign().await, "before").await;
    let (_reader, recorder) = follow(&quiet(&database, "late", HOUR)).await;
    assert!(recorder.knows("before"));
}

#[tokio::test]
async fn what_changes_while_a_member_joins_is_applied_before_its_lease_holds() {
    let Some(database) = Database::with_log() else { return };
    let [psql, locks] = [database.foreign().await, database.foreign().await];
    let ours = silent(&database).await;
    locks.batch_execute("BEGIN; LOCK TABLE tiergate.members IN SHARE ROW EXCLUSIVE MODE").await.unwrap();
    let (joining, recorder) = reader(&quiet(&database, "joining", HOUR)).await;
    held_up(&psql, "SELECT \"tiergate\".join_").await;
    // Once this is applied, the log is not asked again for an hour.
    change(&psql, "first").await;
    until("applied", async || recorder.knows("first")).await;
    change(&ours, "then").await;
    locks.batch_execute("COMMIT").await.unwrap();
    joining.leased().await;
    assert!(recorder.knows("then"), "whoever acknowledged it found no member");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_renewal_that_comes_late_is_no_way_past_a_judge() {
    const LEASE: Duration = Duration::from_millis(1_500);
    let Some(database) = Database::with_log() else { return };
    let (first, _) = follow(&quiet(&database, "first", HOUR)).await;
    let slow = Arc::new(Slow::default());
    let second = LogReader::start(quiet(&database, "second", LEASE), Arc::clone(&slow) as Arc<dyn LogSink>);
    second.leased().await;
    let [psql, locks] = [database.foreign().await, database.foreign().await];
    let ours = silent(&database).await;
    // Somebody waits all the time, so that the judge sees each renewal at once.
    let watching = tokio::spawn({
        let first = Arc::clone(&first);
        async move { first.in_force(1 << 60, HOUR).await }
    });
    locks.batch_execute("BEGIN; SELECT FROM tiergate.members WHERE name = 'second' FOR UPDATE").await.unwrap();
    // It asked the log before it sent this, and does not ask again before it is answered.
    held_up(&psql, "UPDATE \"tiergate\".").await;
    slow.shut(true);
    let number = change(&ours, "revoked").await;
    first.applied(number).await.unwrap();
    let acknowledged = tokio::time::timeout(LEASE * 6 / 5, first.in_force(number, HOUR)).await;
    let in_force = acknowledged.is_ok_and(|standing| standing.unwrap().is_in_force());
    locks.batch_execute("COMMIT").await.unwrap();
    // Granted or not, this is long before the lease that was asked for would be over.
    let held = tokio::time::timeout(LEASE / 6, async {
        while !holds(&second) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    let held = held.await.is_ok();
    let applied = slow.recorder.knows("revoked");
    slow.shut(false);
    assert!(!(in_force && held) || applied, "it was acknowledged, a lease holds, and its holder does not know");
    watching.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_runs_from_before_its_renewal_was_sent() {
    const LEASE: Duration = Duration::from_millis(600);
    let Some(database) = Database::with_log() else { return };
    let slow = Arc::new(Slow::default());
    let reader = LogReader::start(quiet(&database, "renewing", LEASE), Arc::clone(&slow) as Arc<dyn LogSink>);
    reader.leased().await;
    let [psql, locks] = [database.foreign().await, database.foreign().await];
    locks.batch_execute("BEGIN; SELECT FROM tiergate.members FOR UPDATE").await.unwrap();
    held_up(&psql, "UPDATE \"tiergate\".").await;
    // After this renewal there is no other.
    slow.shut(true);
    change(&silent(&database).await, "unknown").await;
    // The time that it asked for has to pass, and it was sent before this.
    tokio::time::sleep(LEASE).await;
    locks.batch_execute("COMMIT").await.unwrap();
    let held = tokio::time::timeout(LEASE / 2, async {
        while !holds(&reader) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    });
    let held = held.await.is_ok();
    slow.shut(false);
    assert!(!held, "it was sent a lease ago, and asked for no more than that");
}

#[tokio::test]
async fn whoever_leaves_closes_the_gate_before_its_row_is_gone() {
    let Some(database) = Database::with_log() else { return };
    let (leaving, _) = follow(&quiet(&database, "leaving", HOUR)).await;
    let [psql, locks] = [database.foreign().await, database.foreign().await];
    locks.batch_execute("BEGIN; SELECT FROM tiergate.members FOR UPDATE").await.unwrap();
    assert!(holds(&leaving));
    let (held, ()) = tokio::join!(
        async {
            held_up(&psql, "DELETE FROM \"tiergate\".").await;
            let held = holds(&leaving);
            locks.batch_execute("COMMIT").await.unwrap();
            held
        },
        leaving.stop()
    );
    assert!(!held, "the row may be gone at any moment, and what is cached is still used");
}

#[tokio::test]
async fn a_crash_of_the_server_forgets_no_member() {
    let Some(server) = Postgres::start(&PostgresOptions::default()) else { return };
    let database = Database::with_log_on(&server);
    let (_first, _) = follow(&quiet(&database, "first", HOUR)).await;
    let psql = database.foreign().await;
    psql.batch_execute("SELECT tiergate.join_members('stands still', 3600000)").await.unwrap();
    server.kill();
    server.restart().unwrap();
    let psql = database.foreign().await;
    assert_eq!(count(&psql, "tiergate.members WHERE name = 'stands still'").await, 1);
}

#[tokio::test]
async fn a_poll_that_was_cut_forgets_what_it_left_out() {
    let Some(database) = Database::with_log() else { return };
    let mut config = database.config();
    (config.log.poll_interval, config.log.max_poll_rows) = (HOUR, 10);
    config.log.member.lease = HOUR;
    let (reader, recorder) = follow(&Pg::new(config).unwrap()).await;
    let ours = silent(&database).await;
    let mut numbers = Vec::new();
    for n in 0..40 {
        numbers.push(change(&ours, &format!("n{n}")).await);
    }
    reader.applied(numbers[39]).await.unwrap();
    for (n, number) in numbers.iter().enumerate() {
        assert!(
            recorder.knows(&format!("n{n}")) || recorder.told().floor >= *number,
            "n{n} is neither told nor forgotten"
        );
    }
}

/// Each of these is found by what is above. See `cargo xtask test` for how they run.
#[cfg(feature = "mistakes")]
mod mistakes {
    use cache_core::Mistake;

    use super::support::finds;

    #[test]
    fn a_confirmation_by_the_highest_is_found() {
        finds(Mistake::ConfirmationByTheHighest, super::a_change_that_commits_after_a_higher_one_is_waited_for);
    }

    #[test]
    fn a_confirmation_at_the_snapshot_is_found() {
        finds(Mistake::ConfirmationAtTheSnapshot, super::nobody_reports_what_it_has_not_applied);
    }

    #[test]
    fn an_acknowledgement_at_the_commit_is_found() {
        finds(Mistake::AcknowledgementAtTheCommit, super::nobody_reports_what_it_has_not_applied);
    }

    #[test]
    fn a_start_without_the_log_is_found() {
        finds(Mistake::StartWithoutTheLog, super::whoever_starts_knows_what_was_changed_before);
    }

    #[test]
    fn a_snapshot_before_the_registration_is_found() {
        finds(
            Mistake::SnapshotBeforeTheRegistration,
            super::what_changes_while_a_member_joins_is_applied_before_its_lease_holds,
        );
    }

    #[test]
    fn silence_that_is_not_fenced_is_found() {
        finds(Mistake::NoFencing, super::a_renewal_that_comes_late_is_no_way_past_a_judge);
    }

    #[test]
    fn a_lease_from_the_reply_is_found() {
        finds(Mistake::LeaseFromTheReply, super::a_lease_runs_from_before_its_renewal_was_sent);
    }

    #[test]
    fn a_gate_that_is_closed_after_the_row_is_found() {
        finds(Mistake::GateClosedAfterTheRow, super::whoever_leaves_closes_the_gate_before_its_row_is_gone);
    }

    #[test]
    fn members_that_a_crash_loses_are_found() {
        finds(Mistake::MembersLost, super::a_crash_of_the_server_forgets_no_member);
    }

    #[test]
    fn a_floor_by_the_highest_kill_is_found() {
        finds(Mistake::FloorByTheHighestKill, super::a_poll_that_was_cut_forgets_what_it_left_out);
    }
}
