//! Keeps this process's lease: on a thread and a connection of its own, so that nothing that goes on elsewhere in the process delays a renewal, and
//! none is made where the process has stopped following.
//!
//! A renewal names the counter that the last one left. An older copy of the database that was put in place of this one has a lower one, or
//! no row at all, however many transactions it has begun since: that is how it is noticed.
//!
//! A round: the log is polled and the answer applied by the reader, then the renewal is sent. Where the reader does not get to it, there is no
//! renewal, and a process that can apply nothing lets its lease run out instead of answering from what it has not looked after.

use std::sync::Arc;
use std::sync::Mutex;
use std::thread::JoinHandle;
use std::time::Duration;

use cache_core::{Clock, Lease, Mistake, SystemClock, planted};
use tokio::sync::{Notify, watch};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::MemberConfig;
use super::suspension::Suspension;
use crate::connect::{Link, OwnLink, backoff, lock};
use crate::log::Follower;
use crate::{Pg, PgContext, PgError, PgErrorKind, own_thread};

/// The pauses after a failure, doubled from the first to the last.
const RETRY_FIRST: Duration = Duration::from_millis(20);
const RETRY_LAST: Duration = Duration::from_millis(500);
/// How long giving the lease back may take.
const LEAVE_LIMIT: Duration = Duration::from_secs(1);
/// How long a statement of a round may take before its connection is given up; the lease is over long before.
const STATEMENT_LIMIT: Duration = Duration::from_secs(5);

/// Rows of members that were fenced are deleted an hour after they were renewed, by the server's clock. One that was renewed since is gone with its
/// past. The same clock says so: that of this process stands still while the machine sleeps, and neither is a match for one that was set.
const KEPT: Duration = Duration::from_secs(50 * 60);

/// The server's clock, in milliseconds since 1970.
const NOW_MS: &str = "(extract(epoch FROM pg_catalog.clock_timestamp()) * 1000)::bigint";

const JOINING: &str = "join the members";
const RENEWING: &str = "renew the lease";
const LEAVING: &str = "give the lease back";

/// This process among the members.
pub(crate) struct Membership {
    pub(crate) lease: Arc<Lease>,
    /// Under which incarnation it is one.
    incarnation: Mutex<Option<Arc<str>>>,
    /// Whether the last round renewed the lease.
    kept: watch::Sender<bool>,
}

impl Membership {
    pub(crate) fn new(lease: Arc<Lease>) -> Self {
        Self { lease, incarnation: Mutex::default(), kept: watch::Sender::new(false) }
    }

    /// Waits until the lease was renewed, and was not given up since.
    pub(crate) async fn kept(&self) {
        let _ = self.kept.subscribe().wait_for(|kept| *kept).await;
    }

    pub(crate) fn incarnation(&self) -> Option<Arc<str>> {
        lock(&self.incarnation).clone()
    }
}

/// The thread that keeps the lease. Ends when it is stopped or dropped.
pub(crate) struct Keeper {
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Starts. `reported` is woken whenever a member reports.
    pub(crate) fn start(
        pg: Pg,
        follower: Arc<dyn Follower>,
        membership: Arc<Membership>,
        reported: Arc<Notify>,
    ) -> Self {
        let (stop, stopped) = watch::channel(false);
        let round = Round {
            config: pg.config().log.member.clone(),
            channel: format!("{}_members", pg.config().schema),
            pg,
            follower,
            suspension: Suspension::new(SystemClock::suspended, Arc::clone(&membership.lease)),
            membership,
            reported,
        };
        let thread = own_thread::run("tiergate-lease", || round.run(stopped))
            .inspect_err(|error| {
                tracing::error!(%error, "nothing that is cached can be used: the lease needs a thread of its own");
            })
            .ok();
        Self { stop, thread }
    }

