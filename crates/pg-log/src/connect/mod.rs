//! One PostgreSQL, connected when it is first asked: what is down at the start joins later.

mod exclusive;
mod link;
mod open;
mod shared;
mod statistics;
mod tls;
mod url;
mod wire;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use exclusive::Lender;
use open::Opener;
use shared::Sharer;
use tokio::sync::Notify;

pub use exclusive::Exclusive;
pub(crate) use link::{Link, OwnLink, lock};
pub(crate) use open::backoff;
pub use shared::Shared;
pub use statistics::PgStatistics;

use crate::{PgConfig, PgError, PgErrorKind};

/// One PostgreSQL. Cloning it is cheap; all clones share their connections.
#[derive(Clone)]
pub struct Pg(Arc<Inner>);

struct Inner {
    config: PgConfig,
    /// The schema in quotes.
    schema: String,
    opener: Opener,
    lender: Lender,
    sharer: Sharer,
}

impl Pg {
    /// Reads the configuration. Nothing is connected.
    ///
    /// # Errors
    /// Where the URL, the schema or the root certificate can't be right.
    pub fn new(config: PgConfig) -> Result<Self, PgError> {
        let schema = crate::migrate::quote(&config.schema)?;
        let opener = Opener::new(&config)?;
        let lender = Lender::new(&config);
        let sharer = Sharer::new(&config);
        Ok(Self(Arc::new(Inner { config, schema, opener, lender, sharer })))
    }

    /// A connection of one's own, for transactions. Callers are served in the order they came.
    ///
    /// # Errors
    /// [`PgErrorKind::Busy`](crate::PgErrorKind::Busy) where none was given back in time; whatever opening one fails with.
    pub async fn exclusive(&self) -> Result<Exclusive, PgError> {
        self.0.lender.lend(&self.0.opener).await
    }

    /// A connection that many use at once, for single statements.
    ///
    /// # Errors
    /// Whatever opening one fails with.
    pub async fn shared(&self) -> Result<Shared, PgError> {
        self.0.sharer.share(&self.0.opener).await
    }

    /// A connection outside of the bounds, which may tell of notifications.
    pub(crate) async fn open_beside(&self, heard: Option<Arc<Notify>>) -> Result<Link, PgError> {
        self.0.opener.open(heard).await
    }

    /// The error where it did not answer in time.
    pub(crate) fn silent(&self, operation: &'static str, limit: Duration) -> PgError {
        let message = format!("{} gave no answer within {} ms", self.place(), limit.as_millis());
        PgError::new(PgErrorKind::Timeout, operation, message)
    }

    /// What it was made from.
    #[must_use]
    pub fn config(&self) -> &PgConfig {
        &self.0.config
    }

    /// The schema as it stands in statements: in quotes.
    #[must_use]
    pub fn schema(&self) -> &str {
        &self.0.schema
    }

    /// Host, port and database, without credentials.
    #[must_use]
    pub fn place(&self) -> &str {
        self.0.opener.place()
    }

    /// What its connections did so far.
    #[must_use]
    pub fn statistics(&self) -> PgStatistics {
        let counters = &self.0.opener.counters;
        PgStatistics {
            exclusive_max: self.0.lender.max() as u64,
            in_use: self.0.lender.in_use() as u64,
            most_in_use: counters.most_in_use.get(),
            waiting: self.0.lender.waiting() as u64,
            lent: counters.lent.get(),
            waited: counters.waited.get(),
            waited_us: counters.waited_us.get(),
            longest_wait_us: counters.longest_wait_us.get(),
            refused: counters.refused.get(),
            opened: counters.opened.get(),
            closed: counters.closed.get(),
            open_failures: counters.open_failures.get(),
            discarded: counters.discarded.get(),
        }
    }
}

impl fmt::Debug for Pg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pg")
            .field("place", &self.place())
            .field("schema", &self.0.config.schema)
            .finish_non_exhaustive()
    }
}
