//! The reads of an evaluation: whatever one level asks is one statement for each kind of question, and all of them one round trip.
//!
//! Each question is answered by a sub-select of its own (`LATERAL` with a limit), so that the planner can't but look each up in its index,
//! however much it thinks that there is.

use futures_util::future::try_join_all;
use pg_log::Exclusive;
use pg_log::tokio_postgres::{Row, Statement};

use super::super::columns::{Conditions, IdText, NO_RELATION, WILDCARD, model_id, properties_of};
use super::super::{MAX_ENUMERATED, MAX_REVERSE, ModelId, StoreError, StoreId, TupleAnswer, TupleRead};
use super::failure::{broken, connecting, failed};
use super::row::TupleArrays;
use crate::condition::Context;
use crate::relation::{Member, Presence, Text, Tuple};

pub(super) const OPERATION: &str = "reading relationships";

/// The kinds of questions about relationships, each a statement.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Point,
    Enumerate,
    Reverse,
    Properties,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Point, Self::Enumerate, Self::Reverse, Self::Properties];

    const fn of(read: &TupleRead) -> Self {
        match read {
            TupleRead::Point(_) => Self::Point,
            TupleRead::Enumerate { .. } => Self::Enumerate,
            TupleRead::Reverse { .. } => Self::Reverse,
            TupleRead::Properties(_) => Self::Properties,
        }
    }

    fn sql(self, schema: &str) -> String {
        match self {
            Self::Point => format!(
                "SELECT q.n, t.condition, t.condition_context
                 FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
                      WITH ORDINALITY AS q (ot, oi, r, st, sr, si, n)
                 CROSS JOIN LATERAL (
                     SELECT condition, condition_context FROM {schema}.tuples
                     WHERE store = $1 AND object_type = q.ot AND object_id = q.oi AND relation = q.r
                       AND subject_type = q.st AND subject_relation = q.sr AND subject_id = q.si LIMIT 1) t"
            ),
            Self::Enumerate => format!(
                "SELECT q.n, t.subject_id, t.condition, t.condition_context
                 FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
                      WITH ORDINALITY AS q (ot, oi, r, st, sr, n)
                 CROSS JOIN LATERAL (
                     SELECT subject_id, condition, condition_context FROM {schema}.tuples
                     WHERE store = $1 AND object_type = q.ot AND object_id = q.oi AND relation = q.r
                       AND subject_type = q.st AND subject_relation = q.sr AND subject_id <> '{WILDCARD}'
                     ORDER BY subject_id LIMIT {}) t",
                MAX_ENUMERATED + 1
            ),
            Self::Reverse => format!(
                "SELECT q.n, t.object_id, t.condition, t.condition_context
                 FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
                      WITH ORDINALITY AS q (st, sr, si, ot, r, n)
                 CROSS JOIN LATERAL (
                     SELECT object_id, condition, condition_context FROM {schema}.tuples
                     WHERE store = $1 AND subject_type = q.st AND subject_relation = q.sr AND subject_id = q.si
                       AND object_type = q.ot AND relation = q.r
                     ORDER BY object_id LIMIT {}) t",
                MAX_REVERSE + 1
            ),
            Self::Properties => format!(
                "SELECT q.n, t.body
                 FROM unnest($2::text[], $3::text[]) WITH ORDINALITY AS q (ot, oi, n)
                 CROSS JOIN LATERAL (
                     SELECT body FROM {schema}.properties
                     WHERE store = $1 AND object_type = q.ot AND object_id = q.oi LIMIT 1) t"
            ),
        }
    }
}

fn latest_sql(schema: &str) -> String {
    format!(
        "SELECT EXISTS (SELECT FROM {schema}.stores WHERE id = $1),
                (SELECT id FROM {schema}.models WHERE store = $1 ORDER BY sequence DESC LIMIT 1)"
    )
}

pub(super) fn model_sql(schema: &str) -> String {
    format!("SELECT body FROM {schema}.models WHERE store = $1 AND id = $2")
}

/// Prepares whatever an evaluation may ask, once for each connection, so that each asking is one round trip.
pub(super) async fn prepare(connection: &Exclusive, schema: &str) -> Result<(), StoreError> {
    let mut wanted: Vec<String> = Kind::ALL.iter().map(|kind| kind.sql(schema)).collect();
    wanted.extend([latest_sql(schema), model_sql(schema)]);
    let prepared = wanted.iter().map(|sql| connection.prepared(sql));
    try_join_all(prepared).await.map(drop).map_err(connecting(OPERATION))
}

