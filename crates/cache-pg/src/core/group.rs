//! Keys of one view, and the statement that asks for them.

use std::sync::Arc;

use cache_core::{Identity, Moment, RowKey, Stamp};
use pg_log::tokio_postgres::Row;
use pg_log::tokio_postgres::error::SqlState;
use pg_log::tokio_postgres::types::ToSql;
use pg_log::{PgContext, PgError, Shared};

use super::{Age, Xid8};
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

/// What PostgreSQL answered.
pub(crate) enum Answer {
    /// To [`sql::value`](super::sql::value), by a session that was told this age before.
    Value(Age, Option<Row>),
    /// To [`sql::one`](super::sql::one) or [`sql::many`](super::sql::many).
    Rows(Vec<Row>),
}

impl Group<'_> {
    /// Asks for their rows.
    pub(crate) async fn ask(&self, client: &Shared, now: Moment) -> Result<Answer, PgError> {
        let result = self.answer(client, now).await;
        if let Err(error) = &result
            && error.code() == Some(&SqlState::UNDEFINED_TABLE)
        {
            // Somebody dropped it. The next look-up looks for another version.
            self.known.set_version(None);
        }
        result
    }

    async fn answer(&self, client: &Shared, now: Moment) -> Result<Answer, PgError> {
        let version = &self.version;
        let [one] = self.asked.as_slice() else {
            let statement = client.prepared(&version.many).await?;
            let columns: Vec<Vec<&str>> = (0..self.known.view.keys.len())
                .map(|column| self.asked.iter().map(|asked| &*asked.key.columns[column]).collect())
                .collect();
            let parameters: Vec<&(dyn ToSql + Sync)> = columns.iter().map(|column| column as _).collect();
            return client.query(&statement, &parameters).await.during(READ).map(Answer::Rows);
        };
        let columns: Vec<&str> = one.key.columns.iter().map(|column| &**column).collect();
        let parameters: Vec<&(dyn ToSql + Sync)> = columns.iter().map(|column| column as _).collect();
        if let Some(age) = version.told.age(client.session(), now) {
            let statement = client.prepared(&version.value).await?;
            return Ok(Answer::Value(age, client.query_opt(&statement, &parameters).await.during(READ)?));
        }
        let statement = client.prepared(&version.one).await?;
        let rows = client.query(&statement, &parameters).await.during(READ)?;
        if let Some(age) = rows.first().map(age_in).transpose()?.flatten() {
            version.told.note(client.session(), now, age);
        }
        Ok(Answer::Rows(rows))
    }
}

/// The age of the version that a row of a join is of. None where it was never refreshed.
pub(crate) fn age_in(row: &Row) -> Result<Option<Age>, PgError> {
    let (as_of, identity): (Option<Xid8>, Option<&[u8]>) = (row.try_get(0).during(READ)?, row.try_get(1).during(READ)?);
    let identity = identity.and_then(|bytes| bytes.try_into().ok()).map(Identity);
    Ok(as_of.zip(identity).map(|(Xid8(as_of), identity)| Age { as_of: Stamp::new(as_of), identity }))
}
