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

    /// Waits for a poll that is sent after this call and applied. Before the log was joined it waits for that first, without a limit.
    async fn fresh(&self, limit: Duration) -> Result<(), PgError>;
}
