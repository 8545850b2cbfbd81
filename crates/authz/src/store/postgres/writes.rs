//! What each kind of write does in its transaction. A statement takes a whole batch, so that a write is two round trips, the commit included.

use std::collections::HashSet;

use futures_util::future::join3;
use pg_log::Exclusive;
use pg_log::tokio_postgres::error::SqlState;
use pg_log::tokio_postgres::types::ToSql;
use pg_log::tokio_postgres::{self, Row};

use super::super::columns::{Conditions, IdText, NONE, TupleColumns, signed, tuple_of};
use super::super::{InvalidationScope, ModelId, OnConflict, StoreError, StoreId, WriteBatch, WriteConflict};
use super::failure::{broken, connecting};
use super::row::{TupleArrays, condition_names};
use super::transaction::{Refusal, take_time};
use crate::relation::{Object, Presence, Relationship, Tuple};

/// A failed statement of a store that may not be there: triggers ask for it.
fn in_store(operation: &'static str, store: StoreId) -> impl Fn(tokio_postgres::Error) -> Refusal {
    move |error| match error.code() {
        Some(code) if *code == SqlState::FOREIGN_KEY_VIOLATION => Refusal::Final(StoreError::UnknownStore(store)),
        _ => Refusal::of(operation)(error),
    }
}

async fn run(
    connection: &Exclusive,
    sql: &str,
    params: &[&(dyn ToSql + Sync)],
    refused: impl Fn(tokio_postgres::Error) -> Refusal,
) -> Result<Vec<Row>, Refusal> {
    let statement = connection.prepared(sql).await.map_err(connecting("preparing a statement"))?;
    connection.query(&statement, params).await.map_err(refused)
}

/// Refuses a store that is not there, and keeps one that is until the end of the transaction.
pub(super) async fn require(connection: &Exclusive, schema: &str, store: StoreId) -> Result<(), Refusal> {
    let id = IdText::of(store.0);
    let sql = format!("SELECT {schema}.need_store($1)");
    run(connection, &sql, &[&id.as_str()], in_store("looking up a store", store)).await.map(drop)
}

/// Deletes, then writes. The texts are those of the values of each write's condition.
pub(super) async fn write(
    connection: &Exclusive,
    schema: &str,
    store: StoreId,
    batch: &WriteBatch,
    contexts: &[String],
    now: u64,
) -> Result<(), Refusal> {
    let (required, deleted, added) = join3(
        require(connection, schema, store),
        delete(connection, schema, store, &batch.deletes),
        insert(connection, schema, store, &batch.writes, contexts, now),
    )
    .await;
    required?;
    let (deleted, added) = (deleted?, added?);
    if batch.on_missing == OnConflict::Error
        && let Some(missing) = batch.deletes.iter().find(|tuple| !deleted.contains(tuple))
    {
        return Err(StoreError::from(WriteConflict::Missing(missing.clone())).into());
    }
    let there: Vec<&Relationship> = batch.writes.iter().filter(|write| !added.contains(&write.tuple)).collect();
    match there.first() {
        None => Ok(()),
        Some(first) if batch.on_duplicate == OnConflict::Error => {
            Err(StoreError::from(WriteConflict::Duplicate(first.tuple.clone())).into())
        }
        Some(_) => compare(connection, schema, store, &there).await,
    }
}

async fn delete(
    connection: &Exclusive,
    schema: &str,
    store: StoreId,
    tuples: &[Tuple],
) -> Result<HashSet<Tuple>, Refusal> {
    const OPERATION: &str = "deleting relationships";
    if tuples.is_empty() {
        return Ok(HashSet::new());
    }
    let sql = format!(
        "DELETE FROM {schema}.tuples t
         USING unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[]) AS q (ot, oi, r, st, sr, si)
         WHERE t.store = $1 AND t.object_type = q.ot AND t.object_id = q.oi AND t.relation = q.r
           AND t.subject_type = q.st AND t.subject_relation = q.sr AND t.subject_id = q.si
         RETURNING t.object_type, t.object_id, t.relation, t.subject_type, t.subject_relation, t.subject_id"
    );
    let (id, arrays) = (IdText::of(store.0), TupleArrays::of(tuples));
    let [ot, oi, r, st, sr, si] = arrays.params();
    let rows = run(connection, &sql, &[&id.as_str(), ot, oi, r, st, sr, si], in_store(OPERATION, store)).await?;
    Ok(rows.iter().map(key).collect())
}

