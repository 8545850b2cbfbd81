//! How long a member may do without hearing from the log, and how long others wait for one that is silent.

use std::time::Duration;

/// The default of [`MemberConfig::lease`].
pub const DEFAULT_LEASE: Duration = Duration::from_secs(1);
/// The shortest lease: three renewals have to fit into it.
pub(crate) const MIN_LEASE: Duration = Duration::from_millis(100);
/// How much faster than another one a clock may run, in parts of a thousand.
const DRIFT_PER_MILLE: u32 = 2;
/// What a judge waits on top of that.
const MARGIN: Duration = Duration::from_millis(20);

/// A process as a member of those that follow one log.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MemberConfig {
    /// What it is called where somebody asks who lags. Need not be unique.
    pub name: String,
    /// How long what is cached is used without hearing from the log. Whoever acknowledges a change waits so long for a member that is gone; renewed
    /// three times within it. At least 100 ms.
    pub lease: Duration,
    /// So much longer what is cached is used while PostgreSQL can't be reached. Acknowledgements wait for silent members as much longer.
    pub max_outage_stale: Duration,
}

impl Default for MemberConfig {
    fn default() -> Self {
        Self { name: "tiergate".to_owned(), lease: DEFAULT_LEASE, max_outage_stale: Duration::ZERO }
    }
}

impl MemberConfig {
    /// A member of this name.
    #[must_use]
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    /// How long one renewal holds.
    pub(crate) fn length(&self) -> Duration {
        self.lease.max(MIN_LEASE).saturating_add(self.max_outage_stale)
    }

    /// How long a member of these settings that is gone delays the acknowledgement of a change, from when somebody first waits for it.
    #[must_use]
    pub fn certainly_over(&self) -> Duration {
        certainly_over(self.length())
    }

    /// The time between two renewals.
    pub(crate) fn round(&self) -> Duration {
        self.lease.max(MIN_LEASE) / 3
    }
}

/// How long a judge must have seen the same counter before the lease behind it is over for sure, whosever clock counts.
pub(crate) fn certainly_over(lease: Duration) -> Duration {
    lease.saturating_add(lease * DRIFT_PER_MILLE / 1_000).saturating_add(MARGIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_judge_waits_longer_than_any_holder() {
        for ms in [100, 1_000, 60_000] {
            let lease = Duration::from_millis(ms);
            assert!(certainly_over(lease) >= lease + MARGIN, "{ms}");
        }
    }

    #[test]
    fn an_outage_lengthens_the_lease_and_not_the_round() {
        let config = MemberConfig { max_outage_stale: Duration::from_secs(5), ..MemberConfig::default() };
        assert_eq!(config.length(), Duration::from_secs(6));
        assert_eq!(config.round(), Duration::from_secs(1) / 3);
        let short = MemberConfig { lease: Duration::ZERO, ..MemberConfig::default() };
        assert_eq!(short.length(), MIN_LEASE);
    }
}
