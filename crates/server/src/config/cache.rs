//! The settings of the caches: which tiers there are, what they may take, and how long values live.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Cache types by name, with how long the memory tier and the Redis tier keep their values, in seconds.
pub const CACHE_TYPES: [(&str, u64, u64); 6] = [
    ("generation_rights", 180, 600),
    ("user_permissions", 300, 900),
    ("team_access", 600, 1_800),
    ("project_visibility", 900, 3_600),
    ("media_access_tokens", 60, 300),
    ("rate_limit_status", 30, 120),
];

/// Tiers and lifetimes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cache {
    /// How far caching is rolled out: no tier beyond this phase is used, whatever its own switch says.
    pub rollout: Rollout,
    /// Memory for what is known of changes; what it forgets counts as changed.
    pub horizon_bytes: usize,
    /// The memory tier.
    pub l1: L1,
    /// The Redis tier.
    pub l2: L2,
    /// The tier over PostgreSQL's views.
    pub l3: L3,
    /// Lifetimes by cache type.
    pub types: BTreeMap<String, CacheType>,
    /// Which cache type the decisions on a resource type belong to.
    pub assign: BTreeMap<String, String>,
}

/// The phases in which caching is rolled out, each with all that the one before has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rollout {
    /// No tier: every question is evaluated. What the others are compared with.
    Baseline,
    /// The memory tier.
    L1,
    /// And the Redis tier, where `redis.url` names one.
    L2,
    /// And warming of both.
    Warming,
    /// And the tier over PostgreSQL's views, where `postgres.url` names one.
    All,
}

/// The memory tier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct L1 {
    /// Whether it is used at first; it can be switched while the server runs.
    pub enabled: bool,
    /// Memory for entries and the tables around them.
    pub budget_bytes: u64,
}

/// The Redis tier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct L2 {
    /// Whether it is used at first; it can be switched while the server runs.
    pub enabled: bool,
}

/// The tier over PostgreSQL's views.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct L3 {
    /// Whether it is used at first; it can be switched while the server runs.
    pub enabled: bool,
    /// How often the views are refreshed; by one instance of all.
    pub refresh_seconds: u64,
    /// How long one refresh may take.
    pub refresh_limit_seconds: u64,
}

/// The lifetimes of one cache type.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CacheType {
    /// How long the memory tier keeps a value.
    pub l1_ttl_seconds: u64,
    /// How long the Redis tier keeps a value.
    pub l2_ttl_seconds: u64,
}

impl Cache {
    /// Whether the memory tier is used at first.
    #[must_use]
    pub fn uses_l1(&self) -> bool {
        self.l1.enabled && self.rollout >= Rollout::L1
    }

    /// Whether the Redis tier is used at first, where there is one.
    #[must_use]
    pub fn uses_l2(&self) -> bool {
        self.l2.enabled && self.rollout >= Rollout::L2
    }

    /// Whether the tier over views is used at first, where there is one.
    #[must_use]
    pub fn uses_l3(&self) -> bool {
        self.l3.enabled && self.rollout >= Rollout::All
    }
}

impl Default for Cache {
    fn default() -> Self {
        let types = CACHE_TYPES.map(|(name, l1_ttl_seconds, l2_ttl_seconds)| {
            (name.to_owned(), CacheType { l1_ttl_seconds, l2_ttl_seconds })
        });
        Self {
            rollout: Rollout::All,
            horizon_bytes: cache_core::DEFAULT_HORIZON_BYTES,
            l1: L1::default(),
            l2: L2::default(),
            l3: L3::default(),
            types: types.into(),
            assign: BTreeMap::new(),
        }
    }
}

impl Default for L1 {
    fn default() -> Self {
        Self { enabled: true, budget_bytes: cache_l1::DEFAULT_BUDGET_BYTES }
    }
}

impl Default for L2 {
    fn default() -> Self {
        Self { enabled: true }
    }
}

impl Default for L3 {
    fn default() -> Self {
        Self { enabled: true, refresh_seconds: 60, refresh_limit_seconds: 30 }
    }
}
