//! What became of a transaction whose commit was not answered.
//!
//! A commit that PostgreSQL refuses is settled: nothing is stored. One that is not answered may be stored or not, and PostgreSQL itself says
//! which, by the number of the transaction, as long as it has not come up from a crash since: after that it gives numbers again.

use std::sync::Arc;
use std::time::Duration;

use pg_log::tokio_postgres;
use pg_log::tokio_postgres::error::Severity;
use pg_log::{Pg, PgContext, PgError};

use super::super::StoreError;
use super::transaction::Numbers;

/// How long PostgreSQL is asked what became of a transaction.
const PATIENCE: Duration = Duration::from_secs(5);
/// The pause before it is asked again.
const PAUSE: Duration = Duration::from_millis(50);

const ASKING: &str = "ask what became of a transaction";

/// Whether an error in place of the answer to a commit says that nothing is stored. A server that stops says something too, and may have
/// committed before.
pub(super) fn is_settled(error: &tokio_postgres::Error) -> bool {
    error.as_db_error().is_some_and(|error| error.parsed_severity() == Some(Severity::Error))
}

/// PostgreSQL was lost in the middle of a commit.
pub(super) fn unknown(operation: &'static str, error: &dyn std::fmt::Display) -> StoreError {
    StoreError::FateUnknown { operation, cause: Arc::from(error.to_string()) }
}

/// Asks until it is known. Returns where the transaction was committed.
pub(super) async fn ask(
    pg: &Pg,
    operation: &'static str,
    numbers: &Numbers,
    lost: &tokio_postgres::Error,
) -> Result<(), StoreError> {
    // Without a number it has changed nothing.
    let Some(xid) = numbers.xid else { return Ok(()) };
    let known = async {
        loop {
            match status(pg, xid, &numbers.incarnation).await {
                Ok(Status::Open) | Err(_) => tokio::time::sleep(PAUSE).await,
                Ok(known) => return known,
            }
        }
    };
    match tokio::time::timeout(PATIENCE, known).await {
        Ok(Status::Committed) => Ok(()),
        Ok(Status::Aborted) => Err(StoreError::Unavailable {
            operation,
            cause: Arc::from(lost.to_string()),
            remedy: "nothing was written; try again",
        }),
        Ok(Status::Open | Status::Lost) | Err(_) => Err(unknown(operation, lost)),
    }
}

enum Status {
    Committed,
    Aborted,
    Open,
    /// Nobody can tell any more.
    Lost,
}

async fn status(pg: &Pg, xid: u64, incarnation: &str) -> Result<Status, PgError> {
    // Where a commit waits for replicas, nobody can tell from here whether this one was confirmed.
    let sql = format!(
        "SELECT CASE WHEN {}.incarnation() <> $2 THEN 'lost'
            WHEN current_setting('synchronous_standby_names') <> '' AND pg_xact_status($1::text::xid8) = 'committed' THEN 'unconfirmed'
            ELSE pg_xact_status($1::text::xid8) END",
        pg.schema()
    );
    let client = pg.shared().await?;
    let row = client.query_one(&sql, &[&xid.to_string(), &incarnation]).await.during(ASKING)?;
    let status: Option<&str> = row.try_get(0).during(ASKING)?;
    Ok(match status {
        Some("committed") => Status::Committed,
        Some("aborted") => Status::Aborted,
        Some("in progress") => Status::Open,
        _ => Status::Lost,
    })
}
