//! Lists: pages in a stable order, each from where the page before ended.
//!
//! Invariant: a page begins after the *value* where the last one ended, never at an offset, so rows that come and go elsewhere
//! neither repeat an item nor hide one.

use cache_core::Revision;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text as SqlText};
use diesel::sqlite::{Sqlite, SqliteConnection};

use super::super::{ModelId, Page, PageRequest, StoreId, StoreRecord, StoredTuple, TupleChange, TupleFilter};
use super::row::{IdText, StoreRow, TupleColumns, TupleRow, model_id, signed, tuple_of, unsigned};
use super::schema::{changes, models, stores};
use crate::relation::{Text, Tuple};

/// Stores in the order of their ids.
pub(super) fn stores(
    connection: &mut SqliteConnection,
    page: &PageRequest<StoreId>,
) -> QueryResult<Page<StoreRecord, StoreId>> {
    let limit = page.bounded();
    let mut query = stores::table.order(stores::id).limit(one_more(limit)).into_boxed();
    if let Some(after) = page.after {
        query = query.filter(stores::id.gt(IdText::of(after.0).as_str().to_owned()));
    }
    let rows = query.load::<StoreRow>(connection)?;
    Ok(Page::cut(rows.into_iter().map(StoreRecord::from), limit, |record| record.id))
}

/// Models of a store, the one that was written last first.
pub(super) fn models(
    connection: &mut SqliteConnection,
    store: &str,
    page: &PageRequest<ModelId>,
) -> QueryResult<Page<(ModelId, String), ModelId>> {
    let limit = page.bounded();
    let mut query = models::table
        .filter(models::store.eq(store))
        .order(models::sequence.desc())
        .select((models::id, models::body))
        .limit(one_more(limit))
        .into_boxed();
    if let Some(after) = page.after {
        let older_than = models::table
            .filter(models::store.eq(store))
            .filter(models::id.eq(IdText::of(after.0).as_str()))
            .select(models::sequence)
            .first::<i64>(connection)
            .optional()?;
        query = query.filter(models::sequence.lt(older_than.unwrap_or(0)));
    }
    let rows = query.load::<(String, String)>(connection)?;
    let items = rows.into_iter().map(|(id, body)| (model_id(&id), body));
    Ok(Page::cut(items, limit, |(id, _): &(ModelId, String)| *id))
}

/// Changes of relationships. The last revision is always where to go on, also from the end.
pub(super) fn changes(
    connection: &mut SqliteConnection,
    store: &str,
    object_type: Option<&str>,
    page: &PageRequest<Revision>,
) -> QueryResult<Page<TupleChange, Revision>> {
    type Columns = (
        i64,
        String,
        i64,
        (Option<String>, Option<String>, Option<String>),
        (Option<String>, Option<String>, Option<String>),
    );
    let mut query = changes::table
        .filter(changes::store.eq(store))
        .filter(changes::revision.gt(signed(page.after.unwrap_or(Revision::ZERO).get())))
        .filter(changes::object_type.is_not_null())
        .order(changes::revision)
        .limit(i64::try_from(page.bounded()).unwrap_or(i64::MAX))
        .select((
            changes::revision,
            changes::kind,
            changes::at,
            (changes::object_type, changes::object_id, changes::relation),
            (changes::subject_type, changes::subject_relation, changes::subject_id),
        ))
        .into_boxed();
    if let Some(wanted) = object_type {
        query = query.filter(changes::object_type.eq(wanted));
    }
    let rows = query.load::<Columns>(connection)?;
    let items: Vec<TupleChange> = rows
        .into_iter()
        .map(
            |(revision, kind, at, (object_type, object_id, relation), (subject_type, subject_relation, subject_id))| {
                TupleChange {
                    inserted: kind != "deleted",
                    tuple: tuple_of(
                        object_type.unwrap_or_default(),
                        object_id.unwrap_or_default(),
                        relation.unwrap_or_default(),
                        subject_type.unwrap_or_default(),
                        subject_relation.unwrap_or_default(),
                        subject_id.unwrap_or_default(),
                    ),
                    condition: None,
                    at: unsigned(at),
                    revision: Revision::new(unsigned(revision)),
                }
            },
        )
        .collect();
    let next = items.last().map(|change| change.revision).or(page.after);
    Ok(Page { items, next })
}