/// The latest model of a store; the outer one is none where there is no such store.
pub(super) async fn latest_model(
    connection: &Exclusive,
    schema: &str,
    store: StoreId,
) -> Result<Option<Option<ModelId>>, StoreError> {
    let statement = connection.prepared(&latest_sql(schema)).await.map_err(connecting(OPERATION))?;
    let row = connection.query_one(&statement, &[&IdText::of(store.0).as_str()]).await;
    let row = row.map_err(failed("reading the latest model"))?;
    let exists: bool = row.get(0);
    let latest: Option<&str> = row.get(1);
    Ok(exists.then(|| latest.map(model_id)))
}

/// The text of a model.
pub(super) async fn model(
    connection: &Exclusive,
    schema: &str,
    store: StoreId,
    id: ModelId,
) -> Result<Option<String>, StoreError> {
    let statement = connection.prepared(&model_sql(schema)).await.map_err(connecting(OPERATION))?;
    let (store, id) = (IdText::of(store.0), IdText::of(id.0));
    let row = connection.query_opt(&statement, &[&store.as_str(), &id.as_str()]).await;
    Ok(row.map_err(failed("reading a model"))?.map(|row| row.get(0)))
}

/// What several ask of their stores: the answers for each, in their order. What can't be understood concerns whoever asked for it alone.
pub(super) async fn of_several(
    connection: &Exclusive,
    schema: &str,
    asked: Vec<(StoreId, Vec<TupleRead>)>,
) -> Result<Vec<Result<Vec<TupleAnswer>, StoreError>>, StoreError> {
    let mut stores: Vec<(StoreId, Vec<TupleRead>)> = Vec::new();
    // For each who asked: in which of the stores, and how many.
    let mut places = Vec::with_capacity(asked.len());
    for (store, reads) in asked {
        let at = stores.iter().position(|(known, _)| *known == store).unwrap_or(stores.len());
        places.push((at, reads.len()));
        match stores.get_mut(at) {
            Some((_, all)) => all.extend(reads),
            None => stores.push((store, reads)),
        }
    }
    let answers = stores.iter().map(|(store, reads)| answers(connection, schema, *store, reads));
    let mut answers: Vec<_> = try_join_all(answers).await?.into_iter().map(Vec::into_iter).collect();
    let mut own = |(at, count)| {
        // All of them, whatever is among them: the next one's answers come behind.
        let own: Vec<Answer> = Vec::from_iter(Iterator::take(&mut answers[at], count));
        own.into_iter().collect()
    };
    Ok(places.into_iter().map(&mut own).collect())
}

/// What is asked of one store, in one round trip where the statements are prepared.
pub(super) async fn relationships(
    connection: &Exclusive,
    schema: &str,
    store: StoreId,
    reads: &[TupleRead],
) -> Result<Vec<TupleAnswer>, StoreError> {
    answers(connection, schema, store, reads).await?.into_iter().collect()
}

type Answer = Result<TupleAnswer, StoreError>;

async fn answers(
    connection: &Exclusive,
    schema: &str,
    store: StoreId,
    reads: &[TupleRead],
) -> Result<Vec<Answer>, StoreError> {
    let mut answers: Vec<Answer> = reads.iter().map(|read| Ok(nothing(read))).collect();
    let id = IdText::of(store.0);
    let groups: Vec<(Kind, Vec<usize>)> = Kind::ALL
        .into_iter()
        .map(|kind| (kind, (0..reads.len()).filter(|at| Kind::of(&reads[*at]) == kind).collect()))
        .filter(|(_, places): &(Kind, Vec<usize>)| !places.is_empty())
        .collect();
    let asked = groups.iter().map(async |(kind, places)| {
        let statement = connection.prepared(&kind.sql(schema)).await.map_err(connecting(OPERATION))?;
        let rows = query(connection, &statement, id.as_str(), *kind, places.iter().map(|at| &reads[*at])).await?;
        Ok::<_, StoreError>((*kind, places, rows))
    });
    // Polled in their order, so that all are on their way before the first answer is waited for.
    for (kind, places, rows) in try_join_all(asked).await? {
        take(kind, places, &rows, &mut answers);
    }
    Ok(answers)
}

