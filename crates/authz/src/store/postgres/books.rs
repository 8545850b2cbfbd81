//! Relationships, written with their books: the rows of the history and of the log come from the statement that changes the relationships.
//!
//! Triggers would write the same rows for whoever changes them otherwise, one by one, at three times the price. They don't fire here,
//! because the transaction says by its own number that it keeps the books itself.
//!
//! Relationships are changed in one order, so that two batches rarely wait for each other in a circle.

use std::collections::HashSet;

use futures_util::future::try_join_all;
use pg_log::Exclusive;
use pg_log::tokio_postgres::Row;
use pg_log::tokio_postgres::types::ToSql;

use super::super::StoreId;
use super::super::columns::{IdText, NONE, TupleColumns, signed, tuple_of};
use super::row::TupleArrays;
use super::transaction::Refusal;
use super::writes::run;
use crate::relation::{Relationship, Tuple};

/// The columns of the key after the store.
const KEY: &str = "object_type, object_id, relation, subject_type, subject_relation, subject_id";

/// Deletes relationships. Returns those that were there.
///
/// A statement for each, all on their way at once: joined with a list of keys, the planner may choose to read the whole store instead, and keep
/// to it while the store grows.
pub(super) async fn delete(
    connection: &Exclusive,
    schema: &str,
    store: StoreId,
    tuples: &[Tuple],
    now: u64,
) -> Result<HashSet<Tuple>, Refusal> {
    let sql = format!(
        "WITH gone AS (
             DELETE FROM {schema}.tuples
             WHERE store = $1 AND object_type = $2 AND object_id = $3 AND relation = $4
               AND subject_type = $5 AND subject_relation = $6 AND subject_id = $7
             RETURNING *),
         kept AS (
             INSERT INTO {schema}.changes (store, inserted, {KEY}, at) SELECT store, false, {KEY}, $8 FROM gone),
         told AS (
             INSERT INTO {schema}.log (kind, fields) SELECT 'deleted', ARRAY[store, {KEY}] FROM gone)
         SELECT {KEY} FROM gone"
    );
    let mut ordered: Vec<&Tuple> = tuples.iter().collect();
    ordered.sort_unstable();
    let (id, now) = (IdText::of(store.0), signed(now));
    let gone = ordered.into_iter().map(async |tuple| {
        let TupleColumns { store, object_type, object_id, relation, subject_type, subject_relation, subject_id } =
            TupleColumns::of(id.as_str(), tuple);
        let params: [&(dyn ToSql + Sync); 8] =
            [&store, &object_type, &object_id, &relation, &subject_type, &subject_relation, &subject_id, &now];
        run(connection, &sql, &params, Refusal::of("deleting relationships")).await
    });
    let rows = try_join_all(gone).await?;
    Ok(rows.iter().flatten().map(key).collect())
}

/// Writes relationships, each with the text of the values of its condition. Returns those that were not there.
pub(super) async fn insert(
    connection: &Exclusive,
    schema: &str,
    store: StoreId,
    writes: &[Relationship],
    contexts: &[String],
    now: u64,
) -> Result<HashSet<Tuple>, Refusal> {
    if writes.is_empty() {
        return Ok(HashSet::new());
    }
    let sql = format!(
        "WITH added AS (
             INSERT INTO {schema}.tuples (store, {KEY}, written_at, condition, condition_context)
             SELECT $1, q.ot, q.oi, q.r, q.st, q.sr, q.si, $8, q.c, q.cc
             FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $9::text[], $10::text[])
                  AS q (ot, oi, r, st, sr, si, c, cc)
             ON CONFLICT DO NOTHING
             RETURNING *),
         kept AS (
             INSERT INTO {schema}.changes (store, inserted, {KEY}, condition, condition_context, at)
             SELECT store, true, {KEY}, condition, condition_context, written_at FROM added),
         told AS (
             INSERT INTO {schema}.log (kind, fields) SELECT 'inserted', ARRAY[store, {KEY}] FROM added)
         SELECT {KEY} FROM added"
    );
    let mut ordered: Vec<(&Relationship, &str)> = writes.iter().zip(contexts.iter().map(String::as_str)).collect();
    ordered.sort_unstable_by_key(|(write, _)| &write.tuple);
    let (id, now) = (IdText::of(store.0), signed(now));
    let arrays = TupleArrays::of(ordered.iter().map(|(write, _)| &write.tuple));
    let [ot, oi, r, st, sr, si] = arrays.params();
    let name = |write: &Relationship| write.condition.as_ref().map_or(NONE.to_owned(), |found| found.name.to_string());
    let names: Vec<String> = ordered.iter().map(|(write, _)| name(write)).collect();
    let contexts: Vec<&str> = ordered.iter().map(|(_, context)| *context).collect();
    let params: [&(dyn ToSql + Sync); 10] = [&id.as_str(), ot, oi, r, st, sr, si, &now, &names, &contexts];
    let rows = run(connection, &sql, &params, Refusal::of("writing relationships")).await?;
    Ok(rows.iter().map(key).collect())
}

/// The relationship of a row of the columns of a key.
fn key(row: &Row) -> Tuple {
    let column = |at: usize| row.get::<_, &str>(at);
    tuple_of(column(0), column(1), column(2), column(3), column(4), column(5))
}
