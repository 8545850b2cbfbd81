//! Time limits, by a clock that tests own.

use std::future::Future;
use std::time::Duration;

use cache_core::Clock;

use crate::error::Failure;

/// The result of `work`, or that it took too long.
pub(super) async fn limited<T>(
    clock: &dyn Clock,
    limit: Duration,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    tokio::select! {
        biased;
        result = work => result,
        () = clock.sleep(limit) => Err(Failure::Timeout(limit)),
    }
}
