//! The tables of the log, and how a table of anybody's is attached to it.

use crate::migrate::quote;
use crate::{Migration, PgError};

/// The name of the log's tables among the migrated components.
pub const COMPONENT: &str = "log";

const MIGRATIONS: &[Migration] = &[
    Migration {
        version: 1,
        name: "the invalidation log",
        sql: include_str!("../../migrations/0001_log.sql"),
        needs: 0,
    },
    Migration {
        version: 2,
        name: "an index to trim loaded rows by",
        sql: include_str!("../../migrations/0002_loaded_rows_by_number.sql"),
        needs: 0,
    },
    Migration { version: 3, name: "guarded tables", sql: include_str!("../../migrations/0003_guarded.sql"), needs: 0 },
    Migration {
        version: 4,
        name: "one rule for the identity",
        sql: include_str!("../../migrations/0004_identity.sql"),
        needs: 0,
    },
    Migration {
        version: 5,
        name: "who is believed",
        sql: include_str!("../../migrations/0005_believed.sql"),
        needs: 0,
    },
    Migration {
        version: 6,
        name: "members",
        sql: include_str!("../../migrations/0006_members.sql"),
        // Whoever follows without being a member is acknowledged past.
        needs: 6,
    },
    Migration {
        version: 7,
        name: "a guard of a superuser",
        sql: include_str!("../../migrations/0007_guard_of_a_superuser.sql"),
        needs: 6,
    },
    Migration {
        version: 8,
        name: "every row wakes",
        sql: include_str!("../../migrations/0008_every_row_wakes.sql"),
        needs: 0,
    },
    Migration {
        version: 9,
        name: "who writes wakes",
        sql: include_str!("../../migrations/0009_who_writes_wakes.sql"),
        needs: 0,
    },
    Migration {
        version: 10,
        name: "the first history of all",
        sql: include_str!("../../migrations/0010_never_failed_over.sql"),
        needs: 0,
    },
    Migration {
        version: 11,
        name: "a new epoch keeps no rows",
        sql: include_str!("../../migrations/0011_new_epoch.sql"),
        needs: 0,
    },
];

/// The migrations of the log, for [`migrate`](crate::migrate()).
#[must_use]
pub const fn migrations() -> &'static [Migration] {
    MIGRATIONS
}

/// The statement that logs every change of a table from now on, as rows of `kind` whose fields are `columns`. Safe to repeat; for `psql` it is
/// `SELECT tiergate.attach('public.members', 'member', ARRAY['team', 'person'])`.
///
/// `table` is a name as in a statement, quoted where it must be, with its schema.
///
/// # Errors
/// Where the schema or a column is no name.
pub fn attach_sql(schema: &str, table: &str, kind: &str, columns: &[&str]) -> Result<String, PgError> {
    let schema = quote(schema)?;
    let columns: Vec<_> = columns.iter().map(|column| literal(column)).collect();
    Ok(format!(
        "SELECT {schema}.attach({}::pg_catalog.regclass, {}, ARRAY[{}]::pg_catalog.text[])",
        literal(table),
        literal(kind),
        columns.join(", ")
    ))
}

fn literal(text: &str) -> String {
    // With the E prefix backslashes have one meaning, whatever standard_conforming_strings says.
    format!("E'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_kinds_are_quoted() {
        assert_eq!(
            attach_sql("tiergate", "public.\"it's\"", "a\\b", &["x", "y'z"]).unwrap(),
            "SELECT \"tiergate\".attach(E'public.\"it''s\"'::pg_catalog.regclass, E'a\\\\b', ARRAY[E'x', E'y''z']::pg_catalog.text[])"
        );
        assert!(attach_sql("tier\"gate", "t", "k", &[]).is_err());
    }

    #[test]
    fn migrations_are_numbered_from_one() {
        for (index, migration) in migrations().iter().enumerate() {
            assert_eq!(migration.version as usize, index + 1);
        }
    }
}
