//! Pages of the log, for readers of changes.
//!
//! Invariant: a page looks at [`MAX_CHANGES_LOOKED_AT`] rows at most, however little matches. Where they were not enough, it says where
//! they ended.

use cache_core::Revision;
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use super::super::{
    CLOCK_SLACK, ChangeFilter, ChangePlace, MAX_CHANGES_LOOKED_AT, Page, PageRequest, TupleChange, UnixMillis,
};
use super::row::{Conditions, signed, tuple_of, unsigned};
use super::schema::changes;

/// The kinds of rows that are changes of relationships.
const OF_RELATIONSHIPS: [&str; 3] = ["inserted", "deleted", "loaded"];

/// Changes of relationships. The last revision is always where to go on, also from the end.
pub(super) fn page(
    connection: &mut SqliteConnection,
    store: &str,
    filter: &ChangeFilter,
    page: &PageRequest<ChangePlace>,
) -> QueryResult<Page<TupleChange, ChangePlace>> {
    let mut after = signed(page.after.unwrap_or_default().0);
    if let Some(since) = filter.since {
        after = before(connection, store, after, since.saturating_sub(CLOCK_SLACK))?;
    }
    let through = bound(connection, store, after)?;
    let mut query = changes::table
        .filter(changes::store.eq(store))
        .filter(changes::revision.gt(after))
        .filter(changes::revision.le(through.unwrap_or(i64::MAX)))
        .filter(changes::kind.eq_any(OF_RELATIONSHIPS))
        .order(changes::revision)
        .limit(i64::try_from(page.bounded()).unwrap_or(i64::MAX))
        .select(Row::as_select())
        .into_boxed();
    if let Some(since) = filter.since {
        query = query.filter(changes::at.ge(signed(since)));
    }
    if let Some(wanted) = &filter.object_type {
        query = query.filter(changes::object_type.eq(wanted.to_string()));
    }
    let rows = query.load(connection)?;
    let mut conditions = Conditions::default();
    let items = rows.into_iter().map(|row| row.read(&mut conditions)).collect::<QueryResult<Vec<_>>>()?;
    let last = items.last().map(|change| change.place);
    let next = match through {
        Some(through) if items.len() < page.bounded() => Some(Revision::new(unsigned(through)).into()),
        _ => last.or(page.after),
    };
    Ok(Page { items, next })
}

/// The last row that a page may look at; none where the store's log ends before.
fn bound(connection: &mut SqliteConnection, store: &str, after: i64) -> QueryResult<Option<i64>> {
    changes::table
        .filter(changes::store.eq(store))
        .filter(changes::revision.gt(after))
        .order(changes::revision)
        .offset(i64::try_from(MAX_CHANGES_LOOKED_AT).unwrap_or(i64::MAX) - 1)
        .limit(1)
        .select(changes::revision)
        .first(connection)
        .optional()
}

/// A revision, from `after` on, after which to look for changes that are not older than a time: by halving the revisions in between.
///
/// Times are not ordered as revisions are, but whatever is found, a row that is too old lies right before it, or `after` does.
fn before(connection: &mut SqliteConnection, store: &str, after: i64, time: UnixMillis) -> QueryResult<i64> {
    let newest = changes::table
        .filter(changes::store.eq(store))
        .order(changes::revision.desc())
        .select(changes::revision)
        .first::<i64>(connection)
        .optional()?;
    // What lies up to `old` is not looked at; the first row after `young` is not too old, or is none.
    let (mut old, mut young) = (after, newest.unwrap_or(after).max(after));
    while old < young {
        let middle = old + (young - old) / 2;
        let next = changes::table
            .filter(changes::store.eq(store))
            .filter(changes::revision.gt(middle))
            .order(changes::revision)
            .select((changes::revision, changes::at))
            .first::<(i64, i64)>(connection)
            .optional()?;
        match next {
            Some((revision, at)) if unsigned(at) < time => old = revision,
            _ => young = middle,
        }
    }
    Ok(old)
}

/// The columns of a change of a relationship.
#[derive(Queryable, Selectable)]
#[diesel(table_name = changes)]
struct Row {
    revision: i64,
    kind: String,
    at: i64,
    object_type: Option<String>,
    object_id: Option<String>,
    relation: Option<String>,
    subject_type: Option<String>,
    subject_relation: Option<String>,
    subject_id: Option<String>,
    condition: Option<String>,
    condition_context: Option<String>,
}

impl Row {
    fn read(self, conditions: &mut Conditions) -> QueryResult<TupleChange> {
        let inserted = self.kind != "deleted";
        let (name, context) = (self.condition.unwrap_or_default(), self.condition_context.unwrap_or_default());
        Ok(TupleChange {
            inserted,
            tuple: tuple_of(
                self.object_type.unwrap_or_default(),
                self.object_id.unwrap_or_default(),
                self.relation.unwrap_or_default(),
                self.subject_type.unwrap_or_default(),
                self.subject_relation.unwrap_or_default(),
                self.subject_id.unwrap_or_default(),
            ),
            condition: if inserted { conditions.read(&name, &context)? } else { None },
            at: unsigned(self.at),
            place: Revision::new(unsigned(self.revision)).into(),
        })
    }
}
