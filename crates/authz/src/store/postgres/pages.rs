//! Lists: pages in a stable order, each from where the page before ended.
//!
//! Invariant: a page begins after the *value* where the last one ended, never at an offset, so rows that come and go elsewhere
//! neither repeat an item nor hide one.

use futures_util::future::join;
use pg_log::tokio_postgres::types::{ToSql, Type};
use pg_log::{Exclusive, Shared};

use super::super::columns::{
    Conditions, IdText, NO_RELATION, NONE, TupleColumns, id_of, model_id, properties_of, tuple_of, unsigned,
};
use super::super::range::{COLUMNS, Rest, fixed_columns};
use super::super::{
    ModelId, Page, PageRequest, StoreError, StoreId, StoreRecord, StoredTuple, TupleFilter, UnixMillis,
};
use super::failure::{broken, failed};
use crate::condition::Context;
use crate::relation::{Object, Subject, Text, Tuple};

/// The columns of a relationship after those of its key.
const REST: &str = "written_at, condition, condition_context";

/// One item more than a page takes, to see whether there is another one.
fn one_more(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX - 1) + 1
}

/// One store.
pub(super) async fn store(client: &Shared, schema: &str, id: StoreId) -> Result<Option<StoreRecord>, StoreError> {
    let sql = format!("SELECT id, name, created_at FROM {schema}.stores WHERE id = $1");
    let row = client.query_opt(&sql, &[&IdText::of(id.0).as_str()]).await.map_err(failed("reading a store"))?;
    Ok(row.map(|row| record(row.get(0), row.get(1), row.get(2))))
}

fn record(id: &str, name: String, created_at: i64) -> StoreRecord {
    StoreRecord { id: StoreId(id_of(id)), name, created_at: unsigned(created_at) as UnixMillis }
}

/// Stores in the order of their ids.
pub(super) async fn stores(
    client: &Shared,
    schema: &str,
    page: &PageRequest<StoreId>,
) -> Result<Page<StoreRecord, StoreId>, StoreError> {
    let limit = page.bounded();
    let after = page.after.map(|after| IdText::of(after.0));
    let after = after.as_ref().map_or("", IdText::as_str);
    let sql = format!("SELECT id, name, created_at FROM {schema}.stores WHERE id > $1 ORDER BY id LIMIT $2");
    let rows = client.query(&sql, &[&after, &one_more(limit)]).await.map_err(failed("listing stores"))?;
    Ok(Page::cut(rows.iter().map(|row| record(row.get(0), row.get(1), row.get(2))), limit, |record| record.id))
}

/// Models of a store, the one that was written last first.
pub(super) async fn models(
    client: &Shared,
    schema: &str,
    store: &str,
    page: &PageRequest<ModelId>,
) -> Result<Page<(ModelId, String), ModelId>, StoreError> {
    let limit = page.bounded();
    let after = page.after.map(|after| IdText::of(after.0));
    let after = after.as_ref().map(IdText::as_str);
    let sql = format!(
        "SELECT id, body FROM {schema}.models
         WHERE store = $1
           AND ($2::text IS NULL OR sequence < coalesce((SELECT sequence FROM {schema}.models WHERE store = $1 AND id = $2), 0))
         ORDER BY sequence DESC LIMIT $3"
    );
    let rows = client.query(&sql, &[&store, &after, &one_more(limit)]).await.map_err(failed("listing models"))?;
    let items = rows.iter().map(|row| (model_id(row.get(0)), row.get(1)));
    Ok(Page::cut(items, limit, |(id, _): &(ModelId, String)| *id))
}

/// Stored properties in the order of type and id.
pub(super) async fn properties(
    client: &Shared,
    schema: &str,
    store: &str,
    page: &PageRequest<Object>,
) -> Result<Page<(Object, Context), Object>, StoreError> {
    const OPERATION: &str = "listing properties";
    let limit = page.bounded();
    let (after_type, after_id) = page.after.as_ref().map_or(("", ""), |after| (&*after.type_name, &*after.id));
    let sql = format!(
        "SELECT object_type, object_id, body FROM {schema}.properties
         WHERE store = $1 AND (object_type, object_id) > ($2, $3) ORDER BY object_type, object_id LIMIT $4"
    );
    let rows =
        client.query(&sql, &[&store, &after_type, &after_id, &one_more(limit)]).await.map_err(failed(OPERATION))?;
    let read = |row: &pg_log::tokio_postgres::Row| {
        let object = Object { type_name: Text::from(row.get::<_, &str>(0)), id: Text::from(row.get::<_, &str>(1)) };
        Ok((object, properties_of(row.get(2)).map_err(broken(OPERATION))?))
    };
    let items = rows.iter().map(read).collect::<Result<Vec<_>, StoreError>>()?;
    Ok(Page::cut(items, limit, |(object, _): &(Object, Context)| object.clone()))
}