async fn insert(
    connection: &Exclusive,
    schema: &str,
    store: StoreId,
    writes: &[Relationship],
    contexts: &[String],
    now: u64,
) -> Result<HashSet<Tuple>, Refusal> {
    const OPERATION: &str = "writing relationships";
    if writes.is_empty() {
        return Ok(HashSet::new());
    }
    let sql = format!(
        "INSERT INTO {schema}.tuples (store, object_type, object_id, relation, subject_type, subject_relation, subject_id,
                                      written_at, condition, condition_context)
         SELECT $1, q.ot, q.oi, q.r, q.st, q.sr, q.si, $8, q.c, q.cc
         FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $9::text[], $10::text[])
              WITH ORDINALITY AS q (ot, oi, r, st, sr, si, c, cc, n)
         ORDER BY q.n
         ON CONFLICT DO NOTHING
         RETURNING object_type, object_id, relation, subject_type, subject_relation, subject_id"
    );
    let (id, arrays) = (IdText::of(store.0), TupleArrays::of(writes.iter().map(|write| &write.tuple)));
    let [ot, oi, r, st, sr, si] = arrays.params();
    let (names, now) = (condition_names(writes), signed(now));
    let params: [&(dyn ToSql + Sync); 10] = [&id.as_str(), ot, oi, r, st, sr, si, &now, &names, &contexts];
    let rows = run(connection, &sql, &params, in_store(OPERATION, store)).await?;
    Ok(rows.iter().map(key).collect())
}

/// The relationship of a row that begins with the columns of its key.
fn key(row: &Row) -> Tuple {
    let column = |at: usize| row.get::<_, &str>(at);
    tuple_of(column(0), column(1), column(2), column(3), column(4), column(5))
}

/// What is there already may stay only where it is the same.
async fn compare(connection: &Exclusive, schema: &str, store: StoreId, there: &[&Relationship]) -> Result<(), Refusal> {
    const OPERATION: &str = "comparing relationships with those that are stored";
    let sql = format!(
        "SELECT condition, condition_context FROM {schema}.tuples
         WHERE store = $1 AND object_type = $2 AND object_id = $3 AND relation = $4
           AND subject_type = $5 AND subject_relation = $6 AND subject_id = $7"
    );
    let id = IdText::of(store.0);
    for write in there {
        let TupleColumns { object_type, object_id, relation, subject_type, subject_relation, subject_id, .. } =
            TupleColumns::of(NONE, &write.tuple);
        let params: [&(dyn ToSql + Sync); 7] =
            [&id.as_str(), &object_type, &object_id, &relation, &subject_type, &subject_relation, &subject_id];
        let rows = run(connection, &sql, &params, Refusal::of(OPERATION)).await?;
        let Some(row) = rows.first() else {
            // Somebody has deleted it in between: from the beginning.
            return Err(Refusal::Again(StoreError::Busy { what: "others write the same relationships" }));
        };
        let condition = Conditions::default().read(row.get(0), row.get(1)).map_err(broken(OPERATION))?;
        let same = match (Presence::of(condition), &write.condition) {
            (Presence::Present, None) => true,
            (Presence::Conditional(stored), Some(given)) => stored == *given,
            _ => false,
        };
        if !same {
            return Err(StoreError::from(WriteConflict::Differs(write.tuple.clone())).into());
        }
    }
    Ok(())
}

pub(super) async fn create_store(
    connection: &Exclusive,
    schema: &str,
    id: StoreId,
    name: &str,
    now: u64,
) -> Result<(), Refusal> {
    let text = IdText::of(id.0);
    let sql = format!(
        "INSERT INTO {schema}.stores (id, name, created_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING id"
    );
    let params: [&(dyn ToSql + Sync); 3] = [&text.as_str(), &name, &signed(now)];
    let rows = run(connection, &sql, &params, Refusal::of("creating a store")).await?;
    if rows.is_empty() { Err(StoreError::from(WriteConflict::StoreExists(id)).into()) } else { Ok(()) }
}

/// Whether there was one.
pub(super) async fn delete_store(connection: &Exclusive, schema: &str, id: StoreId) -> Result<bool, Refusal> {
    const OPERATION: &str = "deleting a store";
    take_time(connection, OPERATION).await?;
    let sql = format!("DELETE FROM {schema}.stores WHERE id = $1 RETURNING id");
    let rows = run(connection, &sql, &[&IdText::of(id.0).as_str()], Refusal::of(OPERATION)).await?;
    Ok(!rows.is_empty())
}

