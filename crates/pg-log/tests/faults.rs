//! What fails is told, and never makes a change pass unseen.
#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected has failed")]

mod support;

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use pg_log::{LogReader, Pg, PgErrorKind};
use support::{Database, Recorder, SOON, brief, reader, until, xid};
use test_services::{Postgres, PostgresOptions};

/// A floor above every stamp.
const EVERYTHING: u64 = 1 << 62;

async fn data_directory(database: &Database) -> PathBuf {
    let psql = database.foreign().await;
    psql.query_one("SHOW data_directory", &[]).await.unwrap().get::<_, String>(0).into()
}

/// Inserts a row in a transaction of its own and tells its number.
async fn insert(client: &mut tokio_postgres::Client, name: &str) -> u64 {
    let transaction = client.transaction().await.unwrap();
    transaction.execute("INSERT INTO things VALUES ($1, 'ann', '')", &[&name]).await.unwrap();
    let number = xid(&transaction).await;
    transaction.commit().await.unwrap();
    number
}

#[tokio::test]
async fn a_server_that_is_down_at_the_start_is_joined_later() {
    let Some(server) = Postgres::start(&PostgresOptions::default()) else { return };
    let database = Database::with_log_on(&server);
    insert(&mut database.foreign().await, "before").await;
    server.stop();
    let recorder = Arc::new(Recorder::default());
    let reader = LogReader::start(database.pg(), recorder.clone());
    until("the trouble is told", async || reader.trouble().is_some()).await;
    assert_eq!(reader.trouble().unwrap().kind(), PgErrorKind::Unavailable);
    assert!(!reader.is_joined() && reader.poll_statement().is_none() && reader.identity().is_none());
    server.restart().unwrap();
    tokio::time::timeout(SOON, reader.joined()).await.unwrap();
    assert!(recorder.knows("before"));
    until("the trouble is over", async || reader.trouble().is_none()).await;
}

#[tokio::test]
async fn a_server_without_the_tables_is_joined_once_they_are_made() {
    let Some(database) = Database::empty() else { return };
    let recorder = Arc::new(Recorder::default());
    let reader = LogReader::start(database.pg(), recorder.clone());
    until("the trouble is told", async || reader.trouble().is_some()).await;
    let trouble = reader.trouble().unwrap();
    assert_eq!(trouble.kind(), PgErrorKind::Schema);
    assert!(trouble.to_string().contains("run the migrations"), "{trouble}");
    let mut client = database.foreign().await;
    pg_log::migrate(&mut client, "tiergate", pg_log::COMPONENT, pg_log::migrations()).await.unwrap();
    tokio::time::timeout(SOON, reader.joined()).await.unwrap();
}

#[tokio::test]
async fn a_clean_restart_loses_nothing_and_forgets_nothing() {
    let Some(server) = Postgres::start(&PostgresOptions::default()) else { return };
    let database = Database::with_log_on(&server);
    let (reader, recorder) = reader(&database.pg()).await;
    insert(&mut database.foreign().await, "before").await;
    until("applied", async || recorder.knows("before")).await;
    server.restart().unwrap();
    insert(&mut database.foreign().await, "after").await;
    until("applied", async || recorder.knows("after")).await;
    assert_eq!(recorder.told().floor, 0, "what was cached before is as good as it was");
    until("no trouble is left", async || reader.trouble().is_none()).await;
    assert_eq!(recorder.told().joined.len(), 1);
}

#[tokio::test]
async fn numbers_that_are_given_again_after_a_crash_revive_nothing() {
    let Some(server) = Postgres::start(&PostgresOptions::default().setting("wal_writer_delay", "10s")) else { return };
    let database = Database::with_log_on(&server);
    // Nothing that must reach the disk, and takes what came before along, falls between those that are lost and the crash.
    let mut config = database.config();
    config.log.poll_interval = Duration::from_millis(20);
    config.log.member.lease = Duration::from_secs(3_600);
    let (reader, recorder) = reader(&Pg::new(config).unwrap()).await;
    reader.leased().await;
    let mut psql = database.foreign().await;
    let before = insert(&mut psql, "before").await;
    // These end without ever reaching the disk.
    let mut lost = before;
    for _ in 0..200 {
        let transaction = psql.transaction().await.unwrap();
        lost = xid(&transaction).await;
        transaction.rollback().await.unwrap();
    }
    until("the position has seen them", async || reader.position().unwrap().sees(lost)).await;
    server.kill();
    server.restart().unwrap();
    // More than were lost, so that the position alone would hold some of them for seen, and nothing goes back visibly.
    let mut psql = database.foreign().await;
    let mut written = Vec::new();
    for n in 0..300 {
        let name = format!("after{n}");
        written.push((insert(&mut psql, &name).await, name));
    }
    assert!(written[0].0 <= lost, "no number was given twice: the test shows nothing ({} > {lost})", written[0].0);
    until("in force", async || {
        let told = recorder.told();
        written.iter().all(|(number, name)| *number <= told.floor || recorder.knows(name))
    })
    .await;
    assert!(recorder.told().floor >= lost, "what was read before the crash may have any stamp up to the lost numbers");
    let last = insert(&mut psql, "last").await;
    until("applied row by row again", async || recorder.knows("last")).await;
    assert!(last > recorder.told().floor, "what is read from now on can be cached");
    assert!(reader.trouble().is_none());
}

