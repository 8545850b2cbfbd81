//! The settings of PostgreSQL: where it is, and what may be asked of it at once.

use std::time::Duration;

use cache_pg::pg_log::{MemberConfig, PgConfig};
use serde::{Deserialize, Serialize};

use super::SecretUrl;

/// The origin in PostgreSQL, and the tier over its views. In use where `url` is set; else the origin is the embedded one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Postgres {
    /// Where it is: `postgres://user:password@host/database`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<SecretUrl>,
    /// The schema of our tables in that database.
    pub schema: String,
    /// Connections for evaluations and writes, each of which has one for itself as long as it takes.
    pub connections: usize,
    /// Connections that many look-ups share at once.
    pub shared_connections: usize,
    /// How long an evaluation or a write waits for a connection before it is refused.
    pub wait_ms: u64,
    /// How long a connection may take to be made.
    pub connect_timeout_ms: u64,
    /// How long one statement may take.
    pub statement_timeout_ms: u64,
    /// How long a statement may wait for a lock.
    pub lock_timeout_ms: u64,
    /// How often the log of changes is asked for what nobody has announced.
    pub poll_interval_ms: u64,
    /// How long an instance uses what it has cached without hearing from the log. An acknowledgement waits so long for an instance that is gone.
    pub lease_ms: u64,
    /// So much longer while PostgreSQL can't be reached; 0 for not at all. Acknowledgements wait for silent instances as much longer.
    pub max_outage_stale_ms: u64,
    /// How long a change waits until it is in force on every instance, before its writer is told that it is not yet.
    pub acknowledge_timeout_ms: u64,
    /// How long the log tells of changes to instances that join or were away; older values count as changed.
    pub log_retention_seconds: u64,
}

impl Postgres {
    /// As connections take them; none where there is no URL.
    #[must_use]
    pub fn connections(&self) -> Option<PgConfig> {
        let mut config = PgConfig::new(self.url.as_ref()?.expose()).schema(&self.schema);
        config.exclusive_max = self.connections;
        config.shared_connections = self.shared_connections;
        config.wait = Duration::from_millis(self.wait_ms);
        config.connect_timeout = Duration::from_millis(self.connect_timeout_ms);
        config.statement_timeout = Duration::from_millis(self.statement_timeout_ms);
        config.lock_timeout = Duration::from_millis(self.lock_timeout_ms);
        config.log.member = self.member();
        config.log.poll_interval = Duration::from_millis(self.poll_interval_ms);
        config.log.retention = Duration::from_secs(self.log_retention_seconds);
        config.log.history = config.log.history.max(config.log.retention);
        Some(config)
    }

    fn member(&self) -> MemberConfig {
        let mut member = MemberConfig::default();
        member.lease = Duration::from_millis(self.lease_ms);
        member.max_outage_stale = Duration::from_millis(self.max_outage_stale_ms);
        member
    }
}

/// How long judges may take to look once more when a lease is over.
const LOOK: Duration = Duration::from_millis(80);

impl Postgres {
    /// How long an instance that is killed may delay the acknowledgement of every change, where all instances have these settings.
    #[must_use]
    pub fn delay_ms(&self) -> u64 {
        let delay = self.member().certainly_over() + LOOK;
        u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)
    }

    /// What an operator should know of these settings, which are allowed all the same; none by default.
    #[must_use]
    pub fn caution(&self) -> Option<String> {
        let (delay, patience) = (self.delay_ms(), self.acknowledge_timeout_ms);
        (self.url.is_some() && patience < delay).then(|| {
            format!(
                "postgres.acknowledge_timeout_ms is {patience}: for up to {delay} ms after an instance was killed, changes are stored and \
                 answered 503 (not_in_force_yet); raise it to {delay} (60000 at most), or lower postgres.lease_ms or postgres.max_outage_stale_ms"
            )
        })
    }
}

impl Default for Postgres {
    fn default() -> Self {
        Self {
            url: None,
            schema: "tiergate".to_owned(),
            connections: 16,
            shared_connections: 2,
            wait_ms: 1_000,
            connect_timeout_ms: 2_000,
            statement_timeout_ms: 2_000,
            lock_timeout_ms: 1_000,
            poll_interval_ms: 350,
            lease_ms: 1_000,
            max_outage_stale_ms: 0,
            acknowledge_timeout_ms: 2_000,
            log_retention_seconds: 3_600,
        }
    }
}