/// Relationships that match, in the order of the primary key.
pub(super) fn tuples(
    connection: &mut SqliteConnection,
    store: &str,
    filter: &TupleFilter,
    page: &PageRequest<Tuple>,
) -> QueryResult<Page<StoredTuple, Tuple>> {
    let limit = page.bounded();
    let fixed = fixed_columns(filter);
    // Only names of columns go into the text; every value is bound.
    let mut query = diesel::sql_query(
        "SELECT object_type, object_id, relation, subject_type, subject_relation, subject_id, written_at \
         FROM tuples WHERE store = ?",
    )
    .into_boxed::<Sqlite>()
    .bind::<SqlText, _>(store.to_owned());
    for (name, value) in COLUMNS.iter().zip(&fixed) {
        if let Some(value) = value {
            query = query.sql(format!(" AND {name} = ?")).bind::<SqlText, _>(value.to_string());
        }
    }
    if let Some(after) = &page.after {
        match Rest::after(after, &fixed) {
            Rest::Nothing => return Ok(Page { items: Vec::new(), next: None }),
            Rest::Everything => {}
            Rest::From { columns, or_equal } => {
                let names: Vec<&str> = columns.iter().map(|&(name, _)| name).collect();
                let places = vec!["?"; columns.len()].join(", ");
                let operator = if or_equal { ">=" } else { ">" };
                query = query.sql(format!(" AND ({}) {operator} ({places})", names.join(", ")));
                for (_, value) in columns {
                    query = query.bind::<SqlText, _>(value);
                }
            }
        }
    }
    let rows = query
        .sql(format!(" ORDER BY {} LIMIT ?", COLUMNS.join(", ")))
        .bind::<BigInt, _>(one_more(limit))
        .load::<TupleRow>(connection)?;
    Ok(Page::cut(rows.into_iter().map(StoredTuple::from), limit, |stored: &StoredTuple| stored.tuple.clone()))
}

/// The columns of the key after the store, in its order.
const COLUMNS: [&str; 6] = ["object_type", "object_id", "relation", "subject_type", "subject_relation", "subject_id"];

fn fixed_columns(filter: &TupleFilter) -> [Option<Text>; 6] {
    let subject = filter.subject.as_ref();
    [
        filter.object_type.clone(),
        filter.object_id.clone(),
        filter.relation.clone(),
        subject.map(|subject| subject.type_name().clone()),
        subject.map(|subject| subject.relation().cloned().unwrap_or_else(|| Text::from(""))),
        subject.map(|subject| Text::from(subject.id())),
    ]
}

/// Which of the rows that match a filter come after a cursor.
///
/// The filter's columns are left out of the comparison, because they are equal in all rows: what remains is a range of the same
/// index that the filter uses, so that the last page costs no more than the first.
enum Rest {
    Everything,
    Nothing,
    From { columns: Vec<(&'static str, String)>, or_equal: bool },
}

impl Rest {
    fn after(cursor: &Tuple, fixed: &[Option<Text>; 6]) -> Self {
        let at = TupleColumns::of("", cursor);
        let values = [at.object_type, at.object_id, at.relation, at.subject_type, at.subject_relation, at.subject_id];
        let mut columns = Vec::new();
        let mut or_equal = false;
        for ((name, value), fixed) in COLUMNS.into_iter().zip(values).zip(fixed) {
            match fixed.as_deref().map(|fixed| fixed.cmp(value)) {
                None => columns.push((name, value.to_owned())),
                Some(std::cmp::Ordering::Equal) => {}
                // A cursor of another list: from here on every row lies after it, or before it.
                Some(order) => {
                    or_equal = order.is_gt();
                    break;
                }
            }
        }
        match (columns.is_empty(), or_equal) {
            (true, true) => Self::Everything,
            (true, false) => Self::Nothing,
            (false, or_equal) => Self::From { columns, or_equal },
        }
    }
}

fn one_more(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX - 1) + 1
}
