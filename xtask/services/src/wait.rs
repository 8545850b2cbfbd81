//! Waiting for other processes: always for something, never longer than a bound.

use std::time::{Duration, Instant};

/// How long a server may take until it answers.
pub(crate) const START: Duration = Duration::from_secs(30);
/// How long a server may take to end when it is asked to; then it is killed.
pub(crate) const STOP: Duration = Duration::from_secs(10);
/// How long a signal may take until it shows.
pub(crate) const SIGNAL: Duration = Duration::from_secs(5);
/// Pause between two looks at something that sends no event.
const LOOK: Duration = Duration::from_millis(5);

/// Whether it came true within the time.
pub(crate) fn until(limit: Duration, mut come: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + limit;
    loop {
        if come() {
            return true;
        }
        if Instant::now() >= end {
            return false;
        }
        std::thread::sleep(LOOK);
    }
}
