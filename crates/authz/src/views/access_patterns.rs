//! Who asks for what, by hour and weekday: from a log of accesses that is written by sample.
//!
//! No decision rests on it. It tells what to warm before somebody asks. Whoever answers questions writes the log, in batches and without waiting;
//! what is lost of it costs a little accuracy. Times are UTC.

use std::time::Duration;

use super::{ACCESS_PATTERNS, Definition, store_of};
use crate::relation::{Object, Subject, Text, check_relation};
use crate::store::StoreId;

/// How long the log is kept: four of each weekday.
pub const KEPT: Duration = Duration::from_secs(28 * 24 * 60 * 60);
/// The most patterns that one analysis answers.
pub const MAX_PATTERNS: usize = 10_000;

/// The table of the log. `{schema}` stands for the quoted schema, as in all migrations.
pub const MIGRATION: &str = include_str!("../../migrations/postgres_views/0001_access_log.sql");

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

/// Appends accesses: `$1` to `$6` are arrays of store, subject, relation, object (text), allowed (boolean), weight (integer).
#[must_use]
pub fn append(schema: &str) -> String {
    format!(
        "INSERT INTO {schema}.access_log (store, subject, relation, object, allowed, weight) \
         SELECT * FROM unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::boolean[], $6::integer[])"
    )
}

/// Forgets what is older than `$1` seconds (bigint).
#[must_use]
pub fn trim(schema: &str) -> String {
    format!("DELETE FROM {schema}.access_log WHERE at < clock_timestamp() - $1::bigint * interval '1 second'")
}

/// What is asked for most in one hour of one weekday: `$1` the weekday, 1 for Monday to 7 (integer), `$2` the hour, 0 to 23 (integer), `$3`
/// how many at most (bigint). `relation` is the relation of the view, as it stands in statements. [`Pattern::read`] reads the columns.
#[must_use]
pub fn hottest(relation: &str) -> String {
    format!(
        "SELECT store, subject, relation, object, asked, allowed FROM {relation} \
         WHERE weekday = $1::integer::text AND hour = $2::integer::text \
         ORDER BY asked DESC, store, subject, relation, object LIMIT least($3::bigint, {MAX_PATTERNS})"
    )
}

/// How much is asked for in each hour of the week: weekday (integer), hour (integer), accesses (bigint), different questions (bigint), in the
/// order of the week.
#[must_use]
pub fn by_hour(relation: &str) -> String {
    format!(
        "SELECT weekday::integer, hour::integer, sum(asked)::bigint, count(*) FROM {relation} \
         GROUP BY weekday, hour ORDER BY weekday::integer, hour::integer"
    )
}

impl Pattern {
    /// A pattern of the columns of [`hottest`]; none where somebody else wrote what no question could have been.
    #[must_use]
    pub fn read(columns: [&str; 4], asked: i64, allowed: i64) -> Option<Self> {
        let [store, subject, relation, object] = columns;
        Some(Self {
            store: store_of(store)?,
            subject: Subject::parse(subject).ok()?,
            relation: check_relation(relation).ok()?,
            object: Object::parse(object).ok()?,
            asked: u64::try_from(asked).ok()?,
            allowed: u64::try_from(allowed).ok()?,
        })
    }
}
