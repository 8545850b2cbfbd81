//! The schedule of one view: at the start, and then at every interval.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::{Schedule, Shared};

/// A view is young until this share of its interval is over: whoever looks a little earlier than the others leaves it alone, and the
/// next one does not come a whole interval late.
const YOUNG: (u32, u32) = (3, 4);

pub(super) async fn run(shared: Arc<Shared>, view: usize, mut schedule: watch::Receiver<Schedule>) {
    let every = shared.views.all()[view].view.every;
    loop {
        match schedule.wait_for(|schedule| *schedule != Schedule::Paused).await.as_deref() {
            Ok(Schedule::Kept) => {}
            Ok(Schedule::Paused | Schedule::Ended) | Err(_) => return,
        }
        // A failure is noted where it happens, and told by the health of the view.
        let _ = shared.refresh(view, Some(every * YOUNG.0 / YOUNG.1)).await;
        let pause = shortened(every, shared.config.jitter_percent, shared.entropy.next());
        tokio::select! {
            biased;
            _ = schedule.wait_for(|schedule| *schedule != Schedule::Kept) => {}
            () = shared.clock.sleep(pause) => {}
        }
    }
}

/// An interval that is shortened at random.
fn shortened(every: Duration, percent: u8, chance: u64) -> Duration {
    let most = every.as_millis() as u64 * u64::from(percent) / 100;
    let less = if most == 0 { 0 } else { chance % most };
    every - Duration::from_millis(less)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_interval_is_shortened_by_its_jitter_at_most() {
        let every = Duration::from_secs(60);
        assert_eq!(shortened(every, 0, 12_345), every);
        for chance in [0, 1, 5_999, 6_000, u64::MAX] {
            let pause = shortened(every, 10, chance);
            assert!(pause > Duration::from_secs(54) - Duration::from_millis(1) && pause <= every, "{pause:?}");
        }
        assert_eq!(shortened(Duration::from_millis(1), 10, 7), Duration::from_millis(1));
    }
}
