//! Who asks for what, by hour and weekday: from a log of accesses that is written by sample.
//!
//! No decision rests on it. It tells what to warm before somebody asks. Whoever answers questions writes the log, in batches and without waiting;
//! what is lost of it costs a little accuracy. Times are UTC.

use std::time::Duration;

use pg_log::tokio_postgres::Row;
use pg_log::{Migration, Pg, PgContext, PgError};

use super::{ACCESS_PATTERNS, Definition, store_of};
use crate::relation::{Object, Subject, Text, check_relation};
use crate::store::StoreId;

/// How long the log is kept: four of each weekday.
pub const KEPT: Duration = Duration::from_secs(28 * 24 * 60 * 60);
/// The most patterns that one analysis answers.
pub const MAX_PATTERNS: usize = 10_000;

/// The name of the log's table among the migrated components.
pub const COMPONENT: &str = "access-log";
/// Makes the log's table, for [`pg_log::migrate`].
pub const MIGRATIONS: &[Migration] = &[Migration {
    version: 1,
    name: "the log of accesses",
    sql: include_str!("../../migrations/postgres_views/0001_access_log.sql"),
    needs: 0,
}];

const ANALYSING: &str = "analyse accesses";

/// A sampled access.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// In which store.
    pub store: StoreId,
    /// Who asked.
    pub subject: Subject,
    /// For which relation.
    pub relation: Text,
    /// To what.
    pub object: Object,
    /// What was answered.
    pub allowed: bool,
    /// How many accesses it stands for: 1 where all are logged, 100 where one in a hundred is.
    pub weight: u32,
}

/// One pattern: what was asked for in one hour of one weekday.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// In which store.
    pub store: StoreId,
    /// Who asked.
    pub subject: Subject,
    /// For which relation.
    pub relation: Text,
    /// To what.
    pub object: Object,
    /// How often, over the time that the log is kept.
    pub asked: u64,
    /// How many of these were allowed.
    pub allowed: u64,
}

/// The most rows that one statement deletes, so that none takes long; instances that do it at once share the work.
const TRIMMED_AT_ONCE: u64 = 10_000;

pub(super) fn definition(schema: &str) -> Definition {
    let query = format!(
        "SELECT store, subject, relation, object,
        extract(isodow FROM at AT TIME ZONE 'UTC')::smallint AS weekday, extract(hour FROM at AT TIME ZONE 'UTC')::smallint AS hour,
        sum(weight)::bigint AS asked, coalesce(sum(weight) FILTER (WHERE allowed), 0)::bigint AS allowed
 FROM {schema}.access_log
 GROUP BY 1, 2, 3, 4, 5, 6"
    );
    Definition {
        name: ACCESS_PATTERNS,
        query,
        keys: &["store", "subject", "relation", "object", "weekday", "hour"],
        value: "asked",
        columns: &["asked", "allowed"],
        every: Duration::from_secs(60 * 60),
        limit: Duration::from_secs(300),
    }
}

/// Appends accesses in one statement. Nobody's answer waits for it.
///
/// # Errors
/// Where PostgreSQL fails; what was to be appended is lost, which costs a little accuracy.
pub async fn append(pg: &Pg, accesses: &[Access]) -> Result<(), PgError> {
    let sql = format!(
        "INSERT INTO {}.access_log (store, subject, relation, object, allowed, weight) \
         SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::boolean[], $6::integer[])",
        pg.schema()
    );
    let texts = |of: fn(&Access) -> String| -> Vec<String> { accesses.iter().map(of).collect() };
    let columns = [
        texts(|access| access.store.0.to_string()),
        texts(|access| access.subject.to_string()),
        texts(|access| access.relation.to_string()),
        texts(|access| access.object.to_string()),
    ];
    let allowed: Vec<bool> = accesses.iter().map(|access| access.allowed).collect();
    let weights: Vec<i32> =
        accesses.iter().map(|access| i32::try_from(access.weight).unwrap_or(i32::MAX).max(1)).collect();
    let client = pg.shared().await?;
    let statement = client.prepared(&sql).await?;
    let [stores, subjects, relations, objects] = &columns;
    client
        .execute(&statement, &[stores, subjects, relations, objects, &allowed, &weights])
        .await
        .during("append to the log of accesses")?;
    Ok(())
}

