//! Whose history a database holds, for whoever keeps something beside the log that outlives the process.

use cache_core::Identity;
use tokio_postgres::Client;

use super::poll::{identity_of, standby};
use crate::{PgContext, PgError};

const READING: &str = "read the log's identity";

/// Reads the identity of the log in `schema` (in quotes), by any connection and in any transaction: what a [`LogReader`](crate::LogReader) on the
/// same database joins under.
///
/// # Errors
/// Where PostgreSQL can't be asked, is a standby, or has no log there.
pub async fn read_identity(client: &Client, schema: &str) -> Result<Identity, PgError> {
    // Calling it without the privilege is an error even where the call is not reached.
    let allowed = "SELECT pg_catalog.has_function_privilege('pg_catalog.pg_control_system()', 'execute')";
    let controlled: bool = client.query_one(allowed, &[]).await.during(READING)?.try_get(0).during(READING)?;
    let sql = format!("SELECT {} FROM {schema}.log_state s", parts(controlled));
    let row = client.query_one(&sql, &[]).await.during(READING)?;
    let timeline: Option<String> = row.try_get(0).during(READING)?;
    let Some(timeline) = timeline else { return Err(standby(READING)) };
    let [system, database, epoch]: [String; 3] =
        [row.try_get(1).during(READING)?, row.try_get(2).during(READING)?, row.try_get(3).during(READING)?];
    Ok(identity_of(&system, &timeline, &database, &epoch))
}

/// The parts of an identity as columns of `log_state s`: timeline (none on a standby), system, database, epoch.
pub(super) fn parts(controlled: bool) -> String {
    let system = if controlled { "(SELECT system_identifier::text FROM pg_catalog.pg_control_system())" } else { "''" };
    // The timeline that is written now; the control file still names the old one for a moment after a promotion.
    format!(
        "CASE WHEN NOT pg_catalog.pg_is_in_recovery() THEN
             pg_catalog.substr(pg_catalog.pg_walfile_name(pg_catalog.pg_current_wal_lsn()), 1, 8) END,
         {system},
         (SELECT oid::text FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database()),
         s.epoch::text"
    )
}
