//! One refresh.
//!
//! ```text
//! advisory lock                     of the session; whoever does not get it leaves
//! BEGIN REPEATABLE READ
//! UPDATE as_of = xmin(snapshot)     the snapshot of the transaction begins here, before it has a number of its own
//! REFRESH … CONCURRENTLY            reads by the same snapshot
//! COMMIT                            as_of and content become visible together
//! unlock
//! ```
//!
//! **Why in this order.** Every change below the xmin of a snapshot is in it; changes above may be in it as well, which costs nothing but a pass-over. Taken after the content was read,
//! by a later snapshot, the stamp would claim changes that came in between. The number that the UPDATE gives to the transaction is drawn after its snapshot, so
//! that a refresh does not hold back its own stamp; it does hold back that of whatever is read while it runs.
//!
//! **Why the lock comes first.** A transaction that takes its snapshot and then waits for another refresh would refresh by a snapshot that is older than the content it meets; the later of
//! two refreshes would win with the older state, or fail over a duplicate key.

use std::sync::Arc;
use std::time::Duration;

use cache_core::{Mistake, Stamp, planted};
use pg_log::tokio_postgres::Client;

use super::{Refreshed, Shared, sweep};
use crate::core::Xid8;
use crate::views::{Known, Version};
use pg_log::{Exclusive, PgContext, PgError, PgErrorKind};

const DOING: &str = "refresh a view";
/// How much longer than its limit a refresh is waited for, before its connection is given up: the server ends it by itself.
const GRACE: Duration = Duration::from_secs(5);

/// What the database says of a version.
struct Before {
    is_populated: bool,
    /// By the database's clock.
    age: Option<Duration>,
}

pub(super) async fn refresh(shared: Arc<Shared>, view: usize, young: Option<Duration>) -> Result<Refreshed, PgError> {
    let (known, record) = (&shared.views.all()[view], &shared.records[view]);
    let began = shared.clock.now();
    let result = tokio::select! {
        biased;
        result = attempt(&shared, view, young) => result,
        () = shared.clock.sleep(known.view.limit + GRACE) => Err(PgError::new(
            PgErrorKind::Timeout,
            DOING,
            format!("PostgreSQL did not end it within {:?}; is the network gone?", known.view.limit + GRACE),
        )),
    };
    record.ended(&result, began);
    match &result {
        Ok(Refreshed::Done { as_of, took }) => {
            tracing::debug!(view = known.view.name, as_of = as_of.get(), ?took, "a view was refreshed");
        }
        Ok(_) => {}
        Err(error) => tracing::warn!(view = known.view.name, %error, "a view was not refreshed; it gets older"),
    }
    result
}

async fn attempt(shared: &Arc<Shared>, view: usize, young: Option<Duration>) -> Result<Refreshed, PgError> {
    let known = &shared.views.all()[view];
    let mut client = shared.views.pg().exclusive().await?;
    let version = match shared.views.find(known, &client).await? {
        Some(found) => found.version,
        // It was dropped, as one that nobody used for long.
        None => {
            shared.views.ensure(known, &mut client).await?;
            let found = shared.views.find(known, &client).await?;
            found.ok_or_else(|| PgError::new(PgErrorKind::Schema, DOING, "its version was dropped at once"))?.version
        }
    };
    let version = &version;
    if is_young(shared, view, version, &client, young).await? {
        return Ok(Refreshed::Young);
    }
    // The lock belongs to the session, and must end with it, however this ends.
    client.single_use();
    let lock = shared.views.lock_name(&version.relation);
    let locked = client.query_one("SELECT pg_try_advisory_lock(hashtextextended($1, 0))", &[&lock]).await;
    if !locked.and_then(|row| row.try_get(0)).during(DOING)? {
        return Ok(Refreshed::Elsewhere);
    }
    let result = elected(shared, view, version, &mut client, young).await;
    if result.is_err() {
        // Also out of a transaction that PostgreSQL has given up.
        let _ = client.batch_execute("ROLLBACK").await;
    }
    let unlocked = client.query_one("SELECT pg_advisory_unlock(hashtextextended($1, 0))", &[&lock]).await;
    if let Err(error) = unlocked {
        // Then the session is over, and its locks with it.
        tracing::debug!(view = known.view.name, %error, "the session of a refresh broke");
    }
    result
}

