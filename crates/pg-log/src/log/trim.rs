//! Trimming: the floor moves in the snapshot in which rows go, so that no poll can miss both.
//!
//! How old a row is is told by recorded snapshots, never by the row: its writer may have committed hours after it wrote. Every transaction below
//! the xmin of a snapshot had ended when that was taken, so that a mark older than the retention says which transactions ended before it.
//!
//! Two ages: below `trimmed_below` the log is not whole for readers of kills, who hold values that old for misses; the rows themselves are
//! deleted later, and lie there for readers of the history.

use crate::connect::Link;
use crate::{LogConfig, PgContext, PgError};

/// How many marks are set within one retention: the floor moves by steps of that fraction.
pub(super) const MARKS_PER_RETENTION: u32 = 16;
/// The most rows that one statement deletes, so that none runs for long.
const DELETED_AT_ONCE: i64 = 5_000;
/// The most statements that delete in one round; the rest is left to the next.
const DELETES_A_ROUND: usize = 40;

pub(super) const TRIMMING: &str = "trim the log";

/// Sets a mark if one is due, moves the floor, and deletes what is older than the history. Several processes may do so at once.
pub(super) async fn trim(link: &Link, schema: &str, config: &LogConfig) -> Result<(), PgError> {
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
    // Below the floor already, whatever the clock does.
    let delete = format!(
        "DELETE FROM {schema}.log WHERE ctid = ANY (ARRAY(
             SELECT l.ctid FROM {schema}.log l
             WHERE l.xid < (SELECT LEAST(s.trimmed_below, m.ended_below) FROM {schema}.log_state s,
                 (SELECT ended_below FROM {schema}.log_marks
                  WHERE at <= pg_catalog.clock_timestamp() - pg_catalog.make_interval(secs => $1)
                  ORDER BY at DESC LIMIT 1) m)
             ORDER BY l.xid LIMIT {DELETED_AT_ONCE} FOR UPDATE SKIP LOCKED))"
    );
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
    for _ in 0..DELETES_A_ROUND {
        if run(&delete, history).await? < DELETED_AT_ONCE as u64 {
            break;
        }
    }
    run(&forget_marks, history).await?;
    Ok(())
}
