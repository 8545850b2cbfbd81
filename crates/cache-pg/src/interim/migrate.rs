//! Migrations go forward, each in a transaction of its own, one process at a time; tables of a newer release are refused, not guessed at.

use tokio_postgres::Client;

use super::{PgContext, PgError, PgErrorKind};

/// One step of a component's tables. `{schema}` in it stands for the quoted schema.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// From 1, without gaps.
    pub version: u32,
    /// What it does, in a few words.
    pub name: &'static str,
    /// Its statements.
    pub sql: &'static str,
}

/// The lock that migrating processes take, whatever they migrate: "tiergate" in ASCII.
const MIGRATION_LOCK: i64 = 0x7469_6572_6761_7465;

/// Brings the tables of a component up to the last of `migrations`. Many processes may call it at once.
///
/// Migrations expand first and contract a release later, so that instances of two releases work on the same tables during a roll-out. So a
/// version that is one higher than the last known one is tolerated nowhere: it may have contracted.
///
/// # Errors
/// Where a step fails (it is rolled back, those before it stay), and with [`PgErrorKind::Schema`] where the tables are of a newer release.
pub async fn migrate(
    client: &mut Client,
    schema: &str,
    component: &str,
    migrations: &[Migration],
) -> Result<(), PgError> {
    let quoted = quote(schema)?;
    for migration in migrations {
        step(client, &quoted, component, migration, migrations.len()).await?;
    }
    Ok(())
}

async fn step(
    client: &mut Client,
    quoted: &str,
    component: &str,
    migration: &Migration,
    known: usize,
) -> Result<(), PgError> {
    const DOING: &str = "migrate its tables";
    let transaction = client.transaction().await.during(DOING)?;
    // An index on a large table takes longer than a statement may otherwise, and so may the wait for another process that migrates.
    transaction
        .batch_execute("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; SET LOCAL client_min_messages = warning")
        .await
        .during(DOING)?;
    transaction.execute("SELECT pg_catalog.pg_advisory_xact_lock($1)", &[&MIGRATION_LOCK]).await.during(DOING)?;
    transaction
        .batch_execute(&format!(
            "CREATE SCHEMA IF NOT EXISTS {quoted};
             CREATE TABLE IF NOT EXISTS {quoted}.migrations (
                 component text NOT NULL, version bigint NOT NULL, name text NOT NULL,
                 applied_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
                 PRIMARY KEY (component, version))"
        ))
        .await
        .during(DOING)?;
    let row = transaction
        .query_one(
            &format!("SELECT coalesce(max(version), 0) FROM {quoted}.migrations WHERE component = $1"),
            &[&component],
        )
        .await
        .during(DOING)?;
    let applied: i64 = row.try_get(0).during(DOING)?;
    if usize::try_from(applied).unwrap_or(usize::MAX) > known {
        return Err(PgError::new(
            PgErrorKind::Schema,
            DOING,
            format!(
                "the tables of {component} in schema {quoted} are at version {applied}, this release knows {known}; run a release \
                 that is at least as new as the one that made them"
            ),
        ));
    }
    if applied < i64::from(migration.version) {
        tracing::info!(component, version = migration.version, name = migration.name, "migrating");
        transaction.batch_execute(&migration.sql.replace("{schema}", quoted)).await.during(DOING)?;
        transaction
            .execute(
                &format!("INSERT INTO {quoted}.migrations (component, version, name) VALUES ($1, $2, $3)"),
                &[&component, &i64::from(migration.version), &migration.name],
            )
            .await
            .during(DOING)?;
    }
    transaction.commit().await.during(DOING)
}

/// An identifier in quotes. Schemas and tables come from a configuration, never from a request, and still nothing but names gets through.
pub(crate) fn quote(name: &str) -> Result<String, PgError> {
    let fits = !name.is_empty() && name.len() <= 63 && !name.contains(['"', '\0', '\'', '\\', '{', '}', '$']);
    if fits {
        Ok(format!("\"{name}\""))
    } else {
        Err(PgError::new(
            PgErrorKind::Config,
            "name a schema, table or column",
            format!("{name:?} is no name: use 1 to 63 bytes without quotes, braces, backslashes and dollars"),
        ))
    }
}
