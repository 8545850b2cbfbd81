//! The states of an origin in memory. Each is immutable once somebody holds it: a write copies what is shared.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::{
    ChangeFilter, MAX_ENUMERATED, MAX_REVERSE, ModelId, StoreId, StoreRecord, TupleAnswer, TupleChange, TupleFilter,
    TupleRead, UnixMillis,
};
use crate::condition::Context;
use crate::relation::{Member, Object, Presence, RelationshipCondition, Subject, SubjectKind, Text, Tuple};

/// All stores.
#[derive(Clone, Default)]
pub(super) struct World {
    pub(super) stores: BTreeMap<StoreId, Arc<Content>>,
}

/// One store with all that it holds.
#[derive(Clone)]
pub(super) struct Content {
    pub(super) record: StoreRecord,
    pub(super) tuples: BTreeMap<Key, Row>,
    pub(super) properties: BTreeMap<Object, Context>,
    /// In the order of writing.
    pub(super) models: Vec<(ModelId, Arc<str>)>,
    pub(super) assertions: BTreeMap<ModelId, Arc<str>>,
}

/// What stands beside a tuple.
#[derive(Clone)]
pub(super) struct Row {
    pub(super) written_at: UnixMillis,
    pub(super) condition: Option<Arc<RelationshipCondition>>,
}

impl Content {
    pub(super) fn new(record: StoreRecord) -> Self {
        Self {
            record,
            tuples: BTreeMap::new(),
            properties: BTreeMap::new(),
            models: Vec::new(),
            assertions: BTreeMap::new(),
        }
    }

    pub(super) fn row(&self, tuple: &Tuple) -> Option<&Row> {
        self.tuples.get(&Key(tuple.clone()))
    }
}

impl World {
    /// Answers one question. A store that isn't there has no relationships.
    pub(super) fn answer(&self, store: StoreId, read: &TupleRead) -> TupleAnswer {
        let content = self.stores.get(&store);
        match read {
            TupleRead::Point(tuple) => TupleAnswer::Found(match content.and_then(|content| content.row(tuple)) {
                Some(row) => Presence::of(row.condition.clone()),
                None => Presence::Absent,
            }),
            TupleRead::Enumerate { object, relation, kind } => {
                content.map_or(TupleAnswer::Members(Vec::new()), |content| content.enumerate(object, relation, kind))
            }
            TupleRead::Reverse { subject, object_type, relation } => content
                .map_or(TupleAnswer::Members(Vec::new()), |content| content.reverse(subject, object_type, relation)),
            TupleRead::Properties(object) => TupleAnswer::Properties(
                content.and_then(|content| content.properties.get(object)).cloned().unwrap_or_default(),
            ),
        }
    }
}

impl Content {
    fn enumerate(&self, object: &Object, relation: &Text, kind: &SubjectKind) -> TupleAnswer {
        let nobody = Object { type_name: kind.type_name.clone(), id: Text::from("") };
        let subject = match &kind.relation {
            Some(relation) => Subject::Userset { object: nobody, relation: relation.clone() },
            None => Subject::Object(nobody),
        };
        let first = Key(Tuple { object: object.clone(), relation: relation.clone(), subject });
        let members: Vec<Member> = self
            .tuples
            .range(first..)
            .map(|(key, row)| (&key.0, row))
            .take_while(|(tuple, _)| {
                tuple.object == *object && tuple.relation == *relation && tuple.subject.kind() == *kind
            })
            .filter_map(|(tuple, row)| match &tuple.subject {
                Subject::Object(object) | Subject::Userset { object, .. } => {
                    Some(Member { id: object.id.clone(), condition: row.condition.clone() })
                }
                Subject::Wildcard { .. } => None,
            })
            .take(MAX_ENUMERATED + 1)
            .collect();
        if members.len() > MAX_ENUMERATED { TupleAnswer::TooMany } else { TupleAnswer::Members(members) }
    }

    /// Looks at every relationship of the type: this origin is small.
    fn reverse(&self, subject: &Subject, object_type: &Text, relation: &Text) -> TupleAnswer {
        let first = Key(Tuple {
            object: Object { type_name: object_type.clone(), id: Text::from("") },
            relation: Text::from(""),
            subject: Subject::Wildcard { type_name: Text::from("") },
        });
        let members: Vec<Member> = self
            .tuples
            .range(first..)
            .take_while(|(key, _)| key.0.object.type_name == *object_type)
            .filter(|(key, _)| key.0.relation == *relation && key.0.subject == *subject)
            .map(|(key, row)| Member { id: key.0.object.id.clone(), condition: row.condition.clone() })
            .take(MAX_REVERSE + 1)
            .collect();
        if members.len() > MAX_REVERSE { TupleAnswer::TooMany } else { TupleAnswer::Members(members) }
    }
}

impl ChangeFilter {
    /// Whether every field that is given matches.
    pub(super) fn matches(&self, change: &TupleChange) -> bool {
        self.object_type.as_ref().is_none_or(|wanted| *wanted == change.tuple.object.type_name)
            && self.since.is_none_or(|since| change.at >= since)
    }
}

impl TupleFilter {
    /// Whether every field that is given matches.
    pub(super) fn matches(&self, tuple: &Tuple) -> bool {
        let is = |wanted: &Option<Text>, found: &Text| wanted.as_ref().is_none_or(|wanted| wanted == found);
        is(&self.object_type, &tuple.object.type_name)
            && is(&self.object_id, &tuple.object.id)
            && is(&self.relation, &tuple.relation)
            && self.subject.as_ref().is_none_or(|subject| *subject == tuple.subject)
    }
}

/// A relationship in the order in which every origin lists them: by the columns of the key, byte for byte.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Key(pub(super) Tuple);

impl Key {
    fn columns(&self) -> (&str, &str, &str, &str, &str, &str) {
        let Tuple { object, relation, subject } = &self.0;
        let subject_relation = subject.relation().map_or("", |relation| relation);
        (&object.type_name, &object.id, relation, subject.type_name(), subject_relation, subject.id())
    }
}

impl Ord for Key {
    fn cmp(&self, other: &Self) -> Ordering {
        self.columns().cmp(&other.columns())
    }
}

impl PartialOrd for Key {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
