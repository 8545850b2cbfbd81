//! What a subject belongs to: decisions about teams, groups and roles whose relations are written and nothing else.
//!
//! **A row** holds the relationships that lead from a subject upwards: those that name it, those that name the usersets which it comes into
//! by these, and so on. Which of them count is for the model to say, and the key brings what the model says ([`Rules`]). So one row answers under
//! every version of a model.
//!
//! **Where a row does not answer:** a condition was met on the way, the nesting goes deeper than [`MAX_NESTING`] (a circle always does), or there are
//! too many relationships. That there is no row says that nothing names the subject.
//!
//! **Tags.** An allow rests on the relationships of one way, and carries their points. A deny rests on there being no way out of what was reached: it
//! carries, for the subject and each userset that was reached, the reverse tag of every relation into which the model lets it be written.
//! Both carry [`tags::coarse`] in place of the entities on the way, and the latest model's tag: the view leaves out types that no model in it uses as
//! teams, so that a model which came later must not ask it.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use cache_core::{ReadSet, RowKey};

use super::{AUTHORIZATION_CONTEXT, Definition, MAX_NESTING, MAX_ROW_EDGES, store_column, store_of};
use crate::decide::CachedValue;
use crate::evaluate::{Account, Limits, Rules, tags};
use crate::relation::{Object, Subject, Text, Tuple};
use crate::store::{StoreId, TupleRead};

