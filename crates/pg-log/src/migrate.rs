//! Migrations go forward, each in a transaction of its own, one process at a time. Releases run side by side: each step says which programs it leaves
//! working, the table of migrations remembers it, and whoever is older than that is refused. Who left no word is taken for having left nobody.
//!
//! None waits for a lock without end. Whoever waits for a table makes everybody wait who comes after, readers included: so each wait is short, and
//! the step begins anew a few times before it is given up.

use std::time::Duration;

use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, GenericClient, Transaction};

use crate::connect::backoff;
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
    /// The least version that a program has to know to work with the tables once this step is done. A step that only adds takes that from nobody,
    /// and says 0; one that takes away or changes what others use says which step made it possible to do without.
    pub needs: u32,
}

/// The lock that migrating processes take, whatever they migrate: "tiergate" in ASCII.
const MIGRATION_LOCK: i64 = 0x7469_6572_6761_7465;

/// How long a step waits for another process that migrates; nobody waits behind it meanwhile.
const TURN_WAIT: Duration = Duration::from_secs(60);
/// How long a step waits for a lock of a table, and with it all who come after.
const LOCK_WAIT: Duration = Duration::from_secs(1);
/// How often a step is done that gets no lock.
const LOCK_ATTEMPTS: u32 = 5;
/// The pauses in between, doubled from the first to the last, in which those who waited get on.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_LAST: Duration = Duration::from_millis(500);
/// How long a statement of a step may run: an index on a large table takes its time.
const STATEMENT_LIMIT: Duration = Duration::from_secs(3_600);
/// The most holders of locks that an error names.
const NAMED_HOLDERS: i64 = 3;

const MIGRATING: &str = "migrate its tables";

