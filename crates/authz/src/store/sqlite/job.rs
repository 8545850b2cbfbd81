//! What each kind of write does inside its part of a group's transaction.
//!
//! Every function here may fail in the middle: its savepoint is rolled back then, so that nothing of it stays.

use cache_core::Revision;
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;
use diesel::upsert::excluded;

use super::super::{
    Committed, InvalidationScope, ModelId, OnConflict, StoreError, StoreId, StoreRecord, UnixMillis, WriteBatch,
    WriteConflict,
};
use super::failure::running;
use super::log::head;
use super::queries::{model_exists, point, store_exists};
use super::row::{IdText, NONE, TupleColumns, signed};
use super::schema::{assertions, changes, meta, models, properties, stores, tuples};
use crate::relation::{Object, Presence, Relationship, Tuple};

/// What a job needs of the group that it is part of.
pub(super) struct Work<'a> {
    /// The writing connection, inside of the job's savepoint.
    pub(super) connection: &'a mut SqliteConnection,
    /// The time of the group.
    pub(super) now: UnixMillis,
}

/// Deletes, then writes. The texts are those of the values of each write's condition.
pub(super) fn write(
    work: &mut Work<'_>,
    store: StoreId,
    batch: &WriteBatch,
    contexts: &[String],
) -> Result<Committed, StoreError> {
    let Work { connection, now } = work;
    let id = IdText::of(store.0);
    require(connection, store, &id)?;
    let before = begin(connection)?;
    for tuple in &batch.deletes {
        let removed =
            delete(connection, id.as_str(), tuple).map_err(|error| running("deleting a relationship", &error))?;
        if removed == 0 && batch.on_missing == OnConflict::Error {
            return Err(WriteConflict::Missing(tuple.clone()).into());
        }
    }
    if !batch.deletes.is_empty() {
        // The trigger takes SQLite's own time, as it must for a shell. These rows have the time that is told here.
        date(connection, before, *now)?;
    }
    for (write, context) in batch.writes.iter().zip(contexts) {
        let added = insert(connection, id.as_str(), write, context, *now)
            .map_err(|error| running("writing a relationship", &error))?;
        if added == 0 {
            found_there(connection, id.as_str(), write, batch.on_duplicate)?;
        }
    }
    committed(connection)
}

/// A tuple to write is there already: whether that is no matter.
fn found_there(
    connection: &mut SqliteConnection,
    store: &str,
    write: &Relationship,
    on_duplicate: OnConflict,
) -> Result<(), StoreError> {
    if on_duplicate == OnConflict::Error {
        return Err(WriteConflict::Duplicate(write.tuple.clone()).into());
    }
    let failed = |error: diesel::result::Error| running("comparing a relationship with the one that is stored", &error);
    let found = point(connection, store, &write.tuple).map_err(failed)?;
    let same = match (&found, &write.condition) {
        (Presence::Present, None) => true,
        (Presence::Conditional(stored), Some(given)) => stored == given,
        _ => false,
    };
    if same { Ok(()) } else { Err(WriteConflict::Differs(write.tuple.clone()).into()) }
}

/// Dates the rows that this transaction has added. The log refuses every other update, and so the flag is raised for this one.
fn date(connection: &mut SqliteConnection, before: Revision, now: UnixMillis) -> Result<(), StoreError> {
    let done = (|| {
        diesel::update(meta::table).set(meta::loading.eq(1)).execute(connection)?;
        diesel::update(changes::table.filter(changes::revision.gt(signed(before.get()))))
            .set(changes::at.eq(signed(now)))
            .execute(connection)?;
        diesel::update(meta::table).set(meta::loading.eq(0)).execute(connection)
    })();
    done.map(|_| ()).map_err(|error| running("dating changes", &error))
}

/// The newest revision before a job has done anything.
fn begin(connection: &mut SqliteConnection) -> Result<Revision, StoreError> {
    head(connection).map_err(|error| running("reading the log", &error))
}

