//! Which subjects of one kind are in a relation to an object: the answers to enumerations.
//!
//! A row is what an enumeration reads, and its tag is that of the enumeration. That there is no row says that nobody is: every relationship
//! that is no wildcard is in some row.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use cache_core::{ReadSet, RowKey};
use serde::Deserialize;

use super::{Definition, MAX_ROW_SUBJECTS, TEAM_ACCESS, store_column, store_of};
use crate::decide::CachedValue;
use crate::evaluate::tags;
use crate::relation::{Member, Object, RelationshipCondition, SubjectKind, Text};
use crate::store::{StoreId, TupleRead, parse_context};

pub(super) fn definition(schema: &str) -> Definition {
    // Numbered, so that a team of a million costs no more than one of a thousand and one.
    let query = format!(
        "SELECT store, object_type, object_id, relation, subject_type, subject_relation, count(*) <= {MAX_ROW_SUBJECTS} AS answers,
        json_agg(CASE WHEN condition = '' THEN to_json(subject_id) ELSE json_build_array(subject_id, condition, condition_context) END
                 ORDER BY subject_id COLLATE \"C\") AS members
 FROM (SELECT *, row_number() OVER (PARTITION BY store, object_type, object_id, relation, subject_type, subject_relation
                                    ORDER BY subject_id) AS number
       FROM {schema}.tuples WHERE subject_id <> '*') numbered
 WHERE number <= {MAX_ROW_SUBJECTS} + 1
 GROUP BY store, object_type, object_id, relation, subject_type, subject_relation"
    );
    Definition {
        name: TEAM_ACCESS,
        query,
        keys: &["store", "object_type", "object_id", "relation", "subject_type", "subject_relation"],
        value: "CASE WHEN answers THEN members END",
        columns: &[],
        every: Duration::from_secs(60),
        limit: Duration::from_secs(120),
    }
}

/// The row of an enumeration.
pub(crate) fn row_key(store: StoreId, object: &Object, relation: &str, kind: &SubjectKind) -> RowKey {
    let SubjectKind { type_name, relation: userset } = kind;
    let columns = [&object.type_name, &object.id, relation, type_name, userset.as_deref().unwrap_or_default()];
    RowKey {
        view: TEAM_ACCESS,
        columns: std::iter::once(store_column(store)).chain(columns.into_iter().map(Into::into)).collect(),
        asked: Default::default(),
    }
}

/// A member as the view has it.
#[derive(Deserialize)]
#[serde(untagged)]
enum Listed<'r> {
    Always(#[serde(borrow)] Cow<'r, str>),
    Conditional(#[serde(borrow)] Cow<'r, str>, String, String),
}

pub(super) fn from_row(key: &RowKey, row: Option<&str>) -> Option<(CachedValue, ReadSet)> {
    let [store, object_type, object_id, relation, subject_type, subject_relation] = key.columns.as_slice() else {
        return None;
    };
    let listed: Vec<Listed<'_>> = row.map_or(Some(Vec::new()), |row| serde_json::from_str(row).ok())?;
    let members: Option<Vec<Member>> = listed.into_iter().map(Listed::member).collect();
    let members = members.filter(|members| members.len() <= MAX_ROW_SUBJECTS)?;
    let relation_of_kind = (!subject_relation.is_empty()).then(|| Text::from(&**subject_relation));
    let read = TupleRead::Enumerate {
        object: Object { type_name: Text::from(&**object_type), id: Text::from(&**object_id) },
        relation: Text::from(&**relation),
        kind: SubjectKind { type_name: Text::from(&**subject_type), relation: relation_of_kind },
    };
    let tag = tags::of_read(store_of(store)?, &read);
    Some((CachedValue::Subjects(Arc::new(members)), [tag].into_iter().collect()))
}

impl Listed<'_> {
    /// None where its condition can't be read: without it, the relationship would count always.
    fn member(self) -> Option<Member> {
        Some(match self {
            Self::Always(id) => Member { id: Text::from(id), condition: None },
            Self::Conditional(id, name, context) => {
                Member { id: Text::from(id), condition: Some(condition(&name, &context)?) }
            }
        })
    }
}

/// The condition of two columns.
pub(super) fn condition(name: &str, context: &str) -> Option<Arc<RelationshipCondition>> {
    let context = parse_context(context).ok()?;
    (!name.is_empty()).then(|| Arc::new(RelationshipCondition { name: Text::from(name), context }))
}
