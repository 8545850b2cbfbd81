//! When the log is lost to this process, and another process could follow it.
//!
//! Whoever met another history ends and is started again: what was cached lies under the name of the old one, and nobody looks for it there. In front
//! of an older copy of the *same* history a new process would be worse off than the one that noticed: what outlives processes holds a lost future under
//! that very name, and it could not know. So that loss is told once PostgreSQL holds another history and not before. Whoever met another history
//! for a moment only, as of a replica that was promoted by mistake, is told once its own is there again, with all that was applied of it. Until somebody has begun one
//! (`new_epoch()`), the process stays, answers nothing from what it has cached, and says why; a supervisor that starts processes again has nothing to do.

use std::time::Duration;

use tokio_postgres::Client;

use super::applied::Applied;
use super::identity::read_identity;
use super::reader::LogReader;
use crate::connect::OwnLink;
use crate::{Pg, PgContext as _, PgError, PgSnapshot};

/// The time between two looks at the history that PostgreSQL holds. Nobody looks before the log is lost.
const LOOK: Duration = Duration::from_secs(1);
const LOOKING: &str = "look for the log's history";
/// How long a look may take.
const LOOK_LIMIT: Duration = Duration::from_secs(5);

impl LogReader {
    /// Waits until this process can follow the log no more *and* one that is started anew could: PostgreSQL holds another history, as after every
    /// promotion of a replica and every `new_epoch()`. Says why it was lost. Whoever is told should end, and be started again: nothing else brings
    /// caching back. Cheap to wait for, by any number of tasks and again after it was told; it never comes where nothing is lost.
    ///
    /// In front of an older copy of the same history it is not told before somebody has called `new_epoch()` there: see
    /// [`LogReader::trouble`] for the reason meanwhile.
    pub async fn lost(&self) -> PgError {
        lost(self.pg(), self.followed()).await
    }
}

async fn lost(pg: &Pg, applied: &Applied) -> PgError {
    let error = dead(applied).await;
    loop {
        let held = async {
            // Another connection each time: it is found where a process that starts would find it.
            let link = OwnLink(pg.open_beside(None).await?);
            let identity = read_identity(&link.client, pg.schema()).await?;
            Ok::<_, PgError>((identity, holds_the_past(&link.client, applied).await?))
        };
        // One that can't be asked would be of no use to another process either.
        if let Ok(Ok((identity, is_whole))) = tokio::time::timeout(LOOK_LIMIT, held).await
            && (applied.identity() != Some(identity) || is_whole)
        {
            return error;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// Whether this process met another history, and all that it had applied of its own is there now.
async fn holds_the_past(client: &Client, applied: &Applied) -> Result<bool, PgError> {
    let Some(past) = applied.past() else { return Ok(false) };
    let sql = "SELECT pg_catalog.pg_current_snapshot()::text";
    let held: String = client.query_one(sql, &[]).await.and_then(|row| row.try_get(0)).during(LOOKING)?;
    Ok(held.parse::<PgSnapshot>()?.covers(past))
}

/// Waits until nothing is followed any more.
async fn dead(applied: &Applied) -> PgError {
    let mut position = applied.watch();
    loop {
        // In this order: whoever ends it says so first, and then takes the position away.
        if let Some(error) = applied.dead() {
            return error.clone();
        }
        // The sender lives as long as `applied`.
        let _ = position.changed().await;
    }
}
