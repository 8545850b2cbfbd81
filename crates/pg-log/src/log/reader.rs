//! The reader of the log in this process: joins when PostgreSQL answers, then polls at its interval and whenever it is woken. What it says is in
//! force rests on the polls alone; a wake-up that is lost costs an interval.
//!
//! It has one connection of its own, on which it listens, polls and wakes others, and nothing else: whatever may take its time is done elsewhere. When that breaks another one is opened and the polls go on from
//! the position that was applied last: nothing was missed, because a poll asks for whatever that position did not see.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use cache_core::{Identity, Lease, Mistake, Standing, planted};
use futures_util::TryStreamExt;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::applied::{Applied, Polled};
use super::follower::Follower;
use super::poll::{Line, PollStatement, Statements, no_header, standby};
use super::row::{LogRow, LogSink};
use super::trim;
use crate::connect::{Link, OwnLink, backoff, lock};
use crate::members::{Judge, Keeper, Membership};
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
const POLLING: &str = "poll the log";
const WAKING: &str = "wake the others";
const SETTLING: &str = "settle what a crash lost";
const REPORTING: &str = "report what was applied";
const JOINING: &str = "read the retained log";

/// Follows the log of one PostgreSQL. Ends when it is dropped.
pub struct LogReader {
    inner: Arc<Inner>,
    task: Mutex<Option<JoinHandle<()>>>,
    /// Trims beside it.
    trimming: Mutex<Option<JoinHandle<()>>>,
    /// Asks for others whether their changes are in force.
    judge: Arc<Judge>,
    judging: JoinHandle<()>,
    /// Keeps the lease.
    keeper: Mutex<Option<Keeper>>,
}

struct Inner {
    pg: Pg,
    config: LogConfig,
    applied: Arc<Applied>,
    /// How many polls were sent by the task that follows, and the last that was answered and applied: its number, and what it saw.
    polls_sent: AtomicU64,
    answered: watch::Sender<Option<(u64, Arc<PgSnapshot>)>>,
    /// The number of that poll alone.
    last_answered: AtomicU64,
    /// Somebody wants a poll now.
    wake: Arc<Notify>,
    /// The others have to be told.
    tell_others: AtomicBool,
    stopping: AtomicBool,
    stop: Notify,
    trouble: Mutex<Option<PgError>>,
    membership: Arc<Membership>,
}

impl LogReader {
    /// Starts following, in a task of its own: where PostgreSQL is down it joins later.
    #[must_use]
    pub fn start(pg: Pg, sink: Arc<dyn LogSink>) -> Arc<Self> {
        Self::start_under(pg, sink, Arc::new(Lease::over()))
    }

    /// The same under a lease that others look at already. It is kept from here on.
    #[must_use]
    pub fn start_under(pg: Pg, sink: Arc<dyn LogSink>, lease: Arc<Lease>) -> Arc<Self> {
        let config = pg.config().log.clone();
        let statements = Statements::new(pg.schema(), config.max_poll_rows, config.max_join_rows);
        let inner = Arc::new(Inner {
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
        });
        let (pg, reported) = (inner.pg.clone(), Arc::new(Notify::new()));
        let follower = Arc::clone(&inner) as Arc<dyn Follower>;
        let judge = Arc::new(Judge::new(pg.clone(), Arc::clone(&follower), Arc::clone(&reported)));
        let judging = tokio::spawn(Arc::clone(&judge).run());
        let keeper = Keeper::start(pg, follower, Arc::clone(&inner.membership), reported);
        let trimming =
            inner.config.trims.then(|| tokio::spawn(trim::run(inner.pg.clone(), Arc::clone(&inner.applied))));
        let task = tokio::spawn(Arc::clone(&inner).run());
        Arc::new(Self {
            inner,
            task: Mutex::new(Some(task)),
            trimming: Mutex::new(trimming),
            judge,
            judging,
            keeper: Mutex::new(Some(keeper)),
        })
    }

