//! Judges whether a change is in force with every member: it has applied it, or its lease is over for sure and it was fenced.
//!
//! One query answers for everybody who waits. It is sent after whoever waits came, and that is after the commit: so whoever is no member in its snapshot had
//! not joined by then, and will have applied the change before it uses anything cached.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cache_core::{Laggard, Mistake, Standing, planted};
use tokio::sync::{Notify, oneshot};
use tokio::time::Instant;
use tokio_postgres::Row;

use super::config::certainly_over;
use crate::connect::{OwnLink, lock};
use crate::log::Follower;
use crate::{Pg, PgContext, PgError, PgErrorKind, PgSnapshot};

/// The longest time between two looks while somebody waits: reports wake it, and a report that is lost costs this.
const LOOK: Duration = Duration::from_millis(10);
/// How long a look may take.
const LOOK_LIMIT: Duration = Duration::from_secs(2);
/// Whoever has lost patience is told within a look, and the fencing of one who is silent.
const SERVED: Duration = LOOK_LIMIT.saturating_mul(3);
/// The most who may wait at once; the next one is told to ask again.
const MAX_WAITING: usize = 65_536;

const JUDGING: &str = "ask who has applied a change";

/// Who waits, and what is known of members that are silent.
pub(crate) struct Judge {
    pg: Pg,
    follower: Arc<dyn Follower>,
    query: String,
    /// Fences all at once that are silent: whoever waits for one waits for all of them. The row of one that somebody holds, as a renewal that is under
    /// way does, is left for the next look, and keeps the others from nothing.
    fence: String,
    waiting: Mutex<Vec<Waiter>>,
    /// Somebody came.
    came: Notify,
    /// A member reported.
    reported: Arc<Notify>,
    watched: Mutex<HashMap<String, Watched>>,
    /// The lease of this member.
    lease: Duration,
}

struct Waiter {
    xid: u64,
    until: Instant,
    tell: oneshot::Sender<Result<Standing, PgError>>,
}

struct Watched {
    counter: i64,
    since: Instant,
}

struct Member {
    incarnation: String,
    name: String,
    counter: i64,
    lease: Duration,
    seen: Option<PgSnapshot>,
}

struct Look {
    silence: Duration,
    /// Those that are not fenced.
    members: Vec<Member>,
}

