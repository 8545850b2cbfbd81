//! The settings of rate limits: how much may be asked of the origin, by whom, about whom, and of what kind.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Limits on questions that no cache could answer; what a cache holds is never limited.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Whether there are any.
    pub enabled: bool,
    /// How many instances share the quotas. Where Redis can't be asked, each takes its part of them.
    pub instances: u32,
    /// What a list costs, in checks.
    pub list_weight: u32,
    /// For each address that asks, for each network of 64 bits in IPv6; where keys are asked for, for each name of keys.
    pub caller: Quota,
    /// For each subject that is asked about, in each store.
    pub subject: Quota,
    /// Quotas for kinds of actions, by names of the operator's own.
    pub classes: BTreeMap<String, ActionClass>,
}

/// So many at once, and so many a second after that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// The most at once.
    pub burst: u32,
    /// The most a second in the long run; 0 for no limit.
    pub per_second: u32,
}

/// A kind of actions with the quota that all of them share in a store, whoever asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionClass {
    /// The actions, which a model calls relations; `*` for all that are in no other class.
    pub actions: Vec<String>,
    /// The most at once.
    pub burst: u32,
    /// The most a second in the long run.
    pub per_second: u32,
}

impl Default for Rate {
    fn default() -> Self {
        Self {
            enabled: false,
            instances: 1,
            list_weight: 10,
            caller: Quota { burst: 10_000, per_second: 2_000 },
            subject: Quota { burst: 200, per_second: 50 },
            classes: BTreeMap::new(),
        }
    }
}
