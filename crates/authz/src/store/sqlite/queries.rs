//! The reads that evaluations and writes make. Their SQL is fixed, so each connection prepares each of them once.

use diesel::dsl::exists;
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use super::super::{MAX_ENUMERATED, TupleAnswer, TupleRead};
use super::row::{NO_RELATION, TupleColumns, WILDCARD};
use super::schema::{models, stores, tuples};
use crate::relation::{Member, Object, Presence, SubjectKind, Tuple};

/// Answers one question.
pub(super) fn answer(connection: &mut SqliteConnection, store: &str, read: &TupleRead) -> QueryResult<TupleAnswer> {
    match read {
        TupleRead::Point(tuple) => {
            let found = point(connection, store, tuple)?;
            Ok(TupleAnswer::Found(if found { Presence::Present } else { Presence::Absent }))
        }
        TupleRead::Enumerate { object, relation, kind } => enumerate(connection, store, object, relation, kind),
        TupleRead::Reverse { .. } | TupleRead::Properties(_) => Err(diesel::result::Error::NotFound),
    }
}

/// One look-up by primary key.
fn point(connection: &mut SqliteConnection, store: &str, tuple: &Tuple) -> QueryResult<bool> {
    let key = TupleColumns::of(store, tuple);
    diesel::select(exists(tuples::table.find((
        key.store,
        key.object_type,
        key.object_id,
        key.relation,
        key.subject_type,
        key.subject_relation,
        key.subject_id,
    ))))
    .get_result(connection)
}

/// One range of the primary key, in its order.
fn enumerate(
    connection: &mut SqliteConnection,
    store: &str,
    object: &Object,
    relation: &str,
    kind: &SubjectKind,
) -> QueryResult<TupleAnswer> {
    let ids = tuples::table
        .filter(tuples::store.eq(store))
        .filter(tuples::object_type.eq(&*object.type_name))
        .filter(tuples::object_id.eq(&*object.id))
        .filter(tuples::relation.eq(relation))
        .filter(tuples::subject_type.eq(&*kind.type_name))
        .filter(tuples::subject_relation.eq(kind.relation.as_deref().unwrap_or(NO_RELATION)))
        .filter(tuples::subject_id.ne(WILDCARD))
        .select(tuples::subject_id)
        .order(tuples::subject_id)
        .limit(i64::try_from(MAX_ENUMERATED).unwrap_or(i64::MAX - 1) + 1)
        .load::<String>(connection)?;
    if ids.len() > MAX_ENUMERATED {
        return Ok(TupleAnswer::TooMany);
    }
    Ok(TupleAnswer::Members(ids.iter().map(|id| Member::from(id.as_str())).collect()))
}

pub(super) fn store_exists(connection: &mut SqliteConnection, store: &str) -> QueryResult<bool> {
    diesel::select(exists(stores::table.find(store))).get_result(connection)
}

pub(super) fn model_exists(connection: &mut SqliteConnection, store: &str, model: &str) -> QueryResult<bool> {
    diesel::select(exists(models::table.filter(models::store.eq(store)).filter(models::id.eq(model))))
        .get_result(connection)
}

/// The model that was written last, whatever the time in its id says.
pub(super) fn latest_model(connection: &mut SqliteConnection, store: &str) -> QueryResult<Option<String>> {
    models::table
        .filter(models::store.eq(store))
        .order(models::sequence.desc())
        .select(models::id)
        .first(connection)
        .optional()
}
