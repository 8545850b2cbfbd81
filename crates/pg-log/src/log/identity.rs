//! Whose history a database holds, for whoever keeps something beside the log that outlives the process.

use cache_core::Identity;
use tokio_postgres::Client;

use super::poll::{identity_of, standby};
use crate::{PgContext, PgError, PgErrorKind};

const READING: &str = "read the log's identity";

/// Reads the identity of the log in `schema` (in quotes), by any connection and in any transaction: what a [`LogReader`](crate::LogReader) on the
/// same database joins under.
///
/// # Errors
/// Where PostgreSQL can't be asked, is a standby, or has no log there.
pub async fn read_identity(client: &Client, schema: &str) -> Result<Identity, PgError> {
    let sql = format!("SELECT {schema}.identity()");
    let parts: Vec<Option<String>> =
        client.query_one(&sql, &[]).await.and_then(|row| row.try_get(0)).during(READING)?;
    let [timeline, Some(system), Some(database), Some(epoch)] = parts.as_slice() else {
        let message = "the log's identity has another form than this release knows; is the table log_state empty?";
        return Err(PgError::new(PgErrorKind::Schema, READING, message));
    };
    let Some(timeline) = timeline else { return Err(standby(READING)) };
    Ok(identity_of(system, timeline, database, epoch))
}
