//! Notices when the clock on the wall has gone ahead of the clock of lifetimes: the machine slept, or somebody set the time.
//!
//! What is cached under a condition over time ends by the clock of lifetimes, at the moment at which its condition turned on the wall. If the wall has gone ahead, that
//! moment is past on the wall while the lifetime goes on. Then everything is invalidated: it is seldom, and nothing else knows what to drop.
//! A wall that was set back only lets entries end too early.

use std::time::Duration;

use authz::decide::DecisionPoint;
use authz::store::{InvalidationScope, WallClock};
use cache_core::Moment;

/// How often both clocks are compared.
const EVERY: Duration = Duration::from_millis(250);
/// How much the wall may go ahead between two comparisons. Clocks that are corrected step by step stay far below.
const MAX_JUMP_MS: i128 = 500;

/// Compares both clocks until the process ends.
pub(crate) async fn watch(decisions: &DecisionPoint, wall: &dyn WallClock) {
    let mut watch = ClockWatch::default();
    loop {
        let (moment, millis) = (decisions.clock().now(), wall.unix_millis());
        if let Some(ahead_ms) = watch.jumped(moment, millis) {
            tracing::warn!(ahead_ms, "the clock on the wall went ahead; everything that is cached is worked out anew");
            if let Err(error) = decisions.invalidate(InvalidationScope::All).await {
                tracing::error!(%error, "the caches could not be invalidated after the clock went ahead");
                // Tried again with the next comparison.
                watch = ClockWatch { last: watch.last.map(|last| last - i128::from(ahead_ms)) };
            }
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// What was seen last: by how much the wall is ahead of the moments.
#[derive(Debug, Default)]
struct ClockWatch {
    last: Option<i128>,
}

impl ClockWatch {
    /// By how many milliseconds the wall went ahead since the last look, where that is too much.
    fn jumped(&mut self, moment: Moment, unix_millis: u64) -> Option<u64> {
        let now = i128::from(unix_millis) - i128::from(moment.as_millis());
        let ahead = now - self.last.replace(now).unwrap_or(now);
        (ahead > MAX_JUMP_MS).then(|| u64::try_from(ahead).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wall_that_goes_ahead_is_noticed_once_and_one_that_is_set_back_is_not() {
        let mut watch = ClockWatch::default();
        let at = |moment: u64, millis: u64| (Moment::from_millis(moment), 1_000_000 + millis);
        let looks = [at(0, 0), at(250, 251), at(500, 900), at(750, 60_750), at(1_000, 61_000), at(1_250, 11_250)];
        let seen: Vec<_> = looks.into_iter().map(|(moment, millis)| watch.jumped(moment, millis)).collect();
        assert_eq!(seen, [None, None, None, Some(59_600), None, None]);
    }
}
