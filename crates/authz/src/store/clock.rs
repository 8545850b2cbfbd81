//! Wall time: for records that people read, and for conditions that ask for the time. No order depends on it.

use super::UnixMillis;

/// Where the time of a record comes from.
pub trait WallClock: Send + Sync + 'static {
    /// Milliseconds since the Unix epoch, UTC.
    fn unix_millis(&self) -> UnixMillis;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemWallClock;

impl WallClock for SystemWallClock {
    #[expect(clippy::disallowed_methods, reason = "this is the adapter that everybody else is told to use")]
    fn unix_millis(&self) -> UnixMillis {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }
}