/// What is answered where there is no row.
fn nothing(read: &TupleRead) -> TupleAnswer {
    match read {
        TupleRead::Point(_) => TupleAnswer::Found(Presence::Absent),
        TupleRead::Enumerate { .. } | TupleRead::Reverse { .. } => TupleAnswer::Members(Vec::new()),
        TupleRead::Properties(_) => TupleAnswer::Properties(Context::default()),
    }
}

async fn query<'r>(
    connection: &Exclusive,
    statement: &Statement,
    store: &str,
    kind: Kind,
    reads: impl Iterator<Item = &'r TupleRead>,
) -> Result<Vec<Row>, StoreError> {
    let rows = match kind {
        Kind::Point => {
            let tuples: Vec<&Tuple> = reads
                .filter_map(|read| match read {
                    TupleRead::Point(tuple) => Some(tuple),
                    _ => None,
                })
                .collect();
            let arrays = TupleArrays::of(tuples);
            let [ot, oi, r, st, sr, si] = arrays.params();
            connection.query(statement, &[&store, ot, oi, r, st, sr, si]).await
        }
        Kind::Enumerate => {
            let mut columns: [Vec<&str>; 5] = Default::default();
            for read in reads {
                if let TupleRead::Enumerate { object, relation, kind } = read {
                    let of = kind.relation.as_deref().unwrap_or(NO_RELATION);
                    let values = [&*object.type_name, &*object.id, &**relation, &*kind.type_name, of];
                    columns.iter_mut().zip(values).for_each(|(column, value)| column.push(value));
                }
            }
            let [ot, oi, r, st, sr] = &columns;
            connection.query(statement, &[&store, ot, oi, r, st, sr]).await
        }
        Kind::Reverse => {
            let mut columns: [Vec<&str>; 5] = Default::default();
            for read in reads {
                if let TupleRead::Reverse { subject, object_type, relation } = read {
                    let of = subject.relation().map_or(NO_RELATION, |relation| relation);
                    let values = [&**subject.type_name(), of, subject.id(), &**object_type, &**relation];
                    columns.iter_mut().zip(values).for_each(|(column, value)| column.push(value));
                }
            }
            let [st, sr, si, ot, r] = &columns;
            connection.query(statement, &[&store, st, sr, si, ot, r]).await
        }
        Kind::Properties => {
            let (mut ot, mut oi): (Vec<&str>, Vec<&str>) = Default::default();
            for read in reads {
                if let TupleRead::Properties(object) = read {
                    ot.push(&object.type_name);
                    oi.push(&object.id);
                }
            }
            connection.query(statement, &[&store, &ot, &oi]).await
        }
    };
    rows.map_err(failed(OPERATION))
}

/// Puts rows into the answers that they belong to.
fn take(kind: Kind, places: &[usize], rows: &[Row], answers: &mut [Answer]) {
    let mut conditions = Conditions::default();
    for row in rows {
        let number: i64 = row.get(0);
        let Some(at) = usize::try_from(number - 1).ok().and_then(|number| places.get(number)) else { continue };
        let Ok(answer) = &mut answers[*at] else { continue };
        if let Err(error) = take_row(kind, row, &mut conditions, answer) {
            answers[*at] = Err(error);
        }
    }
    let most = if kind == Kind::Reverse { MAX_REVERSE } else { MAX_ENUMERATED };
    for at in places {
        if let Ok(TupleAnswer::Members(members)) = &mut answers[*at] {
            if members.len() > most {
                // Refused, and not cut.
                answers[*at] = Ok(TupleAnswer::TooMany);
            } else {
                members.sort_unstable_by(|one, other| one.id.cmp(&other.id));
            }
        }
    }
}

fn take_row(kind: Kind, row: &Row, conditions: &mut Conditions, answer: &mut TupleAnswer) -> Result<(), StoreError> {
    match (kind, answer) {
        (Kind::Point, answer) => {
            let condition = conditions.read(row.get(1), row.get(2)).map_err(broken(OPERATION))?;
            *answer = TupleAnswer::Found(Presence::of(condition));
        }
        (Kind::Enumerate | Kind::Reverse, TupleAnswer::Members(members)) => {
            let condition = conditions.read(row.get(2), row.get(3)).map_err(broken(OPERATION))?;
            members.push(Member { id: Text::from(row.get::<_, &str>(1)), condition });
        }
        (Kind::Properties, answer) => {
            *answer = TupleAnswer::Properties(properties_of(row.get(1)).map_err(broken(OPERATION))?);
        }
        (Kind::Enumerate | Kind::Reverse, _) => {}
    }
    Ok(())
}
