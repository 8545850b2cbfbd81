//! What the tier counted, for metrics and for advice about its settings.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::breaker::BreakerState;
use crate::envelope::Fault;
use crate::error::Failure;
use crate::keyring::{KeyId, id_text};
use crate::nodes::NodeStatistics;

/// Master keys of others that are counted each by itself: whoever can write into Redis could make up as many as there are numbers.
pub const MAX_UNKNOWN_KEYS: usize = 8;

/// What the Redis tier has counted since it was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedisStatistics {
    /// Values that were found and could not be read, by why: misses all of them. In the order of [`Fault::ALL`].
    pub faults: [u64; Fault::ALL.len()],
    /// Of those of [`Fault::Key`], how many were sealed under which master key, by its id in hexadecimal; from the ninth key on they are
    /// counted in [`Self::faults`] alone.
    pub unknown_keys: Vec<(String, u64)>,
    /// Values that nobody with our key had sealed for their names, and that were removed for it.
    pub junk_removed: u64,
    /// Values that were not stored because they are larger than is allowed.
    pub too_large: u64,
    /// Values that were found and whose time was over.
    pub expired: u64,
    /// Failed operations by kind, in the order of [`FAILURE_LABELS`].
    pub failures: [u64; FAILURE_LABELS.len()],
    /// What the breaker lets through; in a cluster, the one that lets through the least.
    pub breaker: BreakerState,
    /// How often the breaker has opened; in a cluster, all of them.
    pub breaker_opened: u64,
    /// The nodes of a cluster, as far as they are known; none where there is one server.
    pub nodes: Vec<NodeStatistics>,
    /// Second tries.
    pub retries: u64,
    /// Second tries that the budget for them did not allow.
    pub retries_denied: u64,
    /// Values that were not stored because Redis has no memory left for writes.
    pub out_of_memory: u64,
    /// Values that were not stored because there was no randomness to seal them with.
    pub unsealed: u64,
    /// Bytes of the envelopes that were stored.
    pub stored_bytes: u64,
    /// Batches that were encoded or decoded off the executor because they are large.
    pub offloaded: u64,
    /// Operations that had to wait for others to end.
    pub waits: u64,
    /// The connections.
    pub connections: ConnectionStatistics,
}

/// What became of connections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConnectionStatistics {
    /// Those that are open.
    pub open: u32,
    /// Those that were made.
    pub made: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Those that were given up: broken, silent, out of step, or to a server that changed its part.
    pub condemned: u64,
    /// Of those, the ones that brought values which were not sealed for their names.
    pub suspected: u64,
    /// Operations that had to wait for a connection to be made.
    pub waits: u64,
    /// How long those waited, all together.
    pub wait_time: Duration,
}

/// Labels of failures, for metrics.
pub const FAILURE_LABELS: [&str; 14] = [
    "breaker_open",
    "busy",
    "timeout",
    "unreachable",
    "broken",
    "protocol",
    "refused",
    "loading",
    "out_of_memory",
    "read_only",
    "redirected",
    "cluster_down",
    "server",
    "abandoned",
];

impl RedisStatistics {
    /// How many values had a fault.
    #[must_use]
    pub fn faults(&self, fault: Fault) -> u64 {
        self.faults[fault as usize]
    }

    /// How many operations failed in a way, by its label of [`FAILURE_LABELS`].
    #[must_use]
    pub fn failures(&self, label: &str) -> u64 {
        FAILURE_LABELS.iter().zip(self.failures).filter(|(known, _)| **known == label).map(|(_, count)| count).sum()
    }
}

/// The counters behind it.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) faults: [AtomicU64; Fault::ALL.len()],
    pub(crate) failures: [AtomicU64; FAILURE_LABELS.len()],
    unknown_keys: Mutex<Vec<(KeyId, u64)>>,
    pub(crate) junk_removed: AtomicU64,
    pub(crate) too_large: AtomicU64,
    pub(crate) expired: AtomicU64,
    pub(crate) retries: AtomicU64,
    pub(crate) retries_denied: AtomicU64,
    pub(crate) out_of_memory: AtomicU64,
    pub(crate) unsealed: AtomicU64,
    pub(crate) stored_bytes: AtomicU64,
    pub(crate) offloaded: AtomicU64,
    pub(crate) waits: AtomicU64,
    pub(crate) suspected: AtomicU64,
}

/// Counts one.
pub(crate) fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Reads a counter.
pub(crate) fn read(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

impl Counters {
    pub(crate) fn failed(&self, failure: &Failure) {
        count(&self.failures[failure.number()]);
    }

    pub(crate) fn unknown_key(&self, id: KeyId) {
        let mut keys = self.unknown_keys.lock().unwrap_or_else(PoisonError::into_inner);
        match keys.iter().position(|(known, _)| *known == id) {
            Some(at) => keys[at].1 += 1,
            None if keys.len() < MAX_UNKNOWN_KEYS => keys.push((id, 1)),
            None => {}
        }
    }

    pub(crate) fn unknown_keys(&self) -> Vec<(String, u64)> {
        let keys = self.unknown_keys.lock().unwrap_or_else(PoisonError::into_inner);
        keys.iter().map(|(id, count)| (id_text(*id), *count)).collect()
    }
}

impl Failure {
    /// Its place in [`FAILURE_LABELS`].
    const fn number(&self) -> usize {
        match self {
            Self::BreakerOpen => 0,
            Self::Busy(_) => 1,
            Self::Timeout(_) => 2,
            Self::Unreachable(_) => 3,
            Self::Broken(_) => 4,
            Self::Protocol => 5,
            Self::Refused(_) => 6,
            Self::Loading => 7,
            Self::OutOfMemory => 8,
            Self::ReadOnly => 9,
            Self::Redirected(_) => 10,
            Self::ClusterDown(_) => 11,
            Self::Server(_) => 12,
            Self::Abandoned => 13,
        }
    }
}