pub(super) fn create_store(
    work: &mut Work<'_>,
    id: StoreId,
    name: &str,
) -> Result<(StoreRecord, Committed), StoreError> {
    let text = IdText::of(id.0);
    let before = begin(work.connection)?;
    let added = diesel::insert_into(stores::table)
        .values((stores::id.eq(text.as_str()), stores::name.eq(name), stores::created_at.eq(signed(work.now))))
        .on_conflict_do_nothing()
        .execute(work.connection)
        .map_err(|error| running("creating a store", &error))?;
    if added == 0 {
        return Err(WriteConflict::StoreExists(id).into());
    }
    date(work.connection, before, work.now)?;
    let record = StoreRecord { id, name: name.to_owned(), created_at: work.now };
    Ok((record, committed(work.connection)?))
}

pub(super) fn delete_store(work: &mut Work<'_>, id: StoreId) -> Result<Option<Committed>, StoreError> {
    let text = IdText::of(id.0);
    let before = begin(work.connection)?;
    let removed = diesel::delete(stores::table.find(text.as_str()))
        .execute(work.connection)
        .map_err(|error| running("deleting a store", &error))?;
    if removed == 0 {
        return Ok(None);
    }
    date(work.connection, before, work.now)?;
    committed(work.connection).map(Some)
}

pub(super) fn write_model(
    work: &mut Work<'_>,
    store: StoreId,
    id: ModelId,
    body: &str,
) -> Result<Committed, StoreError> {
    let (store_text, text) = (IdText::of(store.0), IdText::of(id.0));
    require(work.connection, store, &store_text)?;
    let failed = |error: diesel::result::Error| running("writing a model", &error);
    if model_exists(work.connection, store_text.as_str(), text.as_str()).map_err(failed)? {
        return Err(WriteConflict::ModelExists(id).into());
    }
    let before = begin(work.connection)?;
    diesel::insert_into(models::table)
        .values((models::store.eq(store_text.as_str()), models::id.eq(text.as_str()), models::body.eq(body)))
        .execute(work.connection)
        .map_err(failed)?;
    date(work.connection, before, work.now)?;
    committed(work.connection)
}

/// In place of those that were there.
pub(super) fn write_assertions(
    work: &mut Work<'_>,
    store: StoreId,
    model: ModelId,
    body: &str,
) -> Result<(), StoreError> {
    let (store_text, text) = (IdText::of(store.0), IdText::of(model.0));
    require(work.connection, store, &store_text)?;
    let failed = |error: diesel::result::Error| running("writing assertions", &error);
    if !model_exists(work.connection, store_text.as_str(), text.as_str()).map_err(failed)? {
        return Err(StoreError::UnknownModel(model));
    }
    diesel::insert_into(assertions::table)
        .values((
            assertions::store.eq(store_text.as_str()),
            assertions::model.eq(text.as_str()),
            assertions::body.eq(body),
        ))
        .on_conflict((assertions::store, assertions::model))
        .do_update()
        .set(assertions::body.eq(excluded(assertions::body)))
        .execute(work.connection)
        .map_err(failed)?;
    Ok(())
}

/// Replaces the properties of objects; an empty text removes them. What is there already is not written again, and so not logged.
pub(super) fn write_properties(
    work: &mut Work<'_>,
    store: StoreId,
    given: &[(Object, String)],
) -> Result<Committed, StoreError> {
    let id = IdText::of(store.0);
    require(work.connection, store, &id)?;
    let before = begin(work.connection)?;
    for (object, body) in given {
        replace_properties(work.connection, (id.as_str(), &object.type_name, &object.id), body)
            .map_err(|error| running("writing properties", &error))?;
    }
    date(work.connection, before, work.now)?;
    committed(work.connection)
}

fn replace_properties(connection: &mut SqliteConnection, key: (&str, &str, &str), body: &str) -> QueryResult<()> {
    let row = properties::table.find(key);
    let stored = row.select(properties::body).first::<String>(connection).optional()?;
    if stored.as_deref().unwrap_or(NONE) == body {
        return Ok(());
    }
    if body == NONE {
        diesel::delete(row).execute(connection)?;
    } else if stored.is_some() {
        diesel::update(row).set(properties::body.eq(body)).execute(connection)?;
    } else {
        diesel::insert_into(properties::table)
            .values((
                properties::store.eq(key.0),
                properties::object_type.eq(key.1),
                properties::object_id.eq(key.2),
                properties::body.eq(body),
            ))
            .execute(connection)?;
    }
    Ok(())
}

