//! Whose history a database is.

use cache_core::{Identity, Tag};
use pg_log::tokio_postgres::Client;

use pg_log::{PgContext, PgError};

/// Reads it.
pub async fn read(client: &Client, _schema: &str) -> Result<Identity, PgError> {
    const DOING: &str = "read its identity";
    let sql = "SELECT system_identifier::text, left(pg_walfile_name(pg_current_wal_lsn()), 8) FROM pg_control_system()";
    let row = client.query_one(sql, &[]).await.during(DOING)?;
    let (system, timeline): (String, String) = (row.try_get(0).during(DOING)?, row.try_get(1).during(DOING)?);
    let half = |domain| Tag::of(domain).field(system.as_bytes()).field(timeline.as_bytes()).finish().hash();
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&half("one").to_be_bytes());
    bytes[8..].copy_from_slice(&half("two").to_be_bytes());
    Ok(Identity(bytes))
}