#[tokio::test]
async fn a_crash_that_nobody_saw_is_settled_at_the_next_start() {
    let Some(server) = Postgres::start(&PostgresOptions::default()) else { return };
    let database = Database::with_log_on(&server);
    let mut psql = database.foreign().await;
    insert(&mut psql, "before").await;
    let mut lost = 0;
    for _ in 0..50 {
        let transaction = psql.transaction().await.unwrap();
        lost = xid(&transaction).await;
        transaction.rollback().await.unwrap();
    }
    server.kill();
    server.restart().unwrap();
    let (first, recorder) = reader(&database.pg()).await;
    assert!(recorder.told().floor >= lost, "another process may have written into a shared tier with those stamps");
    first.stop().await;
    let settled = recorder.told().floor;
    let (_second, recorder) = reader(&database.pg()).await;
    assert_eq!(recorder.told().floor, settled, "once is enough");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_killed_in_the_middle_of_polls_lose_nothing() {
    let Some(server) = Postgres::start(&PostgresOptions::default()) else { return };
    let database = Database::with_log_on(&server);
    let (reader, recorder) = reader(&database.pg()).await;
    let killer = database.foreign().await;
    let mut psql = database.foreign().await;
    let mut names = Vec::new();
    for n in 0..200 {
        let name = format!("n{n}");
        insert(&mut psql, &name).await;
        names.push(name);
        reader.wake();
        if n % 10 == 0 {
            killer
                .execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tiergate'",
                    &[],
                )
                .await
                .unwrap();
        }
    }
    until("all are applied", async || names.iter().all(|name| recorder.knows(name))).await;
    assert_eq!((recorder.told().floor, recorder.told().joined.len()), (0, 1));
}

#[tokio::test]
async fn a_server_that_stands_still_is_told_and_followed_again() {
    let Some(server) = Postgres::start(&PostgresOptions::default()) else { return };
    let database = Database::with_log_on(&server);
    let mut config = database.config();
    config.log.poll_timeout = Duration::from_millis(200);
    config.connect_timeout = Duration::from_millis(200);
    let (reader, recorder) = reader(&Pg::new(config).unwrap()).await;
    server.pause();
    until("the trouble is told", async || reader.trouble().is_some()).await;
    assert_eq!(reader.trouble().unwrap().kind(), PgErrorKind::Timeout);
    server.resume();
    insert(&mut database.foreign().await, "after").await;
    until("applied", async || recorder.knows("after")).await;
    until("the trouble is over", async || reader.trouble().is_none()).await;
}

#[tokio::test]
async fn a_standby_is_refused_and_once_promoted_it_is_another_history() {
    let Some(server) = Postgres::start(&PostgresOptions::default()) else { return };
    let database = Database::with_log_on(&server);
    let signal = data_directory(&database).await.join("standby.signal");
    let (reader, recorder) = reader(&database.pg()).await;
    let position = reader.position().unwrap();
    server.stop();
    std::fs::write(&signal, "").unwrap();
    #[cfg(unix)]
    std::os::unix::fs::chown(&signal, owner(&signal), None).unwrap();
    server.restart().unwrap();
    until("refused", async || reader.trouble().is_some_and(|trouble| trouble.to_string().contains("is a standby")))
        .await;
    assert_eq!(reader.position().unwrap(), position, "nothing of a standby was applied");
    // A read of an evaluation may reach it as well.
    let pg = database.pg();
    let poll = reader.poll_statement().unwrap();
    let answer = pg.shared().await.unwrap().query(poll.sql(), &poll.params()).await.unwrap();
    assert_eq!(reader.apply_polled(&answer).unwrap_err().kind(), PgErrorKind::Refused);
    assert!(recorder.told().floor < EVERYTHING);

    database.foreign().await.execute("SELECT pg_promote()", &[]).await.unwrap();
    until("the other history is noticed", async || recorder.told().floor > EVERYTHING).await;
    assert!(!reader.is_joined());
    let trouble = reader.trouble().unwrap();
    assert!(trouble.to_string().contains("another history") && trouble.to_string().contains("restart"), "{trouble}");
    assert!(reader.applied(1).await.is_err(), "nothing is confirmed any more");
}

