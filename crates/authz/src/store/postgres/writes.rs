//! What each kind of write does in its transaction. A statement takes a whole batch, so that a write is two round trips, the commit included.

use futures_util::future::{join3, try_join_all};
use pg_log::Exclusive;
use pg_log::tokio_postgres::error::SqlState;
use pg_log::tokio_postgres::types::ToSql;
use pg_log::tokio_postgres::{self, Row};

use super::super::columns::{IdText, NONE, signed};
use super::super::{
    InvalidationScope, ModelId, OnConflict, StoreError, StoreId, TupleAnswer, TupleRead, WriteBatch, WriteConflict,
};
use super::failure::connecting;
use super::transaction::{Refusal, take_time};
use super::{books, reads};
use crate::relation::{Object, Presence, Relationship};

/// A failed statement of a store that may not be there.
pub(super) fn in_store(operation: &'static str, store: StoreId) -> impl Fn(tokio_postgres::Error) -> Refusal {
    move |error| match error.code() {
        Some(code) if *code == SqlState::FOREIGN_KEY_VIOLATION => Refusal::Final(StoreError::UnknownStore(store)),
        _ => Refusal::of(operation)(error),
    }
}

pub(super) async fn run(
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
        books::delete(connection, schema, store, &batch.deletes, now),
        books::insert(connection, schema, store, &batch.writes, contexts, now),
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

/// What is there already may stay only where it is the same.
async fn compare(connection: &Exclusive, schema: &str, store: StoreId, there: &[&Relationship]) -> Result<(), Refusal> {
    let points: Vec<TupleRead> = there.iter().map(|write| TupleRead::Point(write.tuple.clone())).collect();
    let found = reads::relationships(connection, schema, store, &points).await?;
    for (write, found) in there.iter().zip(found) {
        let same = match (&found, &write.condition) {
            (TupleAnswer::Found(Presence::Present), None) => true,
            (TupleAnswer::Found(Presence::Conditional(stored)), Some(given)) => stored == given,
            // Somebody has deleted it in between: from the beginning.
            (TupleAnswer::Found(Presence::Absent), _) => {
                return Err(Refusal::Again(StoreError::Busy { what: "others write the same relationships" }));
            }
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
    let id = id.as_str();
    let (mut types, mut ids, mut bodies) = (Vec::new(), Vec::new(), Vec::new());
    let mut ordered: Vec<&(Object, String)> = given.iter().collect();
    ordered.sort_unstable();
    let (gone, kept): (Vec<_>, Vec<_>) = ordered.into_iter().partition(|(_, body)| body == NONE);
    for (object, body) in kept {
        types.push(&*object.type_name);
        ids.push(&*object.id);
        bodies.push(body.as_str());
    }
    // One by one, for the planner's sake, as relationships are.
    let remove = format!("DELETE FROM {schema}.properties WHERE store = $1 AND object_type = $2 AND object_id = $3");
    let removed = gone.into_iter().map(async |(object, _)| {
        let params: [&(dyn ToSql + Sync); 3] = [&id, &&*object.type_name, &&*object.id];
        run(connection, &remove, &params, in_store(OPERATION, store)).await
    });
    let replace = format!(
        "INSERT INTO {schema}.properties (store, object_type, object_id, body)
         SELECT $1, q.ot, q.oi, q.b FROM unnest($2::text[], $3::text[], $4::text[]) AS q (ot, oi, b)
         ON CONFLICT (store, object_type, object_id) DO UPDATE SET body = excluded.body WHERE properties.body <> excluded.body"
    );
    let replace_params: [&(dyn ToSql + Sync); 4] = [&id, &types, &ids, &bodies];
    let (required, removed, replaced) = join3(
        require(connection, schema, store),
        try_join_all(removed),
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