/// Nested usersets are followed first and by themselves, because there are few of them; what everybody belongs to is then a join, which can
/// go through files where a recursion must fit into memory.
pub(super) fn definition(schema: &str) -> Definition {
    let query = format!(
        "WITH RECURSIVE teams AS (
    SELECT DISTINCT m.store, u.value ->> 'type' AS object_type
    FROM {schema}.models m,
         json_array_elements(m.body::json -> 'type_definitions') t,
         json_each(CASE json_typeof(t.value #> '{{metadata,relations}}') WHEN 'object' THEN t.value #> '{{metadata,relations}}' END) r,
         json_array_elements(CASE json_typeof(r.value -> 'directly_related_user_types')
                             WHEN 'array' THEN r.value -> 'directly_related_user_types' END) u
    WHERE u.value ->> 'relation' <> ''
 ), written AS (
    SELECT t.store, t.subject_type, t.subject_id, t.subject_relation, t.object_type, t.object_id, t.relation,
           t.condition <> '' AS is_conditional
    FROM {schema}.tuples t JOIN teams ON teams.store = t.store AND teams.object_type = t.object_type
    WHERE t.subject_id <> '*'
 ), above AS (
    SELECT store, subject_type AS start_type, subject_id AS start_id, subject_relation AS start_relation, 1 AS depth,
           subject_type, subject_id, subject_relation, object_type, object_id, relation, is_conditional
    FROM written WHERE subject_relation <> ''
    UNION
    SELECT a.store, a.start_type, a.start_id, a.start_relation, a.depth + 1,
           w.subject_type, w.subject_id, w.subject_relation, w.object_type, w.object_id, w.relation, w.is_conditional
    FROM above a
    JOIN written w ON w.store = a.store AND w.subject_type = a.object_type AND w.subject_id = a.object_id
                  AND w.subject_relation = a.relation
    WHERE a.depth < {MAX_NESTING}
 ), direct AS (
    SELECT * FROM written WHERE subject_relation = ''
 ), steps AS (
    SELECT store, subject_type AS start_type, subject_id AS start_id, 0 AS depth,
           subject_type, subject_id, subject_relation, object_type, object_id, relation, is_conditional
    FROM direct
    UNION ALL
    SELECT d.store, d.subject_type, d.subject_id, a.depth,
           a.subject_type, a.subject_id, a.subject_relation, a.object_type, a.object_id, a.relation, a.is_conditional
    FROM direct d
    JOIN above a ON a.store = d.store AND a.start_type = d.object_type AND a.start_id = d.object_id
                AND a.start_relation = d.relation
 ), edges AS (
    SELECT store, start_type, start_id, max(depth) AS depth, bool_or(is_conditional) AS is_conditional,
           subject_type, subject_id, subject_relation, object_type, object_id, relation,
           row_number() OVER (PARTITION BY store, start_type, start_id) AS number
    FROM steps
    GROUP BY store, start_type, start_id, subject_type, subject_id, subject_relation, object_type, object_id, relation
 )
 SELECT store, start_type AS subject_type, start_id AS subject_id,
        count(*) <= {MAX_ROW_EDGES} AND max(depth) < {MAX_NESTING} AND NOT bool_or(is_conditional) AS answers,
        json_agg(json_build_array(subject_type, subject_id, subject_relation, object_type, object_id, relation)) AS edges
 FROM edges WHERE number <= {MAX_ROW_EDGES} + 1
 GROUP BY store, start_type, start_id"
    );
    Definition {
        name: AUTHORIZATION_CONTEXT,
        query,
        keys: &["store", "subject_type", "subject_id"],
        value: "CASE WHEN answers THEN edges END",
        columns: &[],
        every: Duration::from_secs(60),
        limit: Duration::from_secs(120),
    }
}

/// The row of a subject, with the question: whether it is in `relation` to `object`, by the steps of `rules`.
pub(crate) fn row_key(store: StoreId, subject: &Object, relation: &str, object: &Object, rules: &str) -> RowKey {
    RowKey {
        view: AUTHORIZATION_CONTEXT,
        columns: [store_column(store), (&*subject.type_name).into(), (&*subject.id).into()].into_iter().collect(),
        asked: [object.to_string().into(), relation.into(), rules.into()].into_iter().collect(),
    }
}

/// What is reached: the subject itself, and usersets.
struct Reached {
    subject: Subject,
    /// The relationship by which it was reached, and from where; none for the subject itself.
    by: Option<(usize, Tuple)>,
}

pub(super) fn from_row(key: &RowKey, row: Option<&str>) -> Option<(CachedValue, ReadSet)> {
    let ([store, subject_type, subject_id], [object, relation, rules]) = (key.columns.as_slice(), key.asked.as_slice())
    else {
        return None;
    };
    let store = store_of(store)?;
    let start = Subject::Object(Object { type_name: Text::from(&**subject_type), id: Text::from(&**subject_id) });
    let (object_type, object_id) = object.split_once(':')?;
    let wanted = Subject::Userset {
        object: Object { type_name: Text::from(object_type), id: Text::from(object_id) },
        relation: Text::from(&**relation),
    };
    let rules = Rules::parse(rules)?;
    let edges: Vec<[String; 6]> = row.map_or(Some(Vec::new()), |row| serde_json::from_str(row).ok())?;
    let reached = reach(start, &edges, &rules);

    let mut account = Account::new(store, Limits::default().max_read_set);
    let way = reached.iter().position(|reached| reached.subject == wanted);
    match way {
        Some(mut at) => {
            while let Some((from, tuple)) = &reached[at].by {
                account.read(&TupleRead::Point(tuple.clone()));
                at = *from;
            }
        }
        None => {
            for Reached { subject, .. } in &reached {
                for (object_type, relation) in rules.open_to(subject) {
                    account.read(&TupleRead::Reverse {
                        subject: subject.clone(),
                        object_type: object_type.clone(),
                        relation: relation.clone(),
                    });
                }
            }
        }
    }
    let mut read_set = account.read_set();
    read_set.extend([tags::coarse(), tags::latest_model(store)]);
    Some((CachedValue::Decision(way.is_some()), read_set))
}

/// Everything that the subject comes into by steps that the rules allow, itself first.
fn reach(start: Subject, edges: &[[String; 6]], rules: &Rules) -> Vec<Reached> {
    let mut from: HashMap<[&str; 3], Vec<&[String; 6]>> = HashMap::new();
    for edge in edges {
        from.entry([&edge[0], &edge[1], &edge[2]]).or_default().push(edge);
    }
    let mut known: HashSet<[&str; 3]> = HashSet::new();
    let mut reached = vec![Reached { subject: start, by: None }];
    let mut at = 0;
    while at < reached.len() {
        let subject = reached[at].subject.clone();
        let name = [&**subject.type_name(), subject.id(), subject.relation().map_or("", |relation| relation)];
        for [.., object_type, object_id, relation] in from.get(&name).into_iter().flatten() {
            if rules.allows(object_type, relation, &subject) && known.insert([object_type, object_id, relation]) {
                let object = Object { type_name: Text::from(&**object_type), id: Text::from(&**object_id) };
                let relation = Text::from(&**relation);
                let tuple = Tuple { object: object.clone(), relation: relation.clone(), subject: subject.clone() };
                reached.push(Reached { subject: Subject::Userset { object, relation }, by: Some((at, tuple)) });
            }
        }
        at += 1;
    }
    reached
}
