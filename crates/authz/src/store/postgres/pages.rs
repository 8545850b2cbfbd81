//! Lists: pages in a stable order, each from where the page before ended.
//!
//! Invariant: a page begins after the *value* where the last one ended, never at an offset, so rows that come and go elsewhere
//! neither repeat an item nor hide one.

use pg_log::Shared;
use pg_log::tokio_postgres::types::ToSql;

use super::super::columns::{Conditions, IdText, id_of, model_id, properties_of, tuple_of, unsigned};
use super::super::range::{COLUMNS, Rest, fixed_columns};
use super::super::{
    ModelId, Page, PageRequest, StoreError, StoreId, StoreRecord, StoredTuple, TupleFilter, UnixMillis,
};
use super::failure::{broken, failed};
use crate::condition::Context;
use crate::relation::{Object, Text, Tuple};

type Params<'a> = Vec<&'a (dyn ToSql + Sync)>;

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

/// Relationships that match, in the order of the primary key.
pub(super) async fn tuples(
    client: &Shared,
    schema: &str,
    store: &str,
    filter: &TupleFilter,
    page: &PageRequest<Tuple>,
) -> Result<Page<StoredTuple, Tuple>, StoreError> {
    const OPERATION: &str = "listing relationships";
    let limit = page.bounded();
    let fixed = fixed_columns(filter);
    // Only names of columns go into the text; every value is a parameter.
    let mut sql = format!(
        "SELECT object_type, object_id, relation, subject_type, subject_relation, subject_id, written_at,
                condition, condition_context FROM {schema}.tuples WHERE store = $1"
    );
    let mut values: Vec<String> = vec![store.to_owned()];
    for (name, value) in COLUMNS.iter().zip(&fixed) {
        if let Some(value) = value {
            values.push(value.to_string());
            sql.push_str(&format!(" AND {name} = ${}", values.len()));
        }
    }
    if let Some(after) = &page.after {
        match Rest::after(after, &fixed) {
            Rest::Nothing => return Ok(Page { items: Vec::new(), next: None }),
            Rest::Everything => {}
            Rest::From { columns, or_equal } => {
                let names: Vec<&str> = columns.iter().map(|&(name, _)| name).collect();
                let places: Vec<String> = columns
                    .iter()
                    .map(|(_, value)| {
                        values.push(value.clone());
                        format!("${}", values.len())
                    })
                    .collect();
                let operator = if or_equal { ">=" } else { ">" };
                sql.push_str(&format!(" AND ({}) {operator} ({})", names.join(", "), places.join(", ")));
            }
        }
    }
    sql.push_str(&format!(" ORDER BY {} LIMIT {}", COLUMNS.join(", "), one_more(limit)));
    let params: Params<'_> = values.iter().map(|value| value as &(dyn ToSql + Sync)).collect();
    let rows = client.query(&sql, &params).await.map_err(failed(OPERATION))?;
    let mut conditions = Conditions::default();
    let mut items = Vec::with_capacity(rows.len());
    for row in &rows {
        let column = |at: usize| row.get::<_, &str>(at);
        let tuple = tuple_of(column(0), column(1), column(2), column(3), column(4), column(5));
        let condition = conditions.read(column(7), column(8)).map_err(broken(OPERATION))?;
        items.push(StoredTuple { tuple, condition, written_at: unsigned(row.get(6)) });
    }
    Ok(Page::cut(items, limit, |stored: &StoredTuple| stored.tuple.clone()))
}