pub(super) async fn write_model(
    connection: &Exclusive,
    schema: &str,
    store: StoreId,
    id: ModelId,
    body: &str,
) -> Result<(), Refusal> {
    let (store_text, text) = (IdText::of(store.0), IdText::of(id.0));
    let sql = format!(
        "INSERT INTO {schema}.models (store, id, body) VALUES ($1, $2, $3) ON CONFLICT (store, id) DO NOTHING RETURNING id"
    );
    let params: [&(dyn ToSql + Sync); 3] = [&store_text.as_str(), &text.as_str(), &body];
    let rows = run(connection, &sql, &params, in_store("writing a model", store)).await?;
    if rows.is_empty() { Err(StoreError::from(WriteConflict::ModelExists(id)).into()) } else { Ok(()) }
}

/// In place of those that were there.
pub(super) async fn write_assertions(
    connection: &Exclusive,
    schema: &str,
    store: StoreId,
    model: ModelId,
    body: &str,
) -> Result<(), Refusal> {
    require(connection, schema, store).await?;
    let (store_text, text) = (IdText::of(store.0), IdText::of(model.0));
    let sql = format!(
        "INSERT INTO {schema}.assertions (store, model, body) VALUES ($1, $2, $3)
         ON CONFLICT (store, model) DO UPDATE SET body = excluded.body"
    );
    let params: [&(dyn ToSql + Sync); 3] = [&store_text.as_str(), &text.as_str(), &body];
    let refused = |error: tokio_postgres::Error| match error.code() {
        Some(code) if *code == SqlState::FOREIGN_KEY_VIOLATION => Refusal::Final(StoreError::UnknownModel(model)),
        _ => Refusal::of("writing assertions")(error),
    };
    run(connection, &sql, &params, refused).await.map(drop)
}

/// Replaces the properties of objects; an empty text removes them. What is there already is not written again, and so not logged.
pub(super) async fn write_properties(
    connection: &Exclusive,
    schema: &str,
    store: StoreId,
    given: &[(Object, String)],
) -> Result<(), Refusal> {
    const OPERATION: &str = "writing properties";
    let id = IdText::of(store.0);
    let columns = |removed: bool| {
        let some = given.iter().filter(move |(_, body)| (body == NONE) == removed);
        let (mut types, mut ids, mut bodies) = (Vec::new(), Vec::new(), Vec::new());
        for (object, body) in some {
            types.push(&*object.type_name);
            ids.push(&*object.id);
            bodies.push(body.as_str());
        }
        (types, ids, bodies)
    };
    let (gone, (types, ids, bodies)) = (columns(true), columns(false));
    let remove = format!(
        "DELETE FROM {schema}.properties p USING unnest($2::text[], $3::text[]) AS q (ot, oi)
         WHERE p.store = $1 AND p.object_type = q.ot AND p.object_id = q.oi"
    );
    let replace = format!(
        "INSERT INTO {schema}.properties (store, object_type, object_id, body)
         SELECT $1, q.ot, q.oi, q.b FROM unnest($2::text[], $3::text[], $4::text[]) WITH ORDINALITY AS q (ot, oi, b, n) ORDER BY q.n
         ON CONFLICT (store, object_type, object_id) DO UPDATE SET body = excluded.body WHERE properties.body <> excluded.body"
    );
    let id = id.as_str();
    let remove_params: [&(dyn ToSql + Sync); 3] = [&id, &gone.0, &gone.1];
    let replace_params: [&(dyn ToSql + Sync); 4] = [&id, &types, &ids, &bodies];
    let (required, removed, replaced) = join3(
        require(connection, schema, store),
        run(connection, &remove, &remove_params, in_store(OPERATION, store)),
        run(connection, &replace, &replace_params, in_store(OPERATION, store)),
    )
    .await;
    required?;
    removed?;
    replaced.map(drop)
}

pub(super) async fn append(connection: &Exclusive, schema: &str, scope: &InvalidationScope) -> Result<(), Refusal> {
    const OPERATION: &str = "writing an invalidation";
    let json = serde_json::to_string(scope).map_err(|error| StoreError::Unavailable {
        operation: OPERATION,
        cause: error.to_string().into(),
        remedy: "report this as a bug",
    })?;
    let sql = format!("INSERT INTO {schema}.log (kind, fields) VALUES ('invalidated', ARRAY[$1::text])");
    run(connection, &sql, &[&json], Refusal::of(OPERATION)).await.map(drop)
}