    /// Gives the lease back, and waits for that.
    pub(crate) async fn stop(mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

/// What the row of this member says, as far as its holder knows.
struct Known {
    incarnation: Arc<str>,
    counter: i64,
    /// When it was renewed by the server's clock, in milliseconds since 1970.
    renewed_ms: i64,
}

struct Round {
    pg: Pg,
    config: MemberConfig,
    channel: String,
    follower: Arc<dyn Follower>,
    membership: Arc<Membership>,
    suspension: Suspension,
    reported: Arc<Notify>,
}

impl Round {
    async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut failures = 0;
        let (mut link, mut known) = (None, None);
        let stopped = async |stop: &mut watch::Receiver<bool>| {
            let _ = stop.wait_for(|stopped| *stopped).await;
        };
        loop {
            let kept = tokio::select! {
                biased;
                () = stopped(&mut stop) => break,
                never = self.suspension.watch() => match never {},
                kept = self.keep(&mut link, &mut known, &mut failures) => kept,
            };
            let Err(error) = kept;
            if self.follower.is_dead() {
                break;
            }
            if failures == 0 {
                tracing::warn!(%error, "the lease can't be renewed for now: nothing that is cached is used once it is over");
            }
            link = None;
            self.membership.kept.send_replace(false);
            let pause = backoff(failures, RETRY_FIRST, RETRY_LAST.min(self.config.round()));
            failures = failures.saturating_add(1);
            tokio::select! {
                () = stopped(&mut stop) => break,
                () = tokio::time::sleep(pause) => {}
            }
        }
        // The gate first, the row after: whoever misses the row acknowledges at once.
        if !planted(Mistake::GateClosedAfterTheRow) {
            self.membership.lease.lose();
        }
        let leave = async {
            if let Some(link) = &link {
                self.leave(link).await
            } else {
                let link = self.connect().await?;
                self.leave(&link).await
            }
        };
        if self.membership.incarnation().is_some()
            && !matches!(tokio::time::timeout(LEAVE_LIMIT, leave).await, Ok(Ok(())))
        {
            tracing::warn!("the lease could not be given back: acknowledgements wait until it is over");
        }
        if planted(Mistake::GateClosedAfterTheRow) {
            self.membership.lease.lose();
        }
    }

    /// Renews until that fails.
    async fn keep(
        &self,
        link: &mut Option<OwnLink>,
        known: &mut Option<Known>,
        failures: &mut u32,
    ) -> Result<std::convert::Infallible, PgError> {
        let link = match link {
            Some(link) => link,
            none => none.insert(self.connect().await?),
        };
        loop {
            // Before that others would wait for it.
            self.follower.joined().await;
            let begun = tokio::time::Instant::now();
            let joins = known.is_none();
            let member = match known.take() {
                Some(member) => known.insert(member),
                None => known.insert(self.join(link).await?),
            };
            // Begun and applied after the member's row was there, and in this round.
            if !(joins && planted(Mistake::SnapshotBeforeTheRegistration)) {
                self.follower.fresh(self.config.length()).await?;
            }
            if self.renew(link, member).await? {
                if *failures > 0 {
                    tracing::info!(place = self.pg.place(), "the lease is renewed again");
                }
                *failures = 0;
            } else {
                self.membership.lease.end();
                self.look_back(link, member).await?;
                *known = None;
                *lock(&self.membership.incarnation) = None;
                let message = "this instance was silent for longer than its lease, and joins anew";
                return Err(PgError::new(PgErrorKind::Refused, RENEWING, message));
            }
            tokio::time::sleep_until(begun + self.config.round()).await;
        }
    }

    async fn connect(&self) -> Result<OwnLink, PgError> {
        let link = OwnLink(self.pg.open_beside(Some(Arc::clone(&self.reported))).await?);
        let mut session =
            format!("SET statement_timeout = {}; LISTEN \"{}\"", STATEMENT_LIMIT.as_millis(), self.channel);
        if planted(Mistake::MembersLost) {
            for table in ["positions", "members"] {
                session.push_str(&format!("; ALTER TABLE {}.{table} SET UNLOGGED", self.pg.schema()));
            }
        }
        self.bounded(JOINING, async { link.client.batch_execute(&session).await.during(JOINING) }).await?;
        Ok(link)
    }

    async fn join(&self, link: &Link) -> Result<Known, PgError> {
        let length = i64::try_from(self.config.length().as_millis()).unwrap_or(i64::MAX);
        let sql = format!("SELECT {}.join_members($1, $2), {NOW_MS}", self.pg.schema());
        let joined = async {
            let statement = link.prepared(&sql).await?;
            let row = link.client.query_one(&statement, &[&self.config.name, &length]).await.during(JOINING)?;
            Ok((row.try_get::<_, String>(0).during(JOINING)?, row.try_get(1).during(JOINING)?))
        };
        let (incarnation, renewed_ms) = self.durably(link, JOINING, joined).await?;
        let incarnation: Arc<str> = incarnation.into();
        *lock(&self.membership.incarnation) = Some(Arc::clone(&incarnation));
        Ok(Known { incarnation, counter: 0, renewed_ms })
    }

    /// Whether it was renewed. It is refused where the member was fenced, or the history is another one.
    async fn renew(&self, link: &Link, member: &mut Known) -> Result<bool, PgError> {
        let schema = self.pg.schema();
        let history = match planted(Mistake::IdentityMissing) {
            true => "''::text".to_owned(),
            false => format!("{schema}.history()"),
        };
        let sql = format!(
            "UPDATE {schema}.members SET counter = counter + 1, renewed_at = pg_catalog.clock_timestamp()
             WHERE incarnation = $1::text::uuid AND NOT fenced AND counter >= $3 AND {history} = $2 AND {schema}.durably()
             RETURNING counter, (extract(epoch FROM renewed_at) * 1000)::bigint"
        );
        let Some(history) = self.follower.history() else { return Ok(false) };
        let suspended = self.suspension.look();
        let sent = SystemClock.now();
        let renewed = async {
            let statement = link.prepared(&sql).await?;
            let params: [&(dyn ToSql + Sync); 3] = [&&*member.incarnation, &&*history, &member.counter];
            let row = link.client.query_opt(&statement, &params).await.during(RENEWING)?;
            let renewed = |row: Row| Ok((row.try_get::<_, i64>(0).during(RENEWING)?, row.try_get(1).during(RENEWING)?));
            row.map(renewed).transpose()
        };
        let renewed = self.durably(link, RENEWING, renewed).await?;
        let sent = if planted(Mistake::LeaseFromTheReply) { SystemClock.now() } else { sent };
        if let Some((counter, renewed_ms)) = renewed {
            // One that was given up may have been counted too: no less than what was heard of.
            *member = Known { incarnation: Arc::clone(&member.incarnation), counter, renewed_ms };
            if self.suspension.look() == suspended {
                self.membership.lease.extend(sent, self.config.length());
            }
            // Once more, so that none falls between a look and the extension.
            if self.suspension.look() != suspended {
                let message = "the machine was suspended while the lease was renewed";
                return Err(PgError::new(PgErrorKind::Timeout, RENEWING, message));
            }
        }
        self.membership.kept.send_replace(renewed.is_some());
        Ok(renewed.is_some())
    }

    /// After a refusal: where the row says less than it did, the database was put back to an older state, and what is cached is of a future that it
    /// never had.
    async fn look_back(&self, link: &Link, member: &Known) -> Result<(), PgError> {
        let sql = format!(
            "SELECT (SELECT counter FROM {}.members WHERE incarnation = $1::text::uuid), {NOW_MS}",
            self.pg.schema()
        );
        let found = async {
            let statement = link.prepared(&sql).await?;
            let row = link.client.query_one(&statement, &[&&*member.incarnation]).await.during(RENEWING)?;
            Ok((row.try_get::<_, Option<i64>>(0).during(RENEWING)?, row.try_get::<_, i64>(1).during(RENEWING)?))
        };
        let lost = match self.bounded(RENEWING, found).await? {
            (Some(counter), _) => counter < member.counter,
            (None, now_ms) => u128::try_from(now_ms - member.renewed_ms).unwrap_or(0) < KEPT.as_millis(),
        };
        if lost {
            self.follower.lose(
                "an older copy of the database is in its place, where what this instance wrote is gone: call new_epoch() there first",
            );
        }
        Ok(())
    }

    async fn leave(&self, link: &Link) -> Result<(), PgError> {
        let Some(incarnation) = self.membership.incarnation() else { return Ok(()) };
        let sql = format!("DELETE FROM {}.members WHERE incarnation = $1::text::uuid", self.pg.schema());
        let statement = link.prepared(&sql).await?;
        link.client.execute(&statement, &[&&*incarnation]).await.during(LEAVING).map(drop)
    }

    /// A statement that has to be on the disk, and on the replicas that a commit waits for. One whose wait was cancelled succeeds with a
    /// warning: that is a failure here.
    async fn durably<T>(
        &self,
        link: &Link,
        operation: &'static str,
        work: impl Future<Output = Result<T, PgError>>,
    ) -> Result<T, PgError> {
        let before = link.warnings();
        let done = self.bounded(operation, work).await?;
        if link.warnings() != before {
            let message = "the server warned that the commit was not waited for as it should have been";
            return Err(PgError::new(PgErrorKind::Unexpected, operation, message));
        }
        Ok(done)
    }

    async fn bounded<T>(
        &self,
        operation: &'static str,
        work: impl Future<Output = Result<T, PgError>>,
    ) -> Result<T, PgError> {
        match tokio::time::timeout(STATEMENT_LIMIT, work).await {
            Ok(result) => result,
            Err(_) => Err(self.pg.silent(operation, STATEMENT_LIMIT)),
        }
    }
}
