//! The states of an origin in memory. Each is immutable once somebody holds it: a write copies what is shared.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::{MAX_ENUMERATED, ModelId, StoreId, StoreRecord, TupleAnswer, TupleFilter, TupleRead, UnixMillis};
use crate::relation::{Object, Subject, SubjectKind, Text, Tuple};

/// All stores.
#[derive(Clone, Default)]
pub(super) struct World {
    pub(super) stores: BTreeMap<StoreId, Arc<Content>>,
}

/// One store with all that it holds.
#[derive(Clone)]
pub(super) struct Content {
    pub(super) record: StoreRecord,
    pub(super) tuples: BTreeMap<Key, UnixMillis>,
    /// In the order of writing.
    pub(super) models: Vec<(ModelId, Arc<str>)>,
}

impl Content {
    pub(super) fn new(record: StoreRecord) -> Self {
        Self { record, tuples: BTreeMap::new(), models: Vec::new() }
    }

    pub(super) fn has(&self, tuple: &Tuple) -> bool {
        self.tuples.contains_key(&Key(tuple.clone()))
    }
}

impl World {
    /// Answers one question. A store that isn't there has no relationships.
    pub(super) fn answer(&self, store: StoreId, read: &TupleRead) -> TupleAnswer {
        let content = self.stores.get(&store);
        match read {
            TupleRead::Point(tuple) => TupleAnswer::Found(content.is_some_and(|content| content.has(tuple))),
            TupleRead::Enumerate { object, relation, kind } => {
                content.map_or(TupleAnswer::Ids(Vec::new()), |content| content.enumerate(object, relation, kind))
            }
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
        let ids: Vec<Text> = self
            .tuples
            .range(first..)
            .map(|(key, _)| &key.0)
            .take_while(|tuple| tuple.object == *object && tuple.relation == *relation && tuple.subject.kind() == *kind)
            .filter_map(|tuple| match &tuple.subject {
                Subject::Object(object) | Subject::Userset { object, .. } => Some(object.id.clone()),
                Subject::Wildcard { .. } => None,
            })
            .take(MAX_ENUMERATED + 1)
            .collect();
        if ids.len() > MAX_ENUMERATED { TupleAnswer::TooMany } else { TupleAnswer::Ids(ids) }
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
