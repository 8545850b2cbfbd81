//! Keys of one view, and the statement that asks for them.

use std::sync::Arc;

use cache_core::RowKey;
use pg_log::tokio_postgres::Row;
use pg_log::tokio_postgres::error::SqlState;
use pg_log::tokio_postgres::types::ToSql;
use pg_log::{PgContext, PgError, Shared};

use crate::views::{Known, Version};

/// The most keys of one statement. More of them go in further statements of the same round trip.
pub const MAX_KEYS_PER_STATEMENT: usize = 1_000;

/// What is being done when it fails.
pub(crate) const READ: &str = "look rows up in a view";

/// A key with its place among those that were asked for.
pub(crate) struct Asked {
    pub(crate) at: usize,
    pub(crate) key: RowKey,
}

/// Keys of one view that go into one statement.
pub(crate) struct Group<'v> {
    pub(crate) known: &'v Known,
    pub(crate) version: Arc<Version>,
    pub(crate) asked: Vec<Asked>,
}

impl Group<'_> {
    /// Their rows, as [`sql::one`](super::sql::one) or [`sql::many`](super::sql::many) gives them.
    pub(crate) async fn ask(&self, client: &Shared) -> Result<Vec<Row>, PgError> {
        let result = self.rows(client).await;
        if let Err(error) = &result
            && error.code() == Some(&SqlState::UNDEFINED_TABLE)
        {
            // Somebody dropped it. The next look-up looks for another version.
            self.known.set_version(None);
        }
        result
    }

    async fn rows(&self, client: &Shared) -> Result<Vec<Row>, PgError> {
        match self.asked.as_slice() {
            [one] => {
                let statement = client.prepared(&self.version.one).await?;
                let columns: Vec<&str> = one.key.columns.iter().map(|column| &**column).collect();
                let parameters: Vec<&(dyn ToSql + Sync)> = columns.iter().map(|column| column as _).collect();
                client.query(&statement, &parameters).await
            }
            many => {
                let statement = client.prepared(&self.version.many).await?;
                let columns: Vec<Vec<&str>> = (0..self.known.view.keys.len())
                    .map(|column| many.iter().map(|asked| &*asked.key.columns[column]).collect())
                    .collect();
                let parameters: Vec<&(dyn ToSql + Sync)> = columns.iter().map(|column| column as _).collect();
                client.query(&statement, &parameters).await
            }
        }
        .during(READ)
    }
}