impl Judge {
    pub(crate) fn new(pg: Pg, follower: Arc<dyn Follower>, reported: Arc<Notify>) -> Self {
        let schema = pg.schema();
        let lease = pg.config().log.member.length();
        let query = format!(
            "SELECT h.history, h.live, h.age_ms, m.incarnation::text, m.name, m.counter, m.lease_ms, h.longest_ms, p.seen, p.seen_in, h.is_known
             FROM (SELECT {schema}.history() AS history, {schema}.incarnation() AS live,
                          (SELECT CASE WHEN first_seen > '-infinity'
                                  THEN (extract(epoch FROM pg_catalog.clock_timestamp() - first_seen) * 1000)::bigint END
                           FROM {schema}.histories WHERE identity = {schema}.history()) AS age_ms,
                          EXISTS (SELECT FROM {schema}.histories WHERE identity = {schema}.history()) AS is_known,
                          (SELECT max(lease_ms) FROM {schema}.members) AS longest_ms) h
             LEFT JOIN ({schema}.members m LEFT JOIN {schema}.positions p USING (incarnation)) ON NOT m.fenced"
        );
        let fence = format!(
            "WITH silent AS (
                 SELECT m.incarnation, m.counter FROM {schema}.members m
                 JOIN ROWS FROM (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::bigint[])) AS seen (incarnation, counter)
                     ON m.incarnation = seen.incarnation::uuid AND m.counter = seen.counter
                 WHERE NOT m.fenced FOR UPDATE OF m SKIP LOCKED)
             UPDATE {schema}.members m SET fenced = true FROM silent
             WHERE m.incarnation = silent.incarnation AND m.counter = silent.counter AND NOT m.fenced AND {schema}.durably()
             RETURNING m.incarnation::text"
        );
        Self {
            pg,
            follower,
            query,
            fence,
            waiting: Mutex::default(),
            came: Notify::new(),
            reported,
            watched: Mutex::default(),
            lease,
        }
    }

    /// Waits until a committed change is in force with every member, or the patience is over: then it says who lags.
    pub(crate) async fn in_force(&self, xid: u64, patience: Duration) -> Result<Standing, PgError> {
        if planted(Mistake::AcknowledgementAtTheCommit) {
            return Ok(Standing::alone());
        }
        let (tell, told) = oneshot::channel();
        {
            let mut waiting = lock(&self.waiting);
            if waiting.len() >= MAX_WAITING {
                let message = "too many wait already; the change is committed, ask for it again";
                return Err(PgError::new(PgErrorKind::Unavailable, JUDGING, message));
            }
            waiting.push(Waiter { xid, until: Instant::now() + patience, tell });
        }
        self.came.notify_one();
        let gone =
            || PgError::new(PgErrorKind::Unavailable, JUDGING, "the log is followed no more; the change is committed");
        // Whoever serves them may have ended, with the log.
        match tokio::time::timeout(patience.saturating_add(SERVED), told).await {
            Ok(told) => told.unwrap_or_else(|_| Err(gone())),
            Err(_) => Err(gone()),
        }
    }

    /// Serves those who wait, and ends with its task.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut link = None;
        // At hand before anybody waits for it. Where that fails, whoever waits first tries again.
        let _ = self.link(&mut link).await;
        loop {
            if lock(&self.waiting).is_empty() {
                self.came.notified().await;
                continue;
            }
            let served: Vec<Waiter> = std::mem::take(&mut *lock(&self.waiting));
            let look = match tokio::time::timeout(LOOK_LIMIT, self.look(&mut link)).await {
                Ok(look) => look,
                Err(_) => Err(self.pg.silent(JUDGING, LOOK_LIMIT)),
            };
            // What the server refuses it refuses on another connection too.
            let is_spoiled = |error: &PgError| {
                matches!(error.kind(), PgErrorKind::Timeout | PgErrorKind::Unavailable | PgErrorKind::Unexpected)
            };
            if look.as_ref().is_err_and(is_spoiled) {
                link = None;
            }
            let left = match &look {
                Ok(look) => self.serve(served, look),
                Err(error) => self.fail(served, error),
            };
            // Also for those who only look in now and then.
            if let Ok(look) = look {
                self.fence_the_silent(&mut link, &look).await;
            }
            if left.is_empty() {
                continue;
            }
            lock(&self.waiting).extend(left);
            tokio::select! {
                () = self.reported.notified() => {}
                () = self.came.notified() => {}
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    /// Answers those whose change is everywhere, and those whose patience is over.
    fn serve(&self, served: Vec<Waiter>, look: &Look) -> Vec<Waiter> {
        let now = Instant::now();
        let mut left = Vec::new();
        for waiter in served {
            let standing = self.standing(waiter.xid, look, now);
            if standing.is_in_force() || waiter.until <= now {
                let _ = waiter.tell.send(Ok(standing));
            } else if !waiter.tell.is_closed() {
                left.push(waiter);
            }
        }
        left
    }

    /// PostgreSQL can't be asked: those who have patience left wait for it.
    fn fail(&self, served: Vec<Waiter>, error: &PgError) -> Vec<Waiter> {
        let now = Instant::now();
        let (over, left): (Vec<_>, Vec<_>) =
            served.into_iter().partition(|waiter| waiter.until <= now || self.follower.is_dead());
        for waiter in over {
            let _ = waiter.tell.send(Err(error.clone()));
        }
        left
    }

    fn standing(&self, xid: u64, look: &Look, now: Instant) -> Standing {
        let mut standing = Standing { silence: look.silence, ..Standing::default() };
        let watched = lock(&self.watched);
        for member in &look.members {
            if member.seen.as_ref().is_some_and(|seen| confirms(seen, xid)) {
                standing.confirmed_by += 1;
            } else {
                let silent = watched.get(&member.incarnation).map_or(Duration::ZERO, |known| now - known.since);
                if planted(Mistake::NoFencing) && silent >= certainly_over(member.lease) {
                    continue;
                }
                standing.lagging.push(Laggard { name: member.name.clone(), silent });
            }
        }
        standing
    }

    /// A connection of its own, another one where that was closed.
    async fn link<'l>(&self, link: &'l mut Option<OwnLink>) -> Result<&'l OwnLink, PgError> {
        if link.as_ref().is_some_and(|link| link.client.is_closed()) {
            *link = None;
        }
        Ok(match link {
            Some(link) => link,
            none => none.insert(OwnLink(self.pg.open_beside(None).await?)),
        })
    }

    async fn look(&self, link: &mut Option<OwnLink>) -> Result<Look, PgError> {
        let link = self.link(link).await?;
        let statement = link.prepared(&self.query).await?;
        let rows = link.client.query(&statement, &[]).await.during(JUDGING)?;
        // A counter was what it is when its row was sent, and so was seen by now at the latest.
        let now = Instant::now();
        let look = self.read(&rows)?;
        let mut watched = lock(&self.watched);
        watched.retain(|incarnation, _| look.members.iter().any(|member| member.incarnation == *incarnation));
        for member in &look.members {
            let known =
                watched.entry(member.incarnation.clone()).or_insert(Watched { counter: member.counter, since: now });
            if known.counter != member.counter {
                *known = Watched { counter: member.counter, since: now };
            }
        }
        drop(watched);
        Ok(look)
    }

    fn read(&self, rows: &[Row]) -> Result<Look, PgError> {
        let unexpected = |what: &str| PgError::new(PgErrorKind::Unexpected, JUDGING, what.to_owned());
        let first = rows.first().ok_or_else(|| unexpected("the answer has no row"))?;
        let history: String = first.try_get(0).during(JUDGING)?;
        let is_another = self.follower.history().as_deref() != Some(&*history);
        if is_another && !planted(Mistake::IdentityMissing) {
            return Err(PgError::new(
                PgErrorKind::Refused,
                JUDGING,
                "PostgreSQL holds another history than the one that is followed here",
            ));
        }
        let live: String = first.try_get(1).during(JUDGING)?;
        let age_ms: Option<i64> = first.try_get(2).during(JUDGING)?;
        let is_known: bool = first.try_get(10).during(JUDGING)?;
        // One that nobody has joined yet has just begun.
        let age_ms = if is_known { age_ms } else { Some(0) };
        let mut members = Vec::with_capacity(rows.len());
        for row in rows {
            let Some(incarnation) = row.try_get::<_, Option<String>>(3).during(JUDGING)? else { continue };
            let seen: Option<&str> = row.try_get(8).during(JUDGING)?;
            let seen_in: Option<&str> = row.try_get(9).during(JUDGING)?;
            // A position from before a crash claims to have seen numbers that are given again.
            let seen = seen.filter(|_| seen_in == Some(&*live)).map(str::parse).transpose()?;
            members.push(Member {
                incarnation,
                name: row.try_get(4).during(JUDGING)?,
                counter: row.try_get(5).during(JUDGING)?,
                lease: lease_of(row.try_get(6).during(JUDGING)?),
                seen,
            });
        }
        let age_ms = age_ms.filter(|_| !planted(Mistake::NoSilenceAfterAFailover));
        // Those that were fenced count too: whoever joined after one that did, and was lost with the past, may have been given as long a lease.
        let longest: Option<i64> = first.try_get(7).during(JUDGING)?;
        let longest = longest.map(lease_of);
        Ok(Look { silence: silence(age_ms, longest, self.lease), members })
    }

    async fn fence_the_silent(&self, link: &mut Option<OwnLink>, look: &Look) {
        let now = Instant::now();
        let (incarnations, counters): (Vec<&str>, Vec<i64>) = {
            let watched = lock(&self.watched);
            let is_over = |member: &&Member| {
                let known = watched.get(&member.incarnation);
                !planted(Mistake::NoFencing)
                    && known.is_some_and(|known| now - known.since >= certainly_over(member.lease))
            };
            look.members.iter().filter(is_over).map(|member| (&*member.incarnation, member.counter)).unzip()
        };
        if incarnations.is_empty() {
            return;
        }
        let fenced = async {
            let link = self.link(link).await?;
            let statement = link.prepared(&self.fence).await?;
            link.client.query(&statement, &[&incarnations, &counters]).await.during(JUDGING)
        };
        match tokio::time::timeout(LOOK_LIMIT, fenced).await {
            Ok(Ok(fenced)) => {
                for row in fenced {
                    let incarnation: &str = row.get(0);
                    let named = look.members.iter().find(|member| member.incarnation == incarnation);
                    let member = named.map_or("", |member| &*member.name);
                    tracing::warn!(member, incarnation, "fenced: it has not renewed its lease");
                }
            }
            // What is asked next would wait behind it.
            Err(_) => *link = None,
            Ok(Err(error)) => tracing::warn!(%error, "members that are silent could not be fenced"),
        }
    }
}