#[cfg(unix)]
fn owner(path: &std::path::Path) -> Option<u32> {
    use std::os::unix::fs::MetadataExt;
    path.parent().and_then(|parent| parent.metadata().ok()).map(|metadata| metadata.uid())
}

#[tokio::test]
async fn a_new_epoch_is_another_history() {
    let Some(database) = Database::with_log() else { return };
    let (reader, recorder) = reader(&database.pg()).await;
    database.foreign().await.batch_execute("SELECT tiergate.new_epoch()").await.unwrap();
    until("noticed", async || recorder.told().floor > EVERYTHING).await;
    assert!(reader.trouble().unwrap().to_string().contains("another history"));
    // Whoever starts now starts with the new one.
    let (again, _) = support::reader(&database.pg()).await;
    assert_ne!(again.identity(), reader.identity());
}

#[tokio::test]
async fn a_new_epoch_forgets_rows_with_numbers_that_this_server_has_yet_to_give() {
    let Some(database) = Database::with_log() else { return };
    let mut psql = database.foreign().await;
    // As a dump of another server brings them.
    psql.batch_execute("INSERT INTO tiergate.log (xid, kind) VALUES ('1000000000000', 'all')").await.unwrap();
    psql.batch_execute("SELECT tiergate.new_epoch()").await.unwrap();
    assert_eq!(rows(&psql).await, 0);
    let (_reader, recorder) = reader(&database.pg()).await;
    let last = insert(&mut psql, "after").await;
    until("applied", async || recorder.knows("after")).await;
    assert!(last > recorder.told().floor, "what is read from now on can be cached");
}

#[tokio::test]
async fn a_copy_of_the_files_from_before_is_noticed_where_it_is_behind() {
    let Some(server) = Postgres::start(&PostgresOptions::default()) else { return };
    let database = Database::with_log_on(&server);
    let data = data_directory(&database).await;
    let copy = data.with_file_name("copy");
    server.stop();
    assert!(Command::new("cp").arg("-a").arg(&data).arg(&copy).status().unwrap().success());
    server.restart().unwrap();
    let (reader, recorder) = reader(&database.pg()).await;
    for n in 0..50 {
        insert(&mut database.foreign().await, &format!("n{n}")).await;
    }
    until("applied", async || recorder.knows("n49")).await;
    server.stop();
    std::fs::remove_dir_all(&data).unwrap();
    std::fs::rename(&copy, &data).unwrap();
    server.restart().unwrap();
    until("noticed", async || recorder.told().floor > EVERYTHING).await;
    let trouble = reader.trouble().unwrap().to_string();
    assert!(trouble.contains("transactions were lost"), "{trouble}");
}