/// Brings the tables of a component up to the last of `migrations`. Many processes may call it at once; where nothing is to be done, nothing is
/// written and no privilege but reading is needed.
///
/// # Errors
/// Where a step fails (it is rolled back, those before it stay), with [`PgErrorKind::Timeout`] where it gets no lock in several attempts (the error
/// names who may hold it), and with [`PgErrorKind::Schema`] where the tables are of a newer release
/// that has taken away what this one needs.
pub async fn migrate(
    client: &mut Client,
    schema: &str,
    component: &str,
    migrations: &[Migration],
) -> Result<(), PgError> {
    let quoted = quote(schema)?;
    let table = format!("{quoted}.migrations");
    let exists = client.query_one("SELECT pg_catalog.to_regclass($1) IS NOT NULL", &[&table]).await;
    if exists.and_then(|row| row.try_get(0)).during(MIGRATING)?
        && applied(client, &quoted, component, migrations).await? >= migrations.len()
    {
        return Ok(());
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

/// The version of the tables; an error where this release can't work with them.
async fn applied(
    client: &impl GenericClient,
    quoted: &str,
    component: &str,
    known: &[Migration],
) -> Result<usize, PgError> {
    // By way of JSON, so that it can be asked before the column is there.
    let sql = format!(
        "SELECT coalesce(max(version), 0),
                coalesce(max(coalesce((to_jsonb(m) ->> 'needs')::bigint, version)) FILTER (WHERE version > $2), 0)
         FROM {quoted}.migrations m WHERE component = $1"
    );
    let row = client.query_one(&sql, &[&component, &signed(known.len())]).await.during(MIGRATING)?;
    let (applied, needs): (i64, i64) = (row.try_get(0).during(MIGRATING)?, row.try_get(1).during(MIGRATING)?);
    if needs > signed(known.len()) {
        let message = format!(
            "the tables of {component} in schema {quoted} are at version {applied}, for releases that know {needs} at least, and this one \
             knows {}; run a newer one",
            known.len()
        );
        return Err(PgError::new(PgErrorKind::Schema, MIGRATING, message));
    }
    Ok(usize::try_from(applied).unwrap_or(usize::MAX))
}

fn signed(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// One step, begun anew where it gets no lock.
async fn step(
    client: &mut Client,
    quoted: &str,
    component: &str,
    migration: &Migration,
    migrations: &[Migration],
) -> Result<(), PgError> {
    let mut attempt = 1;
    loop {
        let error = match attempt_step(client, quoted, component, migration, migrations).await {
            Err(error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE) => error,
            result => return result,
        };
        if attempt == LOCK_ATTEMPTS {
            let holders = holders(client, quoted).await?;
            let message = format!(
                "step {} of {component} ({}) got no lock in schema {quoted} in {attempt} attempts; {holders}",
                migration.version, migration.name
            );
            return Err(PgError::new(PgErrorKind::Timeout, MIGRATING, message));
        }
        tracing::warn!(%error, component, version = migration.version, "a migration waits for a lock");
        tokio::time::sleep(backoff(attempt - 1, PAUSE_FIRST, PAUSE_LAST)).await;
        attempt += 1;
    }
}

async fn wait_at_most(transaction: &Transaction<'_>, wait: Duration) -> Result<(), PgError> {
    let sql = format!("SET LOCAL lock_timeout = {}", wait.as_millis());
    transaction.batch_execute(&sql).await.during(MIGRATING)
}

/// Who may have been in the way: what holds locks in the schema now, the oldest transaction first. By number and name, never by statement.
async fn holders(client: &Client, quoted: &str) -> Result<String, PgError> {
    let sql = "
        SELECT coalesce(pg_catalog.format('process %s (%s, %s)', l.pid, coalesce(nullif(a.application_name, ''), a.usename), a.state),
                'a prepared transaction (see pg_prepared_xacts)'),
            min(a.xact_start) AS since
        FROM pg_catalog.pg_locks l LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
        WHERE l.granted AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
            AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
            AND (l.relation IN (SELECT oid FROM pg_catalog.pg_class WHERE relnamespace = pg_catalog.to_regnamespace($1))
                OR l.locktype = 'advisory' AND (l.classid::bigint << 32 | l.objid::bigint) = $2 AND l.objsubid = 1)
        GROUP BY 1 ORDER BY since LIMIT $3";
    let rows = client.query(sql, &[&quoted, &MIGRATION_LOCK, &NAMED_HOLDERS]).await.during(MIGRATING)?;
    let names: Vec<String> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().during(MIGRATING)?;
    Ok(if names.is_empty() {
        "nobody holds one any more: try again".to_owned()
    } else {
        format!("held by {}: let them end, or end them (pg_terminate_backend)", names.join(", "))
    })
}

async fn attempt_step(
    client: &mut Client,
    quoted: &str,
    component: &str,
    migration: &Migration,
    migrations: &[Migration],
) -> Result<(), PgError> {
    let transaction = client.transaction().await.during(MIGRATING)?;
    let settings = format!(
        "SET LOCAL statement_timeout = {}; SET LOCAL client_min_messages = warning",
        STATEMENT_LIMIT.as_millis()
    );
    transaction.batch_execute(&settings).await.during(MIGRATING)?;
    // Held to the end of the transaction: who comes second finds the step done.
    wait_at_most(&transaction, TURN_WAIT).await?;
    transaction.execute("SELECT pg_catalog.pg_advisory_xact_lock($1)", &[&MIGRATION_LOCK]).await.during(MIGRATING)?;
    wait_at_most(&transaction, LOCK_WAIT).await?;
    transaction
        .batch_execute(&format!(
            "CREATE SCHEMA IF NOT EXISTS {quoted};
             CREATE TABLE IF NOT EXISTS {quoted}.migrations (
                 component text NOT NULL, version bigint NOT NULL, name text NOT NULL,
                 applied_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
                 PRIMARY KEY (component, version));
             ALTER TABLE {quoted}.migrations ADD COLUMN IF NOT EXISTS needs bigint"
        ))
        .await
        .during(MIGRATING)?;
    if applied(&transaction, quoted, component, migrations).await? < migration.version as usize {
        tracing::info!(component, version = migration.version, name = migration.name, "migrating");
        transaction.batch_execute(&migration.sql.replace("{schema}", quoted)).await.during(MIGRATING)?;
        transaction
            .execute(
                &format!("INSERT INTO {quoted}.migrations (component, version, name, needs) VALUES ($1, $2, $3, $4)"),
                &[&component, &i64::from(migration.version), &migration.name, &i64::from(migration.needs)],
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
