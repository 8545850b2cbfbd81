//! The task that follows the log: it joins when PostgreSQL answers, then polls at its interval and whenever it is woken. What is said to be in
//! force rests on the polls alone; a wake-up that is lost costs an interval.
//!
//! It has one connection of its own, on which it listens, polls and wakes others, and nothing else: whatever may take its time is done elsewhere. When that breaks another one is opened and the polls go on from
//! the position that was applied last: nothing was missed, because a poll asks for whatever that position did not see.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use cache_core::{Lease, Mistake, planted};
use futures_util::TryStreamExt;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_postgres::error::Severity;
use tokio_postgres::types::ToSql;

use super::applied::Applied;
use super::follower::Follower;
use super::poll::{Line, Statements, no_header, standby};
use super::row::{LogRow, LogSink};
use crate::connect::{Link, OwnLink, backoff, lock};
use crate::members::Membership;
use crate::{LogConfig, Pg, PgContext, PgError, PgErrorKind, PgSnapshot};

/// The shortest time between two polls, however often it is woken, and between two wake-ups of others.
const PAUSE: Duration = Duration::from_millis(2);
/// The waits after a failure, doubled from the first to the last.
const RETRY_FIRST: Duration = Duration::from_millis(20);
const RETRY_LAST: Duration = Duration::from_secs(1);
/// Rows that are applied at a time while the past is read.
const JOIN_PIECE: usize = 1_000;
/// The oldest server that is supported, as `server_version_num`.
const OLDEST_SERVER: i32 = 150_000;

const CONNECTING: &str = "follow the log";
pub(super) const POLLING: &str = "poll the log";
const WAKING: &str = "wake the others";
const SETTLING: &str = "settle what a crash lost";
const REPORTING: &str = "report what was applied";
const JOINING: &str = "read the retained log";

/// What is known of the log, and the task that follows it.
pub(super) struct Following {
    pub(super) pg: Pg,
    pub(super) config: LogConfig,
    pub(super) applied: Arc<Applied>,
    /// How many polls were sent by the task that follows, and the last that was answered and applied: its number, and what it saw.
    pub(super) polls_sent: AtomicU64,
    pub(super) answered: watch::Sender<Option<(u64, Arc<PgSnapshot>)>>,
    /// The number of that poll alone.
    pub(super) last_answered: AtomicU64,
    /// Somebody wants a poll now.
    pub(super) wake: Arc<Notify>,
    /// The others have to be told.
    pub(super) tell_others: AtomicBool,
    pub(super) stopping: AtomicBool,
    pub(super) stop: Notify,
    pub(super) trouble: Mutex<Option<PgError>>,
    pub(super) membership: Arc<Membership>,
    /// The last notification was refused.
    is_mute: AtomicBool,
}

#[async_trait]
impl Follower for Following {
    fn history(&self) -> Option<Arc<str>> {
        self.applied.history()
    }

    fn is_dead(&self) -> bool {
        self.applied.dead().is_some()
    }

    fn lose(&self, why: &str) {
        self.applied.lose(why);
    }

    async fn joined(&self) {
        // The sender lives as long as `self`.
        let _ = self.applied.watch().wait_for(|position| position.is_some() || self.is_dead()).await;
    }

    async fn fresh(&self, limit: Duration) -> Result<(), PgError> {
        if self.polled(limit, |_| true).await? { Ok(()) } else { Err(self.pg.silent(POLLING, limit)) }
    }
}

impl Following {
    /// Follows nothing yet.
    pub(super) fn new(pg: Pg, sink: Arc<dyn LogSink>, lease: Arc<Lease>) -> Self {
        let config = pg.config().log.clone();
        let statements = Statements::new(pg.schema(), config.max_poll_rows, config.max_join_rows);
        Self {
            applied: Arc::new(Applied::new(sink, Arc::clone(&lease), statements, config.max_poll_rows)),
            pg,
            config,
            polls_sent: AtomicU64::new(0),
            answered: watch::Sender::new(None),
            last_answered: AtomicU64::new(0),
            wake: Arc::new(Notify::new()),
            tell_others: AtomicBool::new(false),
            stopping: AtomicBool::new(false),
            stop: Notify::new(),
            trouble: Mutex::new(None),
            membership: Arc::new(Membership::new(lease)),
            is_mute: AtomicBool::new(false),
        }
    }