/// Forgets accesses that are older than this; how many they were. [`KEPT`] is what the patterns are meant for.
///
/// # Errors
/// Where PostgreSQL fails.
pub async fn trim(pg: &Pg, older_than: Duration) -> Result<u64, PgError> {
    const DOING: &str = "trim the log of accesses";
    let sql = format!(
        "DELETE FROM {0}.access_log WHERE ctid = ANY (ARRAY(
             SELECT ctid FROM {0}.access_log WHERE at < clock_timestamp() - $1::bigint * interval '1 millisecond'
             LIMIT {TRIMMED_AT_ONCE} FOR UPDATE SKIP LOCKED))",
        pg.schema()
    );
    let older_than_ms = i64::try_from(older_than.as_millis()).unwrap_or(i64::MAX);
    let client = pg.exclusive().await?;
    let statement = client.prepared(&sql).await?;
    let mut trimmed = 0;
    loop {
        let gone = client.execute(&statement, &[&older_than_ms]).await.during(DOING)?;
        trimmed += gone;
        if gone < TRIMMED_AT_ONCE {
            return Ok(trimmed);
        }
    }
}

/// An hour of the week, in UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct WeekHour {
    /// 1 for Monday to 7 for Sunday.
    pub weekday: u8,
    /// 0 to 23.
    pub hour: u8,
}

/// How much is asked for in one hour of the week.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Load {
    /// The hour.
    pub at: WeekHour,
    /// Accesses, over the time that the log is kept.
    pub asked: u64,
    /// Different questions.
    pub questions: u64,
}

/// What is asked for most in one hour of the week, the most frequent first, at most `most` (and [`MAX_PATTERNS`]). `relation` is where the view is,
/// as whoever refreshes it tells. What somebody else wrote and no question could have been is left out.
///
/// # Errors
/// Where PostgreSQL fails.
pub async fn hottest(pg: &Pg, relation: &str, at: WeekHour, most: usize) -> Result<Vec<Pattern>, PgError> {
    let sql = format!(
        "SELECT store, subject, relation, object, asked, allowed FROM {relation} WHERE weekday = $1 AND hour = $2 \
         ORDER BY asked DESC, store, subject, relation, object LIMIT $3"
    );
    let most = i64::try_from(most.min(MAX_PATTERNS)).unwrap_or(i64::MAX);
    let client = pg.exclusive().await?;
    let rows = client.query(&sql, &[&at.weekday.to_string(), &at.hour.to_string(), &most]).await.during(ANALYSING)?;
    let mut patterns = Vec::with_capacity(rows.len());
    for row in &rows {
        let mut columns = [""; 4];
        for (at, column) in columns.iter_mut().enumerate() {
            *column = row.try_get(at).during(ANALYSING)?;
        }
        let counts: [i64; 2] = [row.try_get(4).during(ANALYSING)?, row.try_get(5).during(ANALYSING)?];
        patterns.extend(Pattern::read(columns, counts));
    }
    Ok(patterns)
}

/// How much is asked for in each hour of the week that saw any, in the order of the week.
///
/// # Errors
/// Where PostgreSQL fails.
pub async fn by_hour(pg: &Pg, relation: &str) -> Result<Vec<Load>, PgError> {
    let sql = format!(
        "SELECT weekday::integer, hour::integer, sum(asked)::bigint, count(*) FROM {relation} \
         GROUP BY weekday, hour ORDER BY weekday::integer, hour::integer"
    );
    let client = pg.exclusive().await?;
    let rows = client.query(&sql, &[]).await.during(ANALYSING)?;
    let load = |row: &Row| -> Result<Load, PgError> {
        let at: [i32; 2] = [row.try_get(0).during(ANALYSING)?, row.try_get(1).during(ANALYSING)?];
        let counts: [i64; 2] = [row.try_get(2).during(ANALYSING)?, row.try_get(3).during(ANALYSING)?];
        let [weekday, hour] = at.map(|part| u8::try_from(part).unwrap_or_default());
        let [asked, questions] = counts.map(|count| u64::try_from(count).unwrap_or_default());
        Ok(Load { at: WeekHour { weekday, hour }, asked, questions })
    };
    rows.iter().map(load).collect()
}

impl Pattern {
    fn read(columns: [&str; 4], counts: [i64; 2]) -> Option<Self> {
        let [store, subject, relation, object] = columns;
        let [asked, allowed] = counts.map(|count| u64::try_from(count).ok());
        Some(Self {
            store: store_of(store)?,
            subject: Subject::parse(subject).ok()?,
            relation: check_relation(relation).ok()?,
            object: Object::parse(object).ok()?,
            asked: asked?,
            allowed: allowed?,
        })
    }
}
