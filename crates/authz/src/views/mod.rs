//! Views over the relationships: what a tier that mirrors the origin can answer without asking it.
//!
//! Views are only described here. What a [`Definition`] says is SQL for PostgreSQL, over the tables of the origin; whoever knows a tier creates the
//! views, refreshes them, and looks rows up. [`access_patterns`] alone does more than describe: its view is over a log of accesses that is no table of
//! the origin, and that log is made, written, trimmed and analysed there. What a row means, with the tags of what it was computed from, is
//! [`RowValue`](cache_core::RowValue) for [`CachedValue`](crate::decide::CachedValue).
//!
//! The law: a row that is usable by the horizon says what an evaluation says at that moment. A view is always a little old. Whatever was written
//! since must have killed a tag of every value that it could have changed, so that the tags of a row are those that the evaluation's own reads
//! of the same would have, or coarser ones.
//!
//! | view | key | answers |
//! |---|---|---|
//! | [`TEAM_ACCESS`] | object, relation, kind of subject | which subjects of the kind are in the relation: teams that it is shared with, parents |
//! | [`PROJECT_VISIBILITY`] | object, relation, type of subject | whether everybody of the type is |
//! | [`AUTHORIZATION_CONTEXT`] | subject | whether it is in a relation that is written and nothing else, through whatever it belongs to |
//! | [`ACCESS_PATTERNS`] | subject, relation, object, hour | nothing that is decided: who asks for what, and when |

pub mod access_patterns;
mod authorization_context;
mod project_visibility;
mod row;
mod team_access;

use std::time::Duration;

use crate::store::StoreId;

pub(crate) use authorization_context::row_key as context_row;
pub(crate) use project_visibility::row_key as wildcard_row;
pub(crate) use team_access::row_key as subjects_row;

/// Which subjects of one kind are in a relation to an object.
pub const TEAM_ACCESS: &str = "team_access";
/// Whether a relation to an object is given to everybody of a type.
pub const PROJECT_VISIBILITY: &str = "project_visibility";
/// What a subject belongs to.
pub const AUTHORIZATION_CONTEXT: &str = "authorization_context";
/// Who asks for what, and when.
pub const ACCESS_PATTERNS: &str = "access_patterns";

/// The most subjects of one row. Where there are more, the row does not answer.
pub const MAX_ROW_SUBJECTS: usize = 1_000;
/// The most relationships of what one subject belongs to. Where there are more, the row does not answer.
pub const MAX_ROW_EDGES: usize = 500;
/// The most groups in one another that a closure follows. What goes on there, as a circle does, does not answer.
pub const MAX_NESTING: usize = 16;

/// A view, as PostgreSQL is told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// The name by which keys ask for it.
    pub name: &'static str,
    /// The query, with every table named by its schema. One row for each key.
    pub query: String,
    /// The columns of the key, in their order.
    pub keys: &'static [&'static str],
    /// The answer: an expression over the query's columns, which are those of `q`. Where it is NULL, the row does not answer.
    pub value: &'static str,
    /// Further columns, for analysis.
    pub columns: &'static [&'static str],
    /// How often to refresh it, unless somebody knows better.
    pub every: Duration,
    /// How long a refresh may take.
    pub limit: Duration,
}

/// All views, over the tables of `schema`, which is written as it stands in statements: `"tiergate"`.
#[must_use]
pub fn all(schema: &str) -> Vec<Definition> {
    vec![
        team_access::definition(schema),
        project_visibility::definition(schema),
        authorization_context::definition(schema),
        access_patterns::definition(schema),
    ]
}

/// The relationship of a row, with its condition: `null` for one that counts always, otherwise name and values.
const CONDITION: &str = "CASE WHEN condition <> '' THEN json_build_array(condition, condition_context) END";

/// A store as the first column of a key.
fn store_column(store: StoreId) -> Box<str> {
    store.0.to_string().into()
}

/// The store that a column names. One that nobody could have asked for is none.
fn store_of(column: &str) -> Option<StoreId> {
    ulid::Ulid::from_string(column).ok().map(StoreId)
}
