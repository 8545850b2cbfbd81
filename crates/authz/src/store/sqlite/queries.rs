//! The reads that evaluations and writes make. Their SQL is fixed, so each connection prepares each of them once.

use diesel::dsl::exists;
use diesel::prelude::*;
use diesel::sqlite::SqliteConnection;

use super::super::{MAX_ENUMERATED, MAX_REVERSE, TupleAnswer, TupleRead};
use super::pages::one_more;
use super::row::{Conditions, NO_RELATION, TupleColumns, WILDCARD, properties_of};
use super::schema::{models, properties, stores, tuples};
use crate::condition::Context;
use crate::relation::{Member, Object, Presence, Subject, SubjectKind, Text, Tuple};

/// Answers one question.
pub(super) fn answer(connection: &mut SqliteConnection, store: &str, read: &TupleRead) -> QueryResult<TupleAnswer> {
    match read {
        TupleRead::Point(tuple) => point(connection, store, tuple).map(TupleAnswer::Found),
        TupleRead::Enumerate { object, relation, kind } => enumerate(connection, store, object, relation, kind),
        TupleRead::Reverse { subject, object_type, relation } => {
            reverse(connection, store, subject, object_type, relation)
        }
        TupleRead::Properties(object) => properties(connection, store, object).map(TupleAnswer::Properties),
    }
}

/// One look-up by primary key.
pub(super) fn point(connection: &mut SqliteConnection, store: &str, tuple: &Tuple) -> QueryResult<Presence> {
    let key = TupleColumns::of(store, tuple);
    let found = tuples::table
        .find((
            key.store,
            key.object_type,
            key.object_id,
            key.relation,
            key.subject_type,
            key.subject_relation,
            key.subject_id,
        ))
        .select((tuples::condition, tuples::condition_context))
        .first::<(String, String)>(connection)
        .optional()?;
    match found {
        Some((name, context)) => Ok(Presence::of(Conditions::default().read(&name, &context)?)),
        None => Ok(Presence::Absent),
    }
}

/// One range of the primary key, in its order.
fn enumerate(
    connection: &mut SqliteConnection,
    store: &str,
    object: &Object,
    relation: &str,
    kind: &SubjectKind,
) -> QueryResult<TupleAnswer> {
    let rows = tuples::table
        .filter(tuples::store.eq(store))
        .filter(tuples::object_type.eq(&*object.type_name))
        .filter(tuples::object_id.eq(&*object.id))
        .filter(tuples::relation.eq(relation))
        .filter(tuples::subject_type.eq(&*kind.type_name))
        .filter(tuples::subject_relation.eq(kind.relation.as_deref().unwrap_or(NO_RELATION)))
        .filter(tuples::subject_id.ne(WILDCARD))
        .select((tuples::subject_id, tuples::condition, tuples::condition_context))
        .order(tuples::subject_id)
        .limit(one_more(MAX_ENUMERATED))
        .load::<(String, String, String)>(connection)?;
    members(rows, MAX_ENUMERATED)
}

/// One range of the index by subject, in its order.
fn reverse(
    connection: &mut SqliteConnection,
    store: &str,
    subject: &Subject,
    object_type: &str,
    relation: &str,
) -> QueryResult<TupleAnswer> {
    let rows = tuples::table
        .filter(tuples::store.eq(store))
        .filter(tuples::subject_type.eq(&**subject.type_name()))
        .filter(tuples::subject_relation.eq(subject.relation().map_or(NO_RELATION, |relation| relation)))
        .filter(tuples::subject_id.eq(subject.id()))
        .filter(tuples::object_type.eq(object_type))
        .filter(tuples::relation.eq(relation))
        .select((tuples::object_id, tuples::condition, tuples::condition_context))
        .order(tuples::object_id)
        .limit(one_more(MAX_REVERSE))
        .load::<(String, String, String)>(connection)?;
    members(rows, MAX_REVERSE)
}

/// Refused, and not cut, beyond the bound.
fn members(rows: Vec<(String, String, String)>, most: usize) -> QueryResult<TupleAnswer> {
    if rows.len() > most {
        return Ok(TupleAnswer::TooMany);
    }
    let mut conditions = Conditions::default();
    let member = |(id, name, context): (String, String, String)| {
        Ok(Member { id: Text::from(id), condition: conditions.read(&name, &context)? })
    };
    rows.into_iter().map(member).collect::<QueryResult<_>>().map(TupleAnswer::Members)
}

fn properties(connection: &mut SqliteConnection, store: &str, object: &Object) -> QueryResult<Context> {
    let body = properties::table
        .find((store, &*object.type_name, &*object.id))
        .select(properties::body)
        .first::<String>(connection)
        .optional()?;
    Ok(body.as_deref().map_or(Ok(Context::default()), properties_of)?)
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

/// The body of a version of a model.
pub(super) fn model(connection: &mut SqliteConnection, store: &str, id: &str) -> QueryResult<Option<String>> {
    models::table
        .filter(models::store.eq(store))
        .filter(models::id.eq(id))
        .select(models::body)
        .first(connection)
        .optional()
}
