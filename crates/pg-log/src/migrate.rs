//! Migrations go forward, each in a transaction of its own, one process at a time; tables of a newer release are refused, not guessed at.

use tokio_postgres::{Client, GenericClient};

use crate::{PgContext, PgError, PgErrorKind};

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

const MIGRATING: &str = "migrate its tables";

/// Brings the tables of a component up to the last of `migrations`. Many processes may call it at once; where nothing is to be done, nothing is
/// written and no privilege but reading is needed.
///
/// # Errors
/// Where a step fails (it is rolled back, those before it stay), and with [`PgErrorKind::Schema`] where the tables are of a newer release:
/// that one may have taken away what this one needs.
pub async fn migrate(
    client: &mut Client,
    schema: &str,
    component: &str,
    migrations: &[Migration],
) -> Result<(), PgError> {
    let quoted = quote(schema)?;
    let table = format!("{quoted}.migrations");
    let exists = client.query_one("SELECT pg_catalog.to_regclass($1) IS NOT NULL", &[&table]).await;
    if exists.and_then(|row| row.try_get(0)).during(MIGRATING)? {
        let applied = applied(client, &quoted, component).await?;
        if applied == migrations.len() {
            return Ok(());
        }
        refuse_newer(&quoted, component, applied, migrations)?;
    }
    for (index, migration) in migrations.iter().enumerate() {
        let version = index + 1;
        if migration.version as usize != version {
            let message = format!("the migrations of {component} skip from version {version} to {}", migration.version);
            return Err(PgError::new(PgErrorKind::Config, MIGRATING, message));
        }
        step(client, &quoted, component, migration, migrations).await?;
    }
    Ok(())
}

async fn applied(client: &impl GenericClient, quoted: &str, component: &str) -> Result<usize, PgError> {
    let sql = format!("SELECT coalesce(max(version), 0) FROM {quoted}.migrations WHERE component = $1");
    let applied: i64 = client.query_one(&sql, &[&component]).await.and_then(|row| row.try_get(0)).during(MIGRATING)?;
    Ok(usize::try_from(applied).unwrap_or(usize::MAX))
}

fn refuse_newer(quoted: &str, component: &str, applied: usize, known: &[Migration]) -> Result<(), PgError> {
    if applied <= known.len() {
        return Ok(());
    }
    let message = format!(
        "the tables of {component} in schema {quoted} are at version {applied}, this release knows {}; run a release that is at least \
         as new as the one that made them",
        known.len()
    );
    Err(PgError::new(PgErrorKind::Schema, MIGRATING, message))
}

async fn step(
    client: &mut Client,
    quoted: &str,
    component: &str,
    migration: &Migration,
    migrations: &[Migration],
) -> Result<(), PgError> {
    let transaction = client.transaction().await.during(MIGRATING)?;
    // An index on a large table takes longer than a statement may otherwise, and so may the wait for another process that migrates.
    transaction
        .batch_execute(
            "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; SET LOCAL client_min_messages = warning",
        )
        .await
        .during(MIGRATING)?;
    // Held to the end of the transaction: who comes second finds the step done.
    transaction.execute("SELECT pg_catalog.pg_advisory_xact_lock($1)", &[&MIGRATION_LOCK]).await.during(MIGRATING)?;
    transaction
        .batch_execute(&format!(
            "CREATE SCHEMA IF NOT EXISTS {quoted};
             CREATE TABLE IF NOT EXISTS {quoted}.migrations (
                 component text NOT NULL, version bigint NOT NULL, name text NOT NULL,
                 applied_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
                 PRIMARY KEY (component, version))"
        ))
        .await
        .during(MIGRATING)?;
    let applied = applied(&transaction, quoted, component).await?;
    refuse_newer(quoted, component, applied, migrations)?;
    if applied < migration.version as usize {
        tracing::info!(component, version = migration.version, name = migration.name, "migrating");
        transaction.batch_execute(&migration.sql.replace("{schema}", quoted)).await.during(MIGRATING)?;
        transaction
            .execute(
                &format!("INSERT INTO {quoted}.migrations (component, version, name) VALUES ($1, $2, $3)"),
                &[&component, &i64::from(migration.version), &migration.name],
            )
            .await
            .during(MIGRATING)?;
    }
    transaction.commit().await.during(MIGRATING)
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
