//! Quotas in the units of GCRA, and what a bucket's state means under one.
//!
//! The *generic cell rate algorithm* (ITU-T I.371, annex A) keeps one number for a bucket: when it would be full again if nothing more were taken. How
//! far that lies ahead is the *backlog*. Each unit lengthens it by the *interval* between two units, time shortens it, and what would make it longer than the
//! *capacity* is refused. So at most `burst + rate * t` units pass in any time t, and no counter has to be reset.
//!
//! All times are whole microseconds, and an interval that is not is rounded up: never more passes than was configured.

use std::num::NonZeroU32;
use std::time::Duration;

/// The largest burst.
pub const MAX_BURST: u32 = 1_000_000;
/// The highest rate.
pub const MAX_PER_SECOND: u32 = 1_000_000;
/// The most instances among which a quota is divided.
pub const MAX_INSTANCES: u32 = 1_000;

const SECOND_US: u64 = 1_000_000;

/// So many units at once, and so many a second in the long run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Quota {
    burst: u32,
    interval_us: u64,
}

/// Where a bucket stands after something was asked of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Standing {
    /// Units that could be taken now.
    pub remaining: u32,
    /// When all of them could, if nothing more is taken.
    pub full_in: Duration,
    /// Where the bucket had no room: when it will have.
    pub refused_for: Option<Duration>,
}

impl Quota {
    /// A quota. Both numbers are cut to their bounds.
    #[must_use]
    pub fn new(burst: NonZeroU32, per_second: NonZeroU32) -> Self {
        let rate = u64::from(per_second.get().min(MAX_PER_SECOND));
        Self { burst: burst.get().min(MAX_BURST), interval_us: SECOND_US.div_ceil(rate) }
    }

    /// The part of one of so many instances, each of which counts by itself. One unit at least, or nobody would ever get through.
    #[must_use]
    pub fn divided(self, instances: NonZeroU32) -> Self {
        let instances = instances.get().min(MAX_INSTANCES);
        Self { burst: (self.burst / instances).max(1), interval_us: self.interval_us * u64::from(instances) }
    }

    /// The most units at once.
    #[must_use]
    pub const fn burst(self) -> u32 {
        self.burst
    }

    /// The time in which one unit comes back.
    #[must_use]
    pub const fn interval(self) -> Duration {
        Duration::from_micros(self.interval_us)
    }

    /// The time in which a whole burst comes back.
    #[must_use]
    pub const fn window(self) -> Duration {
        Duration::from_micros(self.capacity_us())
    }

    pub(super) const fn capacity_us(self) -> u64 {
        self.burst as u64 * self.interval_us
    }

    /// What so many units lengthen a backlog by. What costs more than a burst costs a burst, or it would never be allowed.
    pub(super) const fn cost_us(self, units: u32) -> u64 {
        let units = if units < self.burst { units } else { self.burst };
        units as u64 * self.interval_us
    }

    /// Where a bucket stands that had this backlog, after so many units were taken or refused.
    pub(super) fn standing(self, backlog_us: u64, units: u32, taken: bool) -> Standing {
        let cost_us = self.cost_us(units);
        let after_us = if taken { backlog_us + cost_us } else { backlog_us };
        let room_us = self.capacity_us().saturating_sub(after_us);
        let missing_us = (backlog_us + cost_us).saturating_sub(self.capacity_us());
        Standing {
            // At most the burst, which is a u32.
            remaining: u32::try_from(room_us / self.interval_us).unwrap_or(u32::MAX),
            full_in: Duration::from_micros(after_us),
            refused_for: (missing_us > 0).then(|| Duration::from_micros(missing_us)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quota(burst: u32, per_second: u32) -> Quota {
        Quota::new(NonZeroU32::new(burst).expect("not zero"), NonZeroU32::new(per_second).expect("not zero"))
    }

    #[test]
    fn a_rate_that_does_not_divide_a_second_is_rounded_down() {
        assert_eq!(quota(1, 3).interval(), Duration::from_micros(333_334));
        assert_eq!(quota(1, 999_999).interval(), Duration::from_micros(2));
        assert_eq!(quota(10, 4).window(), Duration::from_millis(2_500));
    }

    #[test]
    fn the_parts_of_a_quota_are_no_more_than_the_whole() {
        let three = NonZeroU32::new(3).expect("not zero");
        let part = quota(10, 10).divided(three);
        assert_eq!((part.burst(), part.interval()), (3, Duration::from_millis(300)));
        assert_eq!(quota(2, 10).divided(three).burst(), 1);
    }

    #[test]
    fn a_standing_says_what_is_left_and_when_there_is_room() {
        let quota = quota(10, 10);
        let fresh = quota.standing(0, 3, true);
        assert_eq!((fresh.remaining, fresh.full_in, fresh.refused_for), (7, Duration::from_millis(300), None));
        let refused = quota.standing(950_000, 2, false);
        assert_eq!((refused.remaining, refused.full_in), (0, Duration::from_millis(950)));
        assert_eq!(refused.refused_for, Some(Duration::from_millis(150)));
        // Among other buckets one may have room and not be charged.
        let spared = quota.standing(500_000, 2, false);
        assert_eq!((spared.remaining, spared.refused_for), (5, None));
        assert_eq!(quota.standing(0, 1_000, true).remaining, 0, "a whole burst at most");
    }
}
