//! Every combination of tiers over PostgreSQL, as arguments of the server.

use test_services::{SharedRedis, TestDatabase, shared_redis};

/// The names of the combinations, with the tiers that are on.
pub(crate) const COMBINATIONS: [(&str, [bool; 3]); 6] = [
    ("none", [false, false, false]),
    ("L1", [true, false, false]),
    ("L1 and L2", [true, true, false]),
    ("all", [true, true, true]),
    ("L2 only", [false, true, false]),
    ("L3 only", [false, false, true]),
];

/// A database of a test's own, and its place in the shared Redis.
pub(crate) struct Backends {
    pub(crate) database: TestDatabase,
    redis: SharedRedis,
    /// The same for all servers over this: what one puts into Redis the others find.
    namespace: String,
}

impl Backends {
    /// None, and a line that says so, where a server is missing.
    pub(crate) fn new() -> Option<Self> {
        let redis = shared_redis()?;
        // A name in Redis begins with what is the test's own.
        let namespace = redis.prefix().trim_end_matches(':').to_owned();
        Some(Self { redis, namespace, database: TestDatabase::create("SELECT")? })
    }

    /// The arguments of a server over both, with these tiers on.
    pub(crate) fn arguments(&self, on: [bool; 3]) -> Vec<String> {
        let tiers = ["l1", "l2", "l3"].into_iter().zip(on).map(|(tier, on)| format!("cache.{tier}.enabled={on}"));
        let others = [
            format!("postgres.url={}", self.database.url()),
            format!("redis.url={}", self.redis.url()),
            format!("redis.namespace={}", self.namespace),
            "cache.l3.refresh_seconds=1".to_owned(),
            "postgres.connections=4".to_owned(),
            "postgres.shared_connections=1".to_owned(),
        ];
        tiers.chain(others).flat_map(|setting| ["--set".to_owned(), setting]).collect()
    }
}