    /// Whether the whole retained log has been applied, and nothing has ended that since.
    #[must_use]
    pub fn is_joined(&self) -> bool {
        self.position().is_some()
    }

    /// Waits until it is joined, for as long as that takes.
    pub async fn joined(&self) {
        // The sender lives as long as `self`.
        let _ = self.inner.applied.watch().wait_for(Option::is_some).await;
    }

    /// Which history it follows; none before it was joined.
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        self.inner.applied.identity()
    }

    /// Polls soon, and tells the others to: call it after a commit that wrote to the log.
    pub fn wake(&self) {
        self.inner.tell_others.store(true, Ordering::Release);
        self.inner.wake.notify_one();
    }

    /// What has been applied here, entirely.
    #[must_use]
    pub fn position(&self) -> Option<Arc<PgSnapshot>> {
        self.inner.applied.position()
    }

    /// Another number whenever the position is another one, for whoever keeps something that was made of it.
    #[must_use]
    pub fn published(&self) -> u64 {
        self.inner.applied.published()
    }

    /// How many polls this reader has sent: see [`LogReader::has_polled_after`].
    #[must_use]
    pub fn polls_sent(&self) -> u64 {
        self.inner.polls_sent.load(Ordering::SeqCst)
    }

    /// Whether a poll that was sent after so many of them is applied. Then the position contains whatever anybody had read by the time of that count.
    #[must_use]
    pub fn has_polled_after(&self, sent: u64) -> bool {
        self.inner.last_answered.load(Ordering::Acquire) > sent
    }

    /// Below it the log is not whole any more: it was trimmed by age, or the server has crashed since.
    #[must_use]
    pub fn trimmed_below(&self) -> u64 {
        self.inner.applied.trimmed_below()
    }

    /// A poll relative to the position, for a transaction that is about to read: send it as the first statement of a READ ONLY transaction on the
    /// primary, and give the answer to [`LogReader::apply_polled`] before anything that is cached is used. None before the log was joined.
    #[must_use]
    pub fn poll_statement(&self) -> Option<PollStatement> {
        self.inner.applied.poll()
    }

    /// Applies the answer to a [`PollStatement`].
    ///
    /// # Errors
    /// Where the answer is of another history, of a standby, or of a transaction that has written. Nothing is applied then; of another history
    /// everything that was cached is dead.
    pub fn apply_polled(&self, answer: &[Row]) -> Result<Polled, PgError> {
        self.inner.applied.apply(answer)
    }

    pub(super) fn statements(&self) -> &Statements {
        self.inner.applied.statements()
    }

    /// Waits until what a transaction wrote, which has been committed, is applied here.
    ///
    /// What counts is a poll that was sent after this was called, and not the position of then: that may be from before a crash of the server,
    /// and claims to have seen numbers that were given again since. All who wait at once wait for the same poll.
    ///
    /// # Errors
    /// [`PgErrorKind::Timeout`] where that takes longer than [`LogConfig::apply_timeout`]. The change is committed nevertheless, and will be applied.
    /// The log's own error where it is followed no more.
    pub async fn applied(&self, xid: u64) -> Result<(), PgError> {
        if self.inner.polled(self.inner.config.apply_timeout, |snapshot| snapshot.sees(xid)).await? {
            return Ok(());
        }
        let mut message = format!(
            "transaction {xid} is committed, and was not applied here within {} ms; it will be",
            self.inner.config.apply_timeout.as_millis()
        );
        if let Some(trouble) = self.trouble() {
            message.push_str(&format!(" ({trouble})"));
        }
        Err(PgError::new(PgErrorKind::Timeout, "wait for its own change", message))
    }

    /// Waits until all that a snapshot sees is applied here; without one, all that anybody can have read before this call. All who wait at once wait
    /// for the same poll.
    ///
    /// # Errors
    /// As [`LogReader::applied`].
    pub async fn caught_up(&self, with: Option<&PgSnapshot>) -> Result<(), PgError> {
        if with.is_some_and(|earlier| self.position().is_some_and(|position| position.covers(earlier))) {
            return Ok(());
        }
        let limit = self.inner.config.apply_timeout;
        if self.inner.polled(limit, |snapshot| with.is_none_or(|earlier| snapshot.covers(earlier))).await? {
            return Ok(());
        }
        Err(self.trouble().unwrap_or_else(|| self.inner.pg.silent(POLLING, limit)))
    }

    /// How long what was told may be trusted.
    #[must_use]
    pub fn lease(&self) -> &Arc<Lease> {
        &self.inner.membership.lease
    }

    /// Waits until the lease holds, for as long as that takes.
    pub async fn leased(&self) {
        self.inner.membership.kept().await;
    }

    /// Waits until what a transaction wrote, which has been committed, is in force with everybody who follows the log, or `patience` is over: then
    /// the answer says who lags. In force means that nobody who is asked from then on answers by what was cached before.
    ///
    /// # Errors
    /// Where PostgreSQL can't be asked, or holds another history. The change is committed nevertheless.
    pub async fn in_force(&self, xid: u64, patience: Duration) -> Result<Standing, PgError> {
        self.judge.in_force(xid, patience).await
    }

    /// Why the log can't be followed at the moment; none where it can.
    #[must_use]
    pub fn trouble(&self) -> Option<PgError> {
        self.inner.applied.dead().cloned().or_else(|| lock(&self.inner.trouble).clone())
    }

    /// Ends, and waits for the end.
    pub async fn stop(&self) {
        let keeper = lock(&self.keeper).take();
        if let Some(keeper) = keeper {
            keeper.stop().await;
        }
        self.judging.abort();
        self.inner.stop();
        let tasks = [self.stop_trimming(), lock(&self.task).take()];
        for task in tasks.into_iter().flatten() {
            let _ = task.await;
        }
    }
}

