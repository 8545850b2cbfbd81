//! The reader of the log in this process, as others hold it: what it has applied, and waiting for more.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cache_core::{Identity, Lease, Standing};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_postgres::Row;

use super::applied::{Applied, Polled};
use super::follower::Follower;
use super::following::{Following, POLLING};
use super::poll::{PollStatement, Statements};
use super::row::LogSink;
use super::trim;
use crate::connect::lock;
use crate::members::{Judge, Keeper};
use crate::own_thread::OwnThread;
use crate::{Pg, PgError, PgErrorKind, PgSnapshot};

/// Follows the log of one PostgreSQL. Ends when it is dropped.
pub struct LogReader {
    following: Arc<Following>,
    task: Mutex<Option<JoinHandle<()>>>,
    /// Trims beside it.
    trimming: Mutex<Option<JoinHandle<()>>>,
    /// Asks for others whether their changes are in force.
    judge: Arc<Judge>,
    judging: JoinHandle<()>,
    /// Follows and judges: whoever waits for a change waits for these two.
    _thread: OwnThread,
    /// Keeps the lease.
    keeper: Mutex<Option<Keeper>>,
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
        let following = Arc::new(Following::new(pg, sink, lease));
        let (pg, reported) = (following.pg.clone(), Arc::new(Notify::new()));
        let follower = Arc::clone(&following) as Arc<dyn Follower>;
        let judge = Arc::new(Judge::new(pg.clone(), Arc::clone(&follower), Arc::clone(&reported)));
        let thread = OwnThread::start("tiergate-log");
        let judging = thread.spawn(Arc::clone(&judge).run());
        let keeper = Keeper::start(pg, follower, Arc::clone(&following.membership), reported);
        let trimming = following
            .config
            .trims
            .then(|| tokio::spawn(trim::run(following.pg.clone(), Arc::clone(&following.applied))));
        let task = thread.spawn(Arc::clone(&following).run());
        Arc::new(Self {
            following,
            task: Mutex::new(Some(task)),
            trimming: Mutex::new(trimming),
            judge,
            judging,
            _thread: thread,
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
        let _ = self.following.applied.watch().wait_for(Option::is_some).await;
    }

    /// Which history it follows; none before it was joined.
    #[must_use]
    pub fn identity(&self) -> Option<Identity> {
        self.following.applied.identity()
    }

    /// Polls soon, and tells the others to: call it after a commit that wrote to the log.
    pub fn wake(&self) {
        self.following.tell_others.store(true, Ordering::Release);
        self.following.wake.notify_one();
    }

    /// What has been applied here, entirely.
    #[must_use]
    pub fn position(&self) -> Option<Arc<PgSnapshot>> {
        self.following.applied.position()
    }

    /// Another number whenever the position is another one, for whoever keeps something that was made of it.
    #[must_use]
    pub fn published(&self) -> u64 {
        self.following.applied.published()
    }

    /// How many polls this reader has sent: see [`LogReader::has_polled_after`].
    #[must_use]
    pub fn polls_sent(&self) -> u64 {
        self.following.polls_sent.load(Ordering::SeqCst)
    }

    /// Whether a poll that was sent after so many of them is applied. Then the position contains whatever anybody had read by the time of that count.
    #[must_use]
    pub fn has_polled_after(&self, sent: u64) -> bool {
        self.following.last_answered.load(Ordering::Acquire) > sent
    }

    /// Below it the log is not whole any more: it was trimmed by age, or the server has crashed since.
    #[must_use]
    pub fn trimmed_below(&self) -> u64 {
        self.following.applied.trimmed_below()
    }

    /// A poll relative to the position, for a transaction that is about to read: send it as the first statement of a READ ONLY transaction on the
    /// primary, and give the answer to [`LogReader::apply_polled`] before anything that is cached is used. None before the log was joined.
    #[must_use]
    pub fn poll_statement(&self) -> Option<PollStatement> {
        self.following.applied.poll()
    }

    /// Applies the answer to a [`PollStatement`].
    ///
    /// # Errors
    /// Where the answer is of another history, of a standby, or of a transaction that has written. Nothing is applied then; of another history
    /// everything that was cached is dead.
    pub fn apply_polled(&self, answer: &[Row]) -> Result<Polled, PgError> {
        self.following.applied.apply(answer)
    }

    pub(super) fn pg(&self) -> &Pg {
        &self.following.pg
    }

    pub(super) fn followed(&self) -> &Applied {
        &self.following.applied
    }

    pub(super) fn statements(&self) -> &Statements {
        self.following.applied.statements()
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
        if self.following.polled(self.following.config.apply_timeout, |snapshot| snapshot.sees(xid)).await? {
            return Ok(());
        }
        let mut message = format!(
            "transaction {xid} is committed, and was not applied here within {} ms; it will be",
            self.following.config.apply_timeout.as_millis()
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
        let limit = self.following.config.apply_timeout;
        if self.following.polled(limit, |snapshot| with.is_none_or(|earlier| snapshot.covers(earlier))).await? {
            return Ok(());
        }
        Err(self.trouble().unwrap_or_else(|| self.following.pg.silent(POLLING, limit)))
    }

    /// How long what was told may be trusted.
    #[must_use]
    pub fn lease(&self) -> &Arc<Lease> {
        &self.following.membership.lease
    }

    /// Under which incarnation this process is a member of those who follow the log; none before it is one.
    #[must_use]
    pub fn incarnation(&self) -> Option<Arc<str>> {
        self.following.membership.incarnation()
    }

    /// Waits until the lease holds, for as long as that takes.
    pub async fn leased(&self) {
        self.following.membership.kept().await;
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
        self.following.applied.dead().cloned().or_else(|| lock(&self.following.trouble).clone())
    }

    /// Ends, and waits for the end.
    pub async fn stop(&self) {
        let keeper = lock(&self.keeper).take();
        if let Some(keeper) = keeper {
            keeper.stop().await;
        }
        self.judging.abort();
        self.following.stop();
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
        self.following.stop();
        self.stop_trimming();
    }
}

impl std::fmt::Debug for LogReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LogReader")
            .field("pg", &self.following.pg)
            .field("position", &self.position())
            .finish_non_exhaustive()
    }
}