/// What the holder of the lock does.
async fn elected(
    shared: &Arc<Shared>,
    view: usize,
    version: &Arc<Version>,
    client: &mut Exclusive,
    young: Option<Duration>,
) -> Result<Refreshed, PgError> {
    // Whoever held the lock before may have refreshed it.
    if is_young(shared, view, version, client, young).await? {
        return Ok(Refreshed::Young);
    }
    let known = &shared.views.all()[view];
    // Also where it fails from here on: a view that can't be refreshed is in use all the same.
    shared.views.note_use(client, version.id).await.during(DOING)?;
    let before = before(shared, version, client).await?;
    let began = shared.clock.now();
    let as_of = transact(shared, known, version, &before, client).await?;
    known.set_version(Some(Arc::clone(version)));
    let took = shared.clock.now().since(began);
    sweep::unused(shared, client).await;
    Ok(Refreshed::Done { as_of, took })
}

async fn transact(
    shared: &Arc<Shared>,
    known: &Known,
    version: &Version,
    before: &Before,
    client: &Client,
) -> Result<Stamp, PgError> {
    let (schema, Version { id, relation, .. }) = (shared.views.schema(), version);
    let (limit_ms, lock_ms) = (known.view.limit.as_millis(), shared.config.lock_wait_ms);
    // One core is enough for what nobody waits for; and compiling a query of many joins takes longer than most views do.
    client
        .batch_execute(&format!(
            "BEGIN ISOLATION LEVEL REPEATABLE READ; SET LOCAL statement_timeout = {limit_ms}; SET LOCAL lock_timeout = {lock_ms}; \
             SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL jit = off"
        ))
        .await
        .during(DOING)?;
    let identity = pg_log::read_identity(client, schema).await?;
    let how = if before.is_populated { "CONCURRENTLY " } else { "" };
    let refresh = format!("REFRESH MATERIALIZED VIEW {how}{relation}");
    if planted(Mistake::AsOfAfterTheRefresh) {
        client.batch_execute(&format!("{refresh}; COMMIT; BEGIN")).await.during(DOING)?;
    }
    let mut stamp = "pg_snapshot_xmin(pg_current_snapshot())";
    if planted(Mistake::AsOfByGreatest) {
        stamp = "greatest(as_of, pg_snapshot_xmin(pg_current_snapshot()))";
    }
    let update = format!(
        "UPDATE {schema}.views SET as_of = {stamp}, identity = $2, \
         refreshed_at = clock_timestamp() WHERE id = $1 RETURNING as_of"
    );
    let row = client.query_opt(&update, &[id, &&identity.0[..]]).await.during(DOING)?;
    let Some(row) = row else {
        return Err(PgError::new(PgErrorKind::Schema, DOING, "its version was dropped; run the migrations"));
    };
    let Xid8(as_of) = row.try_get(0).during(DOING)?;
    if !planted(Mistake::AsOfAfterTheRefresh) {
        client.batch_execute(&refresh).await.during(DOING)?;
    }
    client.batch_execute("COMMIT").await.during(DOING)?;
    Ok(Stamp::new(as_of))
}

async fn is_young(
    shared: &Arc<Shared>,
    view: usize,
    version: &Version,
    client: &Client,
    young: Option<Duration>,
) -> Result<bool, PgError> {
    let Some(young) = young else { return Ok(false) };
    let age = before(shared, version, client).await?.age;
    shared.records[view].age(age, shared.clock.now());
    Ok(age.is_some_and(|age| age < young))
}

async fn before(shared: &Arc<Shared>, version: &Version, client: &Client) -> Result<Before, PgError> {
    let sql = format!(
        "SELECT coalesce((SELECT relispopulated FROM pg_class WHERE oid = to_regclass($2)), false), \
         (extract(epoch FROM clock_timestamp() - (SELECT refreshed_at FROM {}.views WHERE id = $1)) * 1000)::bigint",
        shared.views.schema()
    );
    let row = client.query_one(&sql, &[&version.id, &version.relation]).await.during(DOING)?;
    let age_ms: Option<i64> = row.try_get(1).during(DOING)?;
    // A clock that was set back makes it young for that long; one more interval is no harm.
    let age = age_ms.map(|ms| Duration::from_millis(u64::try_from(ms).unwrap_or(0)));
    Ok(Before { is_populated: row.try_get(0).during(DOING)?, age })
}
