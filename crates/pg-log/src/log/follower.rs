//! What those who keep and judge leases ask of whoever follows the log.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::PgError;

/// Whoever follows the log.
#[async_trait]
pub(crate) trait Follower: Send + Sync + 'static {
    /// Which history it follows, as the database writes it; none before it was joined.
    fn history(&self) -> Option<Arc<str>>;

    /// Whether it will follow nothing any more.
    fn is_dead(&self) -> bool;

    /// The database holds another past than the one that was followed: nothing that was cached may be used in this process again.
    fn lose(&self, why: &str);

    /// Waits until the log was joined, for as long as that takes, or nothing will be followed any more.
    async fn joined(&self);

    /// Waits for a poll that is sent after this call and applied.
    async fn fresh(&self, limit: Duration) -> Result<(), PgError>;
}
