//! `GET /admin/v1/pools`: the connections to PostgreSQL and Redis, what was waited for, and what follows from that for the settings. The names are part of
//! the interface.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use cache_pg::ViewStatistics;
use cache_pg::pg_log::PgStatistics;
use cache_redis::{BreakerState, ConnectionStatistics, FAILURE_LABELS, Fault, RedisStatistics};
use serde::Serialize;
use utoipa::ToSchema;

use crate::access_log::AccessCounts;
use crate::app::App;
use crate::wire::ok;

#[derive(Serialize, ToSchema)]
#[schema(as = Pools)]
pub(super) struct Pools {
    /// Connections of evaluations and writes; none where the origin is the embedded one.
    #[serde(skip_serializing_if = "Option::is_none")]
    postgres: Option<Postgres>,
    /// The tier over views, with connections of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    views: Option<Views>,
    /// None where there is no such tier, or it has no master key yet.
    #[serde(skip_serializing_if = "Option::is_none")]
    redis: Option<Redis>,
    access_log: Accesses,
}

/// One pool of connections to PostgreSQL. Counts are since the process began.
#[derive(Serialize, ToSchema)]
#[schema(as = PostgresPool)]
struct Postgres {
    connections: u64,
    in_use: u64,
    most_in_use: u64,
    waiting: u64,
    lent: u64,
    waited: u64,
    mean_wait_us: u64,
    longest_wait_us: u64,
    refused: u64,
    opened: u64,
    closed: u64,
    open_failures: u64,
    discarded: u64,
    /// What follows from the counts, in words.
    advice: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ViewsPool)]
struct Views {
    connections: Postgres,
    rows: u64,
    absent: u64,
    unanswered: u64,
    unready: u64,
    foreign: u64,
    refused: u64,
    timeouts: u64,
    round_trips: u64,
}

#[derive(Serialize, ToSchema)]
#[schema(as = RedisPool)]
struct Redis {
    connections: u32,
    made: u64,
    failed: u64,
    condemned: u64,
    /// `closed`, `open` or `half_open`.
    breaker: &'static str,
    breaker_opened: u64,
    /// Operations that had to wait for others to end.
    waits: u64,
    retries: u64,
    retries_denied: u64,
    out_of_memory: u64,
    too_large: u64,
    stored_bytes: u64,
    /// Failed operations, by kind.
    failures: BTreeMap<&'static str, u64>,
    /// Values that could not be read, by reason: misses all of them.
    unreadable: BTreeMap<&'static str, u64>,
    /// What follows from the counts, in words.
    advice: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = AccessLogCounts)]
struct Accesses {
    written: u64,
    dropped: u64,
    failed: u64,
}

/// The counts as they are now.
pub(crate) async fn pools(State(app): State<Arc<App>>) -> Response {
    let pools = &app.pools;
    ok(&Pools {
        postgres: pools.postgres.as_ref().map(|pg| Postgres::of(&pg.statistics(), "postgres.connections")),
        views: pools.views.as_ref().map(|(pg, handle)| Views::of(&pg.statistics(), handle.statistics())),
        redis: pools.redis.as_ref().and_then(|tier| Some(Redis::from(tier.layer()?.handle().statistics()))),
        access_log: Accesses::from(app.access_log.counts()),
    })
}

/// Said where the counts ask for no change.
const ENOUGH: &str = "nothing to change";

impl Postgres {
    fn of(counted: &PgStatistics, setting: &str) -> Self {
        let advice = counted.advice().map_or_else(|| ENOUGH.to_owned(), |advice| format!("{setting}: {advice}"));
        Self {
            connections: counted.exclusive_max,
            in_use: counted.in_use,
            most_in_use: counted.most_in_use,
            waiting: counted.waiting,
            lent: counted.lent,
            waited: counted.waited,
            mean_wait_us: counted.waited_us.checked_div(counted.waited).unwrap_or(0),
            longest_wait_us: counted.longest_wait_us,
            refused: counted.refused,
            opened: counted.opened,
            closed: counted.closed,
            open_failures: counted.open_failures,
            discarded: counted.discarded,
            advice,
        }
    }
}

impl Views {
    fn of(connections: &PgStatistics, counted: ViewStatistics) -> Self {
        let ViewStatistics { rows, absent, unanswered, unready, foreign, refused, timeouts, round_trips, .. } = counted;
        let mut connections = Postgres::of(connections, "");
        connections.advice = match refused {
            0 => ENOUGH.to_owned(),
            _ => format!(
                "{refused} look-ups got no turn in time: raise postgres.shared_connections, or give PostgreSQL more room"
            ),
        };
        Self { connections, rows, absent, unanswered, unready, foreign, refused, timeouts, round_trips }
    }
}

impl From<RedisStatistics> for Redis {
    fn from(counted: RedisStatistics) -> Self {
        let advice = redis_advice(&counted);
        let ConnectionStatistics { open, made, failed, condemned, .. } = counted.connections;
        Self {
            connections: open,
            made,
            failed,
            condemned,
            breaker: match counted.breaker {
                BreakerState::Closed => "closed",
                BreakerState::Open => "open",
                BreakerState::HalfOpen => "half_open",
            },
            breaker_opened: counted.breaker_opened,
            waits: counted.waits,
            retries: counted.retries,
            retries_denied: counted.retries_denied,
            out_of_memory: counted.out_of_memory,
            too_large: counted.too_large,
            stored_bytes: counted.stored_bytes,
            failures: FAILURE_LABELS.into_iter().zip(counted.failures).collect(),
            unreadable: Fault::ALL.into_iter().map(|fault| (fault.label(), counted.faults(fault))).collect(),
            advice,
        }
    }
}

/// What the counts of Redis ask for, the most pressing first.
fn redis_advice(counted: &RedisStatistics) -> String {
    let (busy, unknown) = (counted.failures("busy"), counted.faults(Fault::Key));
    if busy > 0 {
        return format!(
            "{busy} operations found redis.max_in_flight under way and passed the tier over: raise it, or look why Redis is slow"
        );
    }
    if counted.out_of_memory > 0 {
        return format!(
            "{} values found no room: give Redis maxmemory-policy allkeys-lfu, or more memory",
            counted.out_of_memory
        );
    }
    if unknown > 0 {
        return format!(
            "{unknown} values were sealed under another master key: instances that share a Redis need the same one"
        );
    }
    if counted.too_large > 0 {
        return format!("{} values were larger than redis.max_value_bytes, and were not stored", counted.too_large);
    }
    ENOUGH.to_owned()
}

impl From<AccessCounts> for Accesses {
    fn from(AccessCounts { written, dropped, failed }: AccessCounts) -> Self {
        Self { written, dropped, failed }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_pressing_of_redis_is_told_with_its_setting() {
        let mut counted = RedisStatistics::default();
        assert_eq!(redis_advice(&counted), ENOUGH);
        counted.too_large = 2;
        assert!(redis_advice(&counted).starts_with("2 values were larger than redis.max_value_bytes"));
        counted.faults[Fault::Key as usize] = 3;
        assert!(redis_advice(&counted).contains("another master key"));
        counted.out_of_memory = 1;
        assert!(redis_advice(&counted).contains("maxmemory-policy"));
        let busy = FAILURE_LABELS.iter().position(|label| *label == "busy").unwrap();
        counted.failures[busy] = 7;
        assert!(redis_advice(&counted).starts_with("7 operations found redis.max_in_flight"));
    }
}
