//! Contraction: a version that nobody uses any more is dropped.
//!
//! Whoever refreshes a version says that it is used. One of which nobody has said so for long belongs to releases that are gone.

use std::sync::Arc;

use pg_log::tokio_postgres::Error;

use super::Shared;
use crate::core::sql::LOCK_VERSIONS;
use pg_log::Exclusive;

/// How long a drop waits for whoever still reads, in milliseconds. The next refresh tries again.
const DROP_LOCK_WAIT_MS: u64 = 1_000;

/// Drops what nobody uses. A failure costs room, and is told.
pub(super) async fn unused(shared: &Arc<Shared>, client: &mut Exclusive) {
    if let Err(error) = drop_unused(shared, client).await {
        tracing::warn!(%error, "a version of a view that nobody uses was not dropped");
    }
}

async fn drop_unused(shared: &Arc<Shared>, client: &mut Exclusive) -> Result<(), Error> {
    let schema = shared.views.schema();
    let old = format!(
        "SELECT v.id, v.relation FROM {schema}.views v LEFT JOIN {schema}.view_uses u ON u.view = v.id \
         WHERE coalesce(u.at < clock_timestamp() - $1::bigint * interval '1 millisecond', true)"
    );
    let keep_ms = i64::try_from(shared.config.keep_ms).unwrap_or(i64::MAX);
    if client.query(&old, &[&keep_ms]).await?.is_empty() {
        return Ok(());
    }
    let transaction = client.transaction().await?;
    transaction.batch_execute(&format!("SET LOCAL lock_timeout = {DROP_LOCK_WAIT_MS}")).await?;
    transaction.execute(LOCK_VERSIONS, &[&shared.views.lock_name("versions")]).await?;
    // Again: whoever said meanwhile that it uses one did so before this lock, or finds it gone and creates another.
    for row in transaction.query(&old, &[&keep_ms]).await? {
        let (id, relation): (i32, String) = (row.try_get(0)?, row.try_get(1)?);
        transaction.batch_execute(&format!("DROP MATERIALIZED VIEW IF EXISTS {schema}.\"{relation}\"")).await?;
        transaction.execute(&format!("DELETE FROM {schema}.views WHERE id = $1"), &[&id]).await?;
        transaction.execute(&format!("DELETE FROM {schema}.view_uses WHERE view = $1"), &[&id]).await?;
        tracing::info!(relation, "a version of a view that nobody uses was dropped");
    }
    transaction.commit().await
}
