//! Trimming: the floor moves in the snapshot in which rows go, so that no poll can miss both.
//!
//! How old a row is is told by recorded snapshots, never by the row: its writer may have committed hours after it wrote. Every transaction below
//! the xmin of a snapshot had ended when that was taken, so that a mark older than the retention says which transactions ended before it.
//!
//! Two ages: below `trimmed_below` the log is not whole for readers of kills, who hold values that old for misses; the rows themselves are
//! deleted later, and lie there for readers of the history.
//!
//! This is housekeeping, and nothing waits for it: it has a task and a connection of its own, and where it fails the log only grows.

use std::sync::Arc;
use std::time::Duration;

use super::applied::Applied;
use crate::connect::{OwnLink, backoff};
use crate::{LogConfig, Pg, PgContext, PgError};

/// How many marks are set within one retention: the floor moves by steps of that fraction.
const MARKS_PER_RETENTION: u32 = 16;
/// The most rows that one statement deletes, so that none runs for long.
const DELETED_AT_ONCE: u64 = 5_000;
/// The most statements that delete rows of one kind in one round.
const DELETES_A_ROUND: usize = 40;
/// The pause before the next round where one left something to delete.
const BREATH: Duration = Duration::from_secs(1);
/// How long one statement may take.
const STATEMENT_LIMIT: Duration = Duration::from_secs(20);
/// How long a round may take, its connection included.
const ROUND_LIMIT: Duration = Duration::from_secs(120);
/// The pauses after a failure, doubled from the first to the last.
const RETRY_FIRST: Duration = Duration::from_millis(250);
const RETRY_LAST: Duration = Duration::from_secs(60);

const TRIMMING: &str = "trim the log";

/// Trims from when the log was joined for as long as it is followed, and never ends by a failure.
pub(super) async fn run(pg: Pg, applied: Arc<Applied>) {
    let config = pg.config().log.clone();
    let _ = applied.watch().wait_for(Option::is_some).await;
    let mut failures = 0;
    while applied.dead().is_none() {
        let round = tokio::time::timeout(ROUND_LIMIT, round(&pg, &config)).await;
        let pause = match round.unwrap_or_else(|_| Err(pg.silent(TRIMMING, ROUND_LIMIT))) {
            Ok(done) => {
                failures = 0;
                let regular = config.retention / MARKS_PER_RETENTION;
                if done { regular } else { regular.min(BREATH) }
            }
            Err(error) => {
                tracing::warn!(%error, "the log of postgres can't be trimmed for now: it grows, and is followed all the same");
                let pause = backoff(failures, RETRY_FIRST, RETRY_LAST);
                failures = failures.saturating_add(1);
                pause
            }
        };
        tokio::time::sleep(pause).await;
    }
}

/// One round, on a connection for it alone: rounds are rare.
async fn round(pg: &Pg, config: &LogConfig) -> Result<bool, PgError> {
    let link = OwnLink(pg.open_beside(None).await?);
    // Rows are found by their numbers, however small the log looks to the planner; and what it takes for very expensive then is not worth
    // being compiled. Nobody needs a trim to be on the disk.
    let session = format!(
        "SET synchronous_commit = off; SET enable_seqscan = off; SET jit = off; SET statement_timeout = {}",
        STATEMENT_LIMIT.as_millis()
    );
    link.client.batch_execute(&session).await.during(TRIMMING)?;
    trim(&link, pg.schema(), config).await
}

/// Sets a mark if one is due, moves the floor, and deletes what is older than the history; whether nothing of that is left. Several processes may
/// do so at once.
async fn trim(link: &OwnLink, schema: &str, config: &LogConfig) -> Result<bool, PgError> {
    let retention = config.retention.as_secs_f64();
    let history = config.history.max(config.retention).as_secs_f64();
    let spacing = retention / f64::from(MARKS_PER_RETENTION) / 2.0;
    // The snapshot is taken before `at` is: what it says was true by then.
    let mark = format!(
        "INSERT INTO {schema}.log_marks (ended_below)
         SELECT pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())
         WHERE NOT EXISTS (SELECT FROM {schema}.log_marks WHERE at > pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => $1))"
    );
    // Marks of the same xmin say nothing new but keep the time; the newest that is old enough decides. xmin only grows, and is at most that of
    // the snapshot of this statement.
    let floor = format!(
        "UPDATE {schema}.log_state SET trimmed_below = m.ended_below
         FROM (SELECT ended_below FROM {schema}.log_marks
               WHERE at <= pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => $1)
                   AND ended_below <= pg_catalog.pg_snapshot_xmin(pg_catalog.pg_current_snapshot())
               ORDER BY at DESC LIMIT 1) m
         WHERE m.ended_below > trimmed_below"
    );
    // Below the floor already, whatever the clock does. Rows that polls read and rows of the history alone have an index each.
    let delete = ["NOT l.loaded", "l.loaded"].map(|which| {
        format!(
            "DELETE FROM {schema}.log WHERE ctid = ANY (ARRAY(
             SELECT l.ctid FROM {schema}.log l
             WHERE {which} AND l.xid < (SELECT LEAST(s.trimmed_below, m.ended_below) FROM {schema}.log_state s,
                 (SELECT ended_below FROM {schema}.log_marks
                  WHERE at <= pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => $1)
                  ORDER BY at DESC LIMIT 1) m)
             ORDER BY l.xid LIMIT {DELETED_AT_ONCE} FOR UPDATE SKIP LOCKED))"
        )
    });
    let forget_marks = format!(
        "DELETE FROM {schema}.log_marks WHERE at < (
             SELECT max(at) FROM {schema}.log_marks
             WHERE at <= pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => $1))"
    );
    let run = async |sql: &str, seconds: f64| {
        let statement = link.prepared(sql).await?;
        link.client.execute(&statement, &[&seconds]).await.during(TRIMMING)
    };
    run(&mark, spacing).await?;
    run(&floor, retention).await?;
    let mut done = true;
    for delete in &delete {
        let mut deleted = DELETED_AT_ONCE;
        for _ in 0..DELETES_A_ROUND {
            deleted = run(delete, history).await?;
            if deleted < DELETED_AT_ONCE {
                break;
            }
        }
        done &= deleted < DELETED_AT_ONCE;
    }
    run(&forget_marks, history).await?;
    Ok(done)
}