async fn rows(client: &tokio_postgres::Client) -> i64 {
    client.query_one("SELECT count(*) FROM tiergate.log", &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn what_is_old_is_below_the_floor_first_and_deleted_later() {
    let Some(database) = Database::with_log() else { return };
    let mut psql = database.foreign().await;
    let old = insert(&mut psql, "old").await;
    let pg = brief(&database, |config| config.log.history = Duration::from_secs(3_600));
    let (keeping, recorder) = reader(&pg).await;
    until("the floor rises", async || recorder.told().floor >= old).await;
    assert!(rows(&psql).await > 0, "the history is kept");
    let (_late, told) = reader(&database.pg()).await;
    assert!(told.told().floor >= old && !told.knows("old"), "a start reads what is above the floor only");
    keeping.stop().await;
    let (_trimming, _) = reader(&brief(&database, |_| ())).await;
    until("deleted", async || rows(&psql).await == 0).await;
    let marks = psql.query_one("SELECT count(*) FROM tiergate.log_marks", &[]).await.unwrap().get::<_, i64>(0);
    assert!(marks < 100, "{marks} marks");
    insert(&mut psql, "new").await;
    until("applied", async || told.knows("new")).await;
}

#[tokio::test]
async fn a_row_whose_writer_commits_late_is_never_trimmed_before() {
    let Some(database) = Database::with_log() else { return };
    let mut long = database.foreign().await;
    let long = long.transaction().await.unwrap();
    long.execute("INSERT INTO things VALUES ('late', 'ann', '')", &[]).await.unwrap();
    let oldest = xid(&long).await;
    let (_reader, recorder) = reader(&brief(&database, |_| ())).await;
    let mut psql = database.foreign().await;
    let mut newest = 0;
    // Until rows that are older by the clock would have been trimmed many times over.
    for n in 0..30 {
        newest = insert(&mut psql, &format!("n{n}")).await;
        until("applied", async || recorder.knows(&format!("n{n}"))).await;
    }
    // Marks are kept for as long as rows are: those of now are gone once rows of now may be.
    let marks = async |sql: &str| psql.query_one(sql, &[]).await.unwrap().get::<_, Option<f64>>(0);
    let now = marks("SELECT extract(epoch FROM max(at))::float8 FROM tiergate.log_marks").await;
    until("the history is over", async || {
        marks("SELECT extract(epoch FROM min(at))::float8 FROM tiergate.log_marks").await > now
    })
    .await;
    assert!(recorder.told().floor < oldest);
    long.commit().await.unwrap();
    until("applied", async || recorder.knows("late")).await;
    until("the floor moves on", async || recorder.told().floor >= newest).await;
}

#[tokio::test]
async fn a_reader_that_was_away_longer_than_the_log_is_kept_is_told_the_floor() {
    let Some(server) = Postgres::start(&PostgresOptions::default()) else { return };
    let database = Database::with_log_on(&server);
    let mut config = database.config();
    config.log.poll_interval = Duration::from_secs(3_600);
    config.log.member.lease = Duration::from_secs(3_600);
    config.log.trims = false;
    let (away, told) = reader(&Pg::new(config).unwrap()).await;
    away.leased().await;
    let mut psql = database.foreign().await;
    psql.batch_execute("SET tiergate.writer = on").await.unwrap();
    let missed = insert(&mut psql, "missed").await;
    let (trimming, recorder) = reader(&brief(&database, |_| ())).await;
    until("trimmed", async || recorder.told().floor >= missed && rows(&psql).await == 0).await;
    trimming.stop().await;
    assert!(!told.knows("missed"));
    away.wake();
    until("told", async || told.told().floor >= missed).await;
}

#[tokio::test]
async fn more_rows_than_a_poll_may_bring_raise_the_floor_and_the_next_poll_goes_on() {
    let Some(database) = Database::with_log() else { return };
    let mut config = database.config();
    config.log.max_poll_rows = 10;
    let (reader, recorder) = reader(&Pg::new(config).unwrap()).await;
    let mut psql = database.foreign().await;
    for (count, cut) in [(10, false), (11, true), (500, true)] {
        let transaction = psql.transaction().await.unwrap();
        transaction
            .execute(
                &format!("INSERT INTO things SELECT 'x{count}_' || n, 'ann', '' FROM generate_series(1, {count}) n"),
                &[],
            )
            .await
            .unwrap();
        let number = xid(&transaction).await;
        transaction.commit().await.unwrap();
        reader.applied(number).await.unwrap();
        assert_eq!(recorder.told().floor >= number, cut, "{count} rows");
        assert_eq!(recorder.knows(&format!("x{count}_1")), !cut, "{count} rows");
        let next = insert(&mut psql, &format!("next{count}")).await;
        reader.applied(next).await.unwrap();
        assert!(recorder.knows(&format!("next{count}")) && recorder.told().floor < next);
    }
}

#[tokio::test]
async fn more_rows_than_a_start_may_read_raise_the_floor() {
    let Some(database) = Database::with_log() else { return };
    let mut psql = database.foreign().await;
    let mut last = 0;
    for n in 0..12 {
        last = insert(&mut psql, &format!("n{n}")).await;
    }
    let mut config = database.config();
    config.log.max_join_rows = 5;
    let (_reader, recorder) = reader(&Pg::new(config).unwrap()).await;
    assert!(recorder.told().floor >= last);
    insert(&mut psql, "next").await;
    until("applied", async || recorder.knows("next")).await;
}

#[tokio::test]
async fn stopping_and_dropping_end_the_connection() {
    let Some(server) = Postgres::start(&PostgresOptions::default()) else { return };
    let database = Database::with_log_on(&server);
    let psql = database.foreign().await;
    let connections = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tiergate'";
    for dropped in [false, true] {
        let (reader, _recorder) = reader(&database.pg()).await;
        if dropped {
            drop(reader);
        } else {
            reader.stop().await;
        }
        until("gone", async || psql.query_one(connections, &[]).await.unwrap().get::<_, i64>(0) == 0).await;
    }
}

#[cfg(feature = "mistakes")]
mod mistakes {
    #[test]
    fn a_history_without_an_identity_is_found() {
        super::support::finds(cache_core::Mistake::IdentityMissing, super::a_new_epoch_is_another_history);
    }
}