impl LogReader {
    /// Whatever it was doing: a statement that is not finished is undone by the server.
    fn stop_trimming(&self) -> Option<JoinHandle<()>> {
        let task = lock(&self.trimming).take();
        task.inspect(JoinHandle::abort)
    }
}

impl Drop for LogReader {
    fn drop(&mut self) {
        self.judging.abort();
        self.inner.stop();
        self.stop_trimming();
    }
}

impl std::fmt::Debug for LogReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogReader")
            .field("pg", &self.inner.pg)
            .field("position", &self.position())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Follower for Inner {
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

impl Inner {
    /// Waits for a poll that was sent after this call, is applied, and has a snapshot as wanted; whether there was one in time.
    async fn polled(&self, limit: Duration, wanted: impl Fn(&PgSnapshot) -> bool) -> Result<bool, PgError> {
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

    fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.stop.notify_one();
    }

    async fn run(self: Arc<Self>) {
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
            let (polled, notified) = tokio::join!(polled, self.notify(&link, told));
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
        let sql = format!(
            "WITH told AS (UPDATE {schema}.positions SET seen = $2, seen_in = $3 WHERE incarnation = $1::text::uuid RETURNING 1)
             SELECT pg_catalog.pg_notify($4, '') FROM told"
        );
        let channel = format!("{}_members", self.pg.config().schema);
        let sent = async {
            let statement = link.prepared(&sql).await?;
            let position = position.to_string();
            link.client.execute(&statement, &[&&*member, &position, &&*live, &channel]).await.during(REPORTING)
        };
        self.bounded(self.config.poll_timeout, REPORTING, sent).await?;
        *reported = Some((member, news));
        Ok(())
    }

    async fn notify(&self, link: &Link, wanted: bool) -> Result<(), PgError> {
        if !wanted {
            return Ok(());
        }
        let statement = link.prepared("SELECT pg_catalog.pg_notify($1, '')").await?;
        let sent =
            async { link.client.execute(&statement, &[&self.pg.config().schema]).await.during(WAKING).map(drop) };
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