pub(super) fn append(work: &mut Work<'_>, scope: &InvalidationScope) -> Result<Committed, StoreError> {
    let json = serde_json::to_string(scope).map_err(|error| StoreError::Unavailable {
        operation: "writing an invalidation",
        cause: error.to_string().into(),
        remedy: "report this as a bug",
    })?;
    diesel::insert_into(changes::table)
        .values((changes::kind.eq("invalidated"), changes::scope.eq(json), changes::at.eq(signed(work.now))))
        .execute(work.connection)
        .map_err(|error| running("writing an invalidation", &error))?;
    committed(work.connection)
}

/// Adds a part of a bulk load, and one row that stands for all of it. Returns how many relationships were new.
pub(super) fn load(
    work: &mut Work<'_>,
    store: StoreId,
    part: &[Relationship],
    contexts: &[String],
) -> Result<(usize, Committed), StoreError> {
    let id = IdText::of(store.0);
    require(work.connection, store, &id)?;
    let mut added = 0;
    let done = (|| {
        diesel::update(meta::table).set(meta::loading.eq(1)).execute(work.connection)?;
        for (relationship, context) in part.iter().zip(contexts) {
            added += insert(work.connection, id.as_str(), relationship, context, work.now)?;
        }
        diesel::update(meta::table).set(meta::loading.eq(0)).execute(work.connection)?;
        diesel::insert_into(changes::table)
            .values((changes::kind.eq("replaced"), changes::store.eq(id.as_str()), changes::at.eq(signed(work.now))))
            .execute(work.connection)
    })();
    done.map_err(|error| running("loading relationships", &error))?;
    Ok((added, committed(work.connection)?))
}

/// Writes a page that says the same as before: whether the file can be written at all.
pub(super) fn probe(work: &mut Work<'_>) -> Result<(), StoreError> {
    diesel::update(meta::table)
        .set(meta::loading.eq(meta::loading))
        .execute(work.connection)
        .map_err(|error| running("writing", &error))?;
    Ok(())
}

fn insert(
    connection: &mut SqliteConnection,
    store: &str,
    relationship: &Relationship,
    context: &str,
    now: UnixMillis,
) -> QueryResult<usize> {
    let row = TupleColumns::of(store, &relationship.tuple);
    let condition = relationship.condition.as_ref().map_or(NONE, |condition| &condition.name);
    // Pairs and not a derived `Insertable`: their statement has a static identity, so it is not written anew for each row.
    diesel::insert_into(tuples::table)
        .values((
            tuples::store.eq(row.store),
            tuples::object_type.eq(row.object_type),
            tuples::object_id.eq(row.object_id),
            tuples::relation.eq(row.relation),
            tuples::subject_type.eq(row.subject_type),
            tuples::subject_relation.eq(row.subject_relation),
            tuples::subject_id.eq(row.subject_id),
            tuples::written_at.eq(signed(now)),
            tuples::condition.eq(condition),
            tuples::condition_context.eq(context),
        ))
        .on_conflict_do_nothing()
        .execute(connection)
}

fn delete(connection: &mut SqliteConnection, store: &str, tuple: &Tuple) -> QueryResult<usize> {
    let key = TupleColumns::of(store, tuple);
    let found = tuples::table.find((
        key.store,
        key.object_type,
        key.object_id,
        key.relation,
        key.subject_type,
        key.subject_relation,
        key.subject_id,
    ));
    diesel::delete(found).execute(connection)
}

fn require(connection: &mut SqliteConnection, store: StoreId, id: &IdText) -> Result<(), StoreError> {
    match store_exists(connection, id.as_str()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(StoreError::UnknownStore(store)),
        Err(error) => Err(running("looking up a store", &error)),
    }
}

/// The newest revision inside of the transaction. Where a batch had nothing to do, that is a revision which its state contains.
fn committed(connection: &mut SqliteConnection) -> Result<Committed, StoreError> {
    let revision: Revision = head(connection).map_err(|error| running("reading the log", &error))?;
    Ok(Committed { revision })
}