    /// Waits for a poll that was sent after this call, is applied, and has a snapshot as wanted; whether there was one in time.
    pub(super) async fn polled(&self, limit: Duration, wanted: impl Fn(&PgSnapshot) -> bool) -> Result<bool, PgError> {
        // Every poll with a higher number is sent after this.
        let before = self.polls_sent.load(Ordering::SeqCst);
        let mut answers = self.answered.subscribe();
        self.wake.notify_one();
        let seen = answers.wait_for(|answered| {
            answered.as_ref().is_some_and(|(number, snapshot)| *number > before && wanted(snapshot))
                || self.applied.dead().is_some()
        });
        let in_time = tokio::time::timeout(limit, seen).await.is_ok();
        match self.applied.dead() {
            Some(dead) => Err(dead.clone()),
            None => Ok(in_time),
        }
    }

    pub(super) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.stop.notify_one();
    }

    pub(super) async fn run(self: Arc<Self>) {
        let mut failures = 0;
        while !self.ended() {
            let result = tokio::select! {
                biased;
                () = self.stop.notified() => break,
                result = self.follow(&mut failures) => result,
            };
            let Err(error) = result else { continue };
            if lock(&self.trouble).replace(error.clone()).is_none() {
                tracing::warn!(%error, "the log of postgres can't be followed for now");
            }
            let wait = backoff(failures, RETRY_FIRST, RETRY_LAST);
            failures = failures.saturating_add(1);
            tokio::select! {
                () = self.stop.notified() => break,
                () = tokio::time::sleep(wait) => {}
            }
        }
        // Where it ended because nothing can be followed any more, who waits for an answer is told now.
        self.answered.send_modify(|_| ());
    }

    fn ended(&self) -> bool {
        self.stopping.load(Ordering::Acquire) || self.applied.dead().is_some()
    }

    /// Follows the log over one connection, until that fails.
    async fn follow(&self, failures: &mut u32) -> Result<(), PgError> {
        let link = self.connect().await?;
        if self.applied.position().is_none() {
            let joined = self.bounded(self.config.join_timeout, JOINING, self.join(&link)).await;
            if !self.or_settle(&link, joined).await? {
                self.bounded(self.config.join_timeout, JOINING, self.join(&link)).await?;
            }
            tracing::info!(place = self.pg.place(), "joined the log of postgres");
        }
        let mut reported = None;
        loop {
            // Sent together: the others poll while the answer is applied here.
            let told = self.tell_others.swap(false, Ordering::AcqRel);
            let polled = self.bounded(self.config.poll_timeout, POLLING, self.poll(&link));
            let wakes = async { if told { self.notify(&link, &self.pg.config().schema).await } else { Ok(()) } };
            let (polled, notified) = tokio::join!(polled, wakes);
            notified?;
            if !self.or_settle(&link, polled).await? {
                continue;
            }
            *failures = 0;
            if lock(&self.trouble).take().is_some() {
                tracing::info!(place = self.pg.place(), "the log of postgres is followed again");
            }
            self.report(&link, &mut reported).await?;
            let polled_at = Instant::now();
            tokio::select! {
                () = tokio::time::sleep_until(polled_at + self.config.poll_interval) => {}
                () = self.wake.notified() => tokio::time::sleep_until(polled_at + PAUSE).await,
            }
        }
    }

    async fn bounded<T>(
        &self,
        limit: Duration,
        operation: &'static str,
        work: impl Future<Output = Result<T, PgError>>,
    ) -> Result<T, PgError> {
        match tokio::time::timeout(limit, work).await {
            Ok(result) => result,
            Err(_) => Err(self.pg.silent(operation, limit)),
        }
    }

    /// Whether it was done. Where a crash of the server kept it from that, this has been settled, and it can be done now.
    async fn or_settle(&self, link: &Link, result: Result<(), PgError>) -> Result<bool, PgError> {
        match result {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == PgErrorKind::Unsettled => {
                tracing::warn!(
                    place = self.pg.place(),
                    "the server came up from a crash: what was cached before is forgotten"
                );
                let call = format!("CALL {}.settle()", self.pg.schema());
                let settle = async { link.client.batch_execute(&call).await.during(SETTLING) };
                self.bounded(self.config.join_timeout, SETTLING, settle).await?;
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    async fn connect(&self) -> Result<OwnLink, PgError> {
        let link = OwnLink(self.pg.open_beside(Some(Arc::clone(&self.wake))).await?);
        let work = async {
            let row = link
                .client
                .query_one(
                    "SELECT pg_catalog.pg_is_in_recovery(), pg_catalog.current_setting('server_version_num')::int",
                    &[],
                )
                .await
                .during(CONNECTING)?;
            if row.try_get(0).during(CONNECTING)? {
                return Err(standby(CONNECTING));
            }
            let version: i32 = row.try_get(1).during(CONNECTING)?;
            if version < OLDEST_SERVER {
                let message =
                    format!("this server is PostgreSQL {}, the oldest that is supported is 15", version / 10_000);
                return Err(PgError::new(PgErrorKind::Refused, CONNECTING, message));
            }
            // Waking others is no promise: it need not wait for the disk.
            let session = format!(
                "SET synchronous_commit = off; SET statement_timeout = {}; LISTEN {}",
                self.config.join_timeout.as_millis(),
                self.pg.schema()
            );
            link.client.batch_execute(&session).await.during(CONNECTING)
        };
        self.bounded(self.config.poll_timeout, CONNECTING, work).await?;
        Ok(link)
    }

    async fn join(&self, link: &Link) -> Result<(), PgError> {
        let sql = Arc::clone(&self.applied.statements().join);
        let statement = link.prepared(&sql).await?;
        let none: [&(dyn ToSql + Sync); 0] = [];
        let rows = link.client.query_raw(&statement, none).await.during(JOINING)?;
        let mut rows = std::pin::pin!(rows);
        let tell = |piece: &[LogRow]| {
            if !planted(Mistake::StartWithoutTheLog) {
                self.applied.tell(piece);
            }
        };
        let mut header = None;
        let mut told = 0;
        let mut piece: Vec<LogRow> = Vec::with_capacity(JOIN_PIECE);
        while let Some(row) = rows.try_next().await.during(JOINING)? {
            match Line::read(&row)? {
                Line::Header(found) => header = Some(*found),
                Line::Row(row) => piece.push(row),
            }
            if piece.len() == JOIN_PIECE {
                told += piece.len();
                tell(&piece);
                piece.clear();
            }
        }
        told += piece.len();
        tell(&piece);
        self.applied.join(header.ok_or_else(no_header)?, told > self.config.max_join_rows)
    }

    async fn poll(&self, link: &Link) -> Result<(), PgError> {
        let Some(poll) = self.applied.poll() else { return Ok(()) };
        let statement = link.prepared(poll.sql()).await?;
        let number = self.polls_sent.fetch_add(1, Ordering::SeqCst) + 1;
        let answer = link.client.query(&statement, &poll.params()).await.during(POLLING)?;
        if planted(Mistake::ConfirmationAtTheSnapshot) {
            self.applied.announce(&answer)?;
            self.report(link, &mut None).await?;
        }
        let polled = self.applied.apply(&answer)?;
        self.last_answered.fetch_max(number, Ordering::Release);
        self.answered.send_replace(Some((number, polled.snapshot)));
        Ok(())
    }

    /// Tells the others what is applied here, where that is news.
    async fn report(&self, link: &Link, reported: &mut Option<(Arc<str>, u64)>) -> Result<(), PgError> {
        let Some(member) = self.membership.incarnation() else { return Ok(()) };
        let Some((position, live, news)) = self.applied.report() else { return Ok(()) };
        if reported.as_ref().is_some_and(|(to, last)| *to == member && *last == news) {
            return Ok(());
        }
        let schema = self.pg.schema();
        let sql = format!("UPDATE {schema}.positions SET seen = $2, seen_in = $3 WHERE incarnation = $1::text::uuid");
        let sent = async {
            let statement = link.prepared(&sql).await?;
            let position = position.to_string();
            link.client.execute(&statement, &[&&*member, &position, &&*live]).await.during(REPORTING)
        };
        let sent = self.bounded(self.config.poll_timeout, REPORTING, sent);
        // Sent together, and apart: that nobody can be woken must not keep the report from those who look by themselves.
        let channel = format!("{}_members", self.pg.config().schema);
        let (sent, notified) = tokio::join!(sent, self.notify(link, &channel));
        sent?;
        notified?;
        *reported = Some((member, news));
        Ok(())
    }

    /// Wakes whoever listens. Where the server refuses that (its queue is full, or a right is missing), they look by themselves, a little later.
    async fn notify(&self, link: &Link, channel: &str) -> Result<(), PgError> {
        let sent = async {
            let statement = link.prepared("SELECT pg_catalog.pg_notify($1, '')").await?;
            let is_refusal = |error: &tokio_postgres::Error| {
                error.as_db_error().is_some_and(|said| said.parsed_severity() == Some(Severity::Error))
            };
            match link.client.execute(&statement, &[&channel]).await {
                Ok(_) => self.is_mute.store(false, Ordering::Relaxed),
                Err(error) if is_refusal(&error) => {
                    if !self.is_mute.swap(true, Ordering::Relaxed) {
                        tracing::warn!(%error, "postgres refuses notifications: changes are in force everywhere a little later");
                    }
                }
                failed => _ = failed.during(WAKING)?,
            }
            Ok(())
        };
        self.bounded(self.config.poll_timeout, WAKING, sent).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_run_on_every_server_that_is_supported_and_on_no_older_one() {
        assert_eq!(i64::from(OLDEST_SERVER), i64::from(test_services::OLDEST_POSTGRES) * 10_000);
    }
}
