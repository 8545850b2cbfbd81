//! Lists: pages in a stable order, each from where the page before ended.
//!
//! Invariant: a page begins after the *value* where the last one ended, never at an offset, so rows that come and go elsewhere
//! neither repeat an item nor hide one.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text as SqlText};
use diesel::sqlite::{Sqlite, SqliteConnection};

use super::super::{ModelId, Page, PageRequest, StoreId, StoreRecord, StoredTuple, TupleFilter};
use super::row::{Conditions, IdText, StoreRow, TupleColumns, TupleRow, model_id, properties_of};
use super::schema::{models, properties, stores};
use crate::condition::Context;
use crate::relation::{Object, Text, Tuple};

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

/// Objects with stored properties, in the order of type and id.
pub(super) fn properties(
    connection: &mut SqliteConnection,
    store: &str,
    page: &PageRequest<Object>,
) -> QueryResult<Page<(Object, Context), Object>> {
    let limit = page.bounded();
    let mut query = properties::table
        .filter(properties::store.eq(store))
        .order((properties::object_type, properties::object_id))
        .select((properties::object_type, properties::object_id, properties::body))
        .limit(one_more(limit))
        .into_boxed();
    if let Some(Object { type_name, id }) = &page.after {
        let (type_name, id) = (type_name.to_string(), id.to_string());
        let later = properties::object_type.eq(type_name.clone()).and(properties::object_id.gt(id));
        // The first part says no more than the second: it is the range of the index.
        query = query
            .filter(properties::object_type.ge(type_name.clone()))
            .filter(properties::object_type.gt(type_name).or(later));
    }
    let rows = query.load::<(String, String, String)>(connection)?;
    let read = |(type_name, id, body): (String, String, String)| {
        Ok((Object { type_name: Text::from(type_name), id: Text::from(id) }, properties_of(&body)?))
    };
    let items = rows.into_iter().map(read).collect::<QueryResult<Vec<_>>>()?;
    Ok(Page::cut(items, limit, |(object, _): &(Object, Context)| object.clone()))
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
        "SELECT object_type, object_id, relation, subject_type, subject_relation, subject_id, written_at, \
         condition, condition_context FROM tuples WHERE store = ?",
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
    let mut conditions = Conditions::default();
    let items = rows.into_iter().map(|row| row.stored(&mut conditions)).collect::<QueryResult<Vec<_>>>()?;
    Ok(Page::cut(items, limit, |stored: &StoredTuple| stored.tuple.clone()))
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

/// One item more than a page or an answer takes, to see whether there is another one.
pub(super) fn one_more(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX - 1) + 1
}