fn lease_of(ms: i64) -> Duration {
    Duration::from_millis(u64::try_from(ms).unwrap_or(u64::MAX))
}

/// How long others of before may hold leases in a history of this age; the first history of all has nobody before it, and no age. The table may have
/// lost its members with the past: `own` is what there is to go by then, beside the longest lease that is known.
fn silence(age_ms: Option<i64>, known: Option<Duration>, own: Duration) -> Duration {
    let longest = known.map_or(own, |known| known.max(own));
    age_ms.map_or(Duration::ZERO, |age_ms| {
        certainly_over(longest).saturating_sub(Duration::from_millis(u64::try_from(age_ms).unwrap_or(0)))
    })
}

/// Whether a member that has applied this has applied the change.
fn confirms(seen: &PgSnapshot, xid: u64) -> bool {
    seen.sees(xid) || (planted(Mistake::ConfirmationByTheHighest) && xid < seen.xmax())
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_new_history_is_silent_for_the_longest_lease_that_anybody_may_hold() {
        let of = |age_ms, known| silence(age_ms, known, SECOND);
        assert_eq!(of(None, Some(SECOND)), Duration::ZERO, "nobody was there before");
        assert_eq!(of(Some(0), None), certainly_over(SECOND), "the members may be lost with the past");
        assert_eq!(of(Some(400), Some(3 * SECOND)), certainly_over(3 * SECOND) - Duration::from_millis(400));
        assert_eq!(of(Some(400), Some(SECOND / 2)), certainly_over(SECOND) - Duration::from_millis(400));
        assert_eq!(of(Some(60_000), Some(SECOND)), Duration::ZERO);
        // A clock that was set back.
        assert_eq!(of(Some(-5), Some(SECOND)), certainly_over(SECOND));
    }
}