/// Relationships that match, in the order of the primary key, of a store that is there.
///
/// Those of one subject lie in its index by relation and not in that order. There are few relations, so a page is merged from a page of
/// each; otherwise it would have to read all that the subject has, or all of a type.
pub(super) async fn tuples(
    client: &Exclusive,
    schema: &str,
    store: StoreId,
    filter: &TupleFilter,
    page: &PageRequest<Tuple>,
) -> Result<Page<StoredTuple, Tuple>, StoreError> {
    const OPERATION: &str = "listing relationships";
    let limit = page.bounded();
    let id = IdText::of(store.0);
    let mut query = Query { sql: String::new(), values: vec![id.as_str().to_owned()] };
    let one_range = filter.object_id.is_some() || filter.relation.is_some() && filter.object_type.is_some();
    let matches = match &filter.subject {
        Some(subject) if !one_range => query.merged(schema, filter, subject, page.after.as_ref(), limit),
        _ => query.range(schema, filter, page.after.as_ref(), limit),
    };
    let exists = format!("SELECT EXISTS (SELECT FROM {schema}.stores WHERE id = $1)");
    let params: Vec<(&(dyn ToSql + Sync), Type)> =
        query.values.iter().map(|value| (value as &(dyn ToSql + Sync), Type::TEXT)).collect();
    let found = async { if matches { client.query_typed(&query.sql, &params).await } else { Ok(Vec::new()) } };
    let (exists, rows) = join(client.query_typed(&exists, &params[..1]), found).await;
    if !exists.map_err(failed(OPERATION))?.first().is_some_and(|row| row.get(0)) {
        return Err(StoreError::UnknownStore(store));
    }
    let mut conditions = Conditions::default();
    let mut items = Vec::new();
    for row in &rows.map_err(failed(OPERATION))? {
        let column = |at: usize| row.get::<_, &str>(at);
        let tuple = tuple_of(column(0), column(1), column(2), column(3), column(4), column(5));
        let condition = conditions.read(column(7), column(8)).map_err(broken(OPERATION))?;
        items.push(StoredTuple { tuple, condition, written_at: unsigned(row.get(6)) });
    }
    Ok(Page::cut(items, limit, |stored: &StoredTuple| stored.tuple.clone()))
}

/// A statement while it is put together. Only names of columns go into its text; every value is a parameter.
struct Query {
    sql: String,
    values: Vec<String>,
}

impl Query {
    fn place(&mut self, value: &str) -> String {
        self.values.push(value.to_owned());
        format!("${}", self.values.len())
    }

    /// One range of the primary key. False where nothing can match.
    fn range(&mut self, schema: &str, filter: &TupleFilter, after: Option<&Tuple>, limit: usize) -> bool {
        let fixed = fixed_columns(filter);
        self.sql = format!("SELECT {}, {REST} FROM {schema}.tuples WHERE store = $1", COLUMNS.join(", "));
        for (name, value) in COLUMNS.iter().zip(&fixed) {
            if let Some(value) = value {
                let place = self.place(value);
                self.sql.push_str(&format!(" AND {name} = {place}"));
            }
        }
        match after.map(|after| Rest::after(after, &fixed)) {
            Some(Rest::Nothing) => return false,
            None | Some(Rest::Everything) => {}
            Some(Rest::From { columns, or_equal }) => {
                let names: Vec<&str> = columns.iter().map(|&(name, _)| name).collect();
                let places: Vec<String> = columns.iter().map(|(_, value)| self.place(value)).collect();
                let operator = if or_equal { ">=" } else { ">" };
                self.sql.push_str(&format!(" AND ({}) {operator} ({})", names.join(", "), places.join(", ")));
            }
        }
        self.sql.push_str(&format!(" ORDER BY {} LIMIT {}", COLUMNS.join(", "), one_more(limit)));
        true
    }

    /// One range of the index by subject for each relation in which the subject stands; they are found by a step in the index each.
    fn merged(
        &mut self,
        schema: &str,
        filter: &TupleFilter,
        subject: &Subject,
        after: Option<&Tuple>,
        limit: usize,
    ) -> bool {
        let (st, sr) = (self.place(subject.type_name()), self.place(subject.relation().map_or(NO_RELATION, |of| of)));
        let si = self.place(subject.id());
        let of = format!(
            "FROM {schema}.tuples t WHERE store = $1 AND subject_type = {st} AND subject_relation = {sr} AND subject_id = {si}"
        );
        let mut wanted = String::from("true");
        if let Some(given) = &filter.object_type {
            wanted.push_str(&format!(" AND f.object_type = {}", self.place(given)));
        }
        if let Some(given) = &filter.relation {
            wanted.push_str(&format!(" AND f.relation = {}", self.place(given)));
        }
        let mut rest = String::new();
        if let Some(after) = after {
            let key = TupleColumns::of(NONE, after);
            let values =
                [key.object_type, key.object_id, key.relation, key.subject_type, key.subject_relation, key.subject_id];
            let places = values.map(|value| self.place(value));
            // The first part is what the index is asked for; within its type the ids before are passed over.
            rest = format!(
                " AND object_id >= CASE WHEN f.object_type = {} THEN {} ELSE '' END AND ({}) > ({})",
                places[0],
                places[1],
                COLUMNS.join(", "),
                places.join(", ")
            );
        }
        let (columns, most) = (COLUMNS.join(", "), one_more(limit));
        self.sql = format!(
            "WITH RECURSIVE found (object_type, relation) AS (
                 (SELECT object_type, relation {of} ORDER BY object_type, relation LIMIT 1)
                 UNION ALL
                 SELECT n.object_type, n.relation FROM found f CROSS JOIN LATERAL (
                     SELECT object_type, relation {of} AND (object_type, relation) > (f.object_type, f.relation)
                     ORDER BY object_type, relation LIMIT 1) n)
             SELECT p.* FROM found f CROSS JOIN LATERAL (
                 SELECT {columns}, {REST} {of} AND t.object_type = f.object_type AND t.relation = f.relation{rest}
                 ORDER BY object_id LIMIT {most}) p
             WHERE {wanted} ORDER BY {columns} LIMIT {most}"
        );
        true
    }
}
