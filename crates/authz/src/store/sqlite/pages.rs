//! Lists: pages in a stable order, each from where the page before ended.
//!
//! Invariant: a page begins after the *value* where the last one ended, never at an offset, so rows that come and go elsewhere
//! neither repeat an item nor hide one.

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text as SqlText};
use diesel::sqlite::{Sqlite, SqliteConnection};

use super::super::range::{COLUMNS, Rest, fixed_columns};
use super::super::{ModelId, Page, PageRequest, StoreId, StoreRecord, StoredTuple, TupleFilter};
use super::row::{Conditions, IdText, NO_RELATION, StoreRow, TupleRow, model_id, properties_of};
use super::schema::{models, properties, stores, tuples};
use crate::condition::Context;
use crate::relation::{Object, Subject, Text, Tuple};

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
///
/// Those of one subject lie in its index by relation and not in that order. There are few relations, so a page is merged from a page of
/// each; otherwise it would have to read all that the subject has, or all of a type.
pub(super) fn tuples(
    connection: &mut SqliteConnection,
    store: &str,
    filter: &TupleFilter,
    page: &PageRequest<Tuple>,
) -> QueryResult<Page<StoredTuple, Tuple>> {
    if filter.object_id.is_some() || filter.relation.is_some() && filter.object_type.is_some() {
        return one_range(connection, store, filter, page);
    }
    let Some(relations) = filter.subject.as_ref().map(|subject| relations_of(connection, store, subject)) else {
        return one_range(connection, store, filter, page);
    };
    let Some(relations) = relations? else { return one_range(connection, store, filter, page) };
    let (mut items, mut more) = (Vec::new(), false);
    for (object_type, relation) in relations {
        let wanted = |given: &Option<Text>, found: &str| given.as_deref().is_none_or(|given| given == found);
        if !wanted(&filter.object_type, &object_type) || !wanted(&filter.relation, &relation) {
            continue;
        }
        let (object_type, relation) = (Some(Text::from(object_type)), Some(Text::from(relation)));
        let part = one_range(connection, store, &TupleFilter { object_type, relation, ..filter.clone() }, page)?;
        more |= part.next.is_some();
        items.extend(part.items);
    }
    items.sort_unstable_by(|one, other| order(one).cmp(&order(other)));
    more |= items.len() > page.bounded();
    items.truncate(page.bounded());
    let next = if more { items.last().map(|stored| stored.tuple.clone()) } else { None };
    Ok(Page { items, next })
}

/// The subject is the same in all rows that are merged.
fn order(stored: &StoredTuple) -> (&str, &str, &str) {
    let Tuple { object, relation, .. } = &stored.tuple;
    (&object.type_name, &object.id, relation)
}

/// The types and relations in which a subject stands, each found by one step in the index; none where they are more than
/// [`MAX_MERGED`].
fn relations_of(
    connection: &mut SqliteConnection,
    store: &str,
    subject: &Subject,
) -> QueryResult<Option<Vec<(String, String)>>> {
    #[derive(QueryableByName)]
    #[diesel(table_name = tuples)]
    struct Found {
        object_type: String,
        relation: String,
    }
    let mut all: Vec<(String, String)> = Vec::new();
    while all.len() <= MAX_MERGED {
        let (object_type, relation) = all.last().cloned().unwrap_or_default();
        let next = diesel::sql_query(
            "SELECT object_type, relation FROM tuples INDEXED BY tuples_by_subject WHERE store = ? AND subject_type = ? \
             AND subject_relation = ? AND subject_id = ? AND (object_type, relation) > (?, ?) \
             ORDER BY object_type, relation LIMIT 1",
        )
        .bind::<SqlText, _>(store)
        .bind::<SqlText, _>(&**subject.type_name())
        .bind::<SqlText, _>(subject.relation().map_or(NO_RELATION, |relation| relation))
        .bind::<SqlText, _>(subject.id())
        .bind::<SqlText, _>(object_type)
        .bind::<SqlText, _>(relation)
        .get_result::<Found>(connection)
        .optional()?;
        match next {
            Some(Found { object_type, relation }) => all.push((object_type, relation)),
            None => return Ok(Some(all)),
        }
    }
    Ok(None)
}

/// The most relations of one subject whose pages are merged. Models have fewer.
const MAX_MERGED: usize = 256;

/// As [`tuples`], where what matches is a range of one index, or all there is.
fn one_range(
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

/// One item more than a page or an answer takes, to see whether there is another one.
pub(super) fn one_more(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX - 1) + 1
}
