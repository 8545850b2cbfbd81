//! The log on a real PostgreSQL: whatever a published position sees is applied, by whoever it was written and in whatever order it was committed.
#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected has failed")]

mod support;

use std::time::Duration;

use pg_log::{Operation, PgErrorKind};
use support::{Database, reader, until, xid};

#[tokio::test]
async fn a_change_by_a_stranger_is_in_force_within_an_interval() {
    let Some(database) = Database::with_log() else { return };
    let (_reader, recorder) = reader(&database.pg()).await;
    let psql = database.foreign().await;
    psql.batch_execute("INSERT INTO things VALUES ('a', 'ann', 'x')").await.unwrap();
    until("applied", async || recorder.knows("a")).await;
    let row = recorder.told().rows.into_iter().find(|row| row.kind == "thing").unwrap();
    assert_eq!(row.operation, Some(Operation::Insert));
    assert_eq!(row.fields, [Some("a".to_owned()), Some("ann".to_owned())]);
}

#[tokio::test]
async fn the_writer_with_the_lower_number_is_applied_though_it_commits_last() {
    let Some(database) = Database::with_log() else { return };
    let pg = database.pg();
    let (reader, recorder) = reader(&pg).await;
    let (mut first, mut second) = (pg.exclusive().await.unwrap(), pg.exclusive().await.unwrap());
    let lower = first.transaction().await.unwrap();
    lower.execute("INSERT INTO things VALUES ('lower', 'ann', '')", &[]).await.unwrap();
    let higher = second.transaction().await.unwrap();
    higher.execute("INSERT INTO things VALUES ('higher', 'ann', '')", &[]).await.unwrap();
    let (w10, w11) = (xid(&lower).await, xid(&higher).await);
    assert!(w10 < w11);
    higher.commit().await.unwrap();
    reader.wake();
    reader.applied(w11).await.unwrap();
    assert!(recorder.knows("higher") && !recorder.knows("lower"));
    let position = reader.position().unwrap();
    assert!(position.sees(w11) && !position.sees(w10), "{position}: a maximum would claim both");
    lower.commit().await.unwrap();
    reader.wake();
    reader.applied(w10).await.unwrap();
    assert!(recorder.knows("lower"));
}

#[tokio::test]
async fn what_was_rolled_back_is_never_told_and_does_not_hold_anything_up() {
    let Some(database) = Database::with_log() else { return };
    let pg = database.pg();
    let (reader, recorder) = reader(&pg).await;
    let mut exclusive = pg.exclusive().await.unwrap();
    let transaction = exclusive.transaction().await.unwrap();
    transaction.execute("INSERT INTO things VALUES ('gone', 'ann', '')", &[]).await.unwrap();
    let aborted = xid(&transaction).await;
    transaction.rollback().await.unwrap();
    exclusive.execute("INSERT INTO things VALUES ('stays', 'ann', '')", &[]).await.unwrap();
    until("applied", async || recorder.knows("stays")).await;
    assert!(reader.position().unwrap().sees(aborted));
    assert!(!recorder.knows("gone"));
}

#[tokio::test]
async fn no_answer_ends_the_wait_for_a_transaction_that_runs() {
    let Some(database) = Database::with_log() else { return };
    let mut config = database.config();
    config.log.apply_timeout = Duration::from_millis(200);
    let pg = pg_log::Pg::new(config).unwrap();
    let (reader, _recorder) = reader(&pg).await;
    let mut exclusive = pg.exclusive().await.unwrap();
    let transaction = exclusive.transaction().await.unwrap();
    let running = xid(&transaction).await;
    assert_eq!(reader.applied(running).await.unwrap_err().kind(), PgErrorKind::Timeout);
}

#[cfg(feature = "mistakes")]
mod mistakes {
    #[test]
    fn a_cursor_by_the_highest_is_found() {
        let test = super::the_writer_with_the_lower_number_is_applied_though_it_commits_last;
        super::support::finds(cache_core::Mistake::CursorByTheHighest, test);
    }
}
