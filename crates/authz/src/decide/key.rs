//! Cache keys of authorization: every input of a decision, and nothing else.
//!
//! Both keys are destructured without `..`, so that an input that is added and not encoded does not compile.

use cache_core::{CacheKey, CacheType, KeyEncoder};

use crate::evaluate::tags::STORE_ENTITY;
use crate::relation::{Object, Relationship, Subject, SubjectKind, Tuple};
use crate::store::{ModelId, StoreId};

/// The key of a decision, of a whole one or of one that others are composed of.
#[derive(Clone, Copy, Debug)]
pub(super) struct DecisionKey<'a> {
    pub(super) cache_type: CacheType,
    pub(super) store: StoreId,
    pub(super) model: ModelId,
    pub(super) subject: &'a Subject,
    pub(super) relation: &'a str,
    pub(super) object: &'a Object,
    /// Relationships that hold for this question only, sorted, each once.
    pub(super) contextual: &'a [Relationship],
}

/// The key of what was read of relationships, the same for every subject and under every model.
#[derive(Clone, Copy, Debug)]
pub(super) enum ReadKey<'a> {
    /// The subjects of one kind.
    Usersets { store: StoreId, object: &'a Object, relation: &'a str, kind: &'a SubjectKind },
    /// Whether there is the wildcard of a type.
    Wildcard { store: StoreId, object: &'a Object, relation: &'a str, type_name: &'a str },
}

/// What distinguishes the keys from one another, as the first field.
pub(super) mod domain {
    pub(in super::super) const DECISION: u8 = 1;
    pub(in super::super) const USERSETS: u8 = 2;
    pub(in super::super) const WILDCARD: u8 = 3;
    pub(in super::super) const OBJECTS: u8 = 4;
    pub(in super::super) const USERS: u8 = 5;
}

impl CacheKey for DecisionKey<'_> {
    fn cache_type(&self) -> CacheType {
        self.cache_type
    }

    fn encode(&self, encoder: &mut KeyEncoder) {
        // The type itself is encoded by the caller.
        let Self { cache_type: _, store, model, subject, relation, object, contextual } = self;
        encoder.variant(domain::DECISION).u128(store.0.0).u128(model.0.0);
        encode_subject(encoder, subject);
        encoder.text(relation);
        encode_object(encoder, object);
        encoder.list(contextual.len());
        for Relationship { tuple, condition: _ } in *contextual {
            let Tuple { object, relation, subject } = tuple;
            encode_object(encoder, object);
            encoder.text(relation);
            encode_subject(encoder, subject);
        }
    }

    fn entities(&self, visit: &mut dyn FnMut(&str, &str)) {
        visit(&self.object.type_name, &self.object.id);
        if let Subject::Object(object) | Subject::Userset { object, .. } = self.subject {
            visit(&object.type_name, &object.id);
        }
        visit_store(self.store, visit);
    }
}

impl CacheKey for ReadKey<'_> {
    fn cache_type(&self) -> CacheType {
        match self {
            Self::Usersets { .. } => super::types::TEAM_ACCESS,
            Self::Wildcard { .. } => super::types::PROJECT_VISIBILITY,
        }
    }

    fn encode(&self, encoder: &mut KeyEncoder) {
        match self {
            Self::Usersets { store, object, relation, kind } => {
                let SubjectKind { type_name, relation: kind_relation } = kind;
                encoder.variant(domain::USERSETS).u128(store.0.0);
                encode_object(encoder, object);
                encoder.text(relation).text(type_name);
                match kind_relation {
                    Some(relation) => encoder.text(relation),
                    None => encoder.none(),
                };
            }
            Self::Wildcard { store, object, relation, type_name } => {
                encoder.variant(domain::WILDCARD).u128(store.0.0);
                encode_object(encoder, object);
                encoder.text(relation).text(type_name);
            }
        }
    }

    fn entities(&self, visit: &mut dyn FnMut(&str, &str)) {
        let (Self::Usersets { store, object, .. } | Self::Wildcard { store, object, .. }) = self;
        visit(&object.type_name, &object.id);
        visit_store(*store, visit);
    }
}

pub(super) fn encode_object(encoder: &mut KeyEncoder, object: &Object) {
    let Object { type_name, id } = object;
    encoder.text(type_name).text(id);
}

pub(super) fn encode_subject(encoder: &mut KeyEncoder, subject: &Subject) {
    match subject {
        Subject::Object(object) => encode_object(encoder.variant(1), object),
        Subject::Userset { object, relation } => {
            encode_object(encoder.variant(2), object);
            encoder.text(relation);
        }
        Subject::Wildcard { type_name } => {
            encoder.variant(3).text(type_name);
        }
    }
}

pub(super) fn visit_store(store: StoreId, visit: &mut dyn FnMut(&str, &str)) {
    let mut text = [0; ulid::ULID_LEN];
    visit(STORE_ENTITY, store.0.array_to_str(&mut text));
}

#[cfg(test)]
mod tests {
    use cache_core::Keyer;
    use ulid::Ulid;

    use super::super::types::{GENERATION_RIGHTS, USER_PERMISSIONS};
    use super::*;

    #[test]
    fn each_input_changes_the_key() {
        let keyer = Keyer::with_secret((1, 2));
        let (subject, object) = (Subject::parse("user:ann").unwrap(), Object::parse("doc:1").unwrap());
        let contextual = [Relationship::from(Tuple::parse("doc:1", "viewer", "user:ann").unwrap())];
        let base = DecisionKey {
            cache_type: GENERATION_RIGHTS,
            store: StoreId(Ulid(1)),
            model: ModelId(Ulid(2)),
            subject: &subject,
            relation: "viewer",
            object: &object,
            contextual: &[],
        };
        let subjects = ["user:bob", "group:ann", "user:ann#viewer", "user:*"].map(|text| Subject::parse(text).unwrap());
        let objects = ["doc:2", "file:1"].map(|text| Object::parse(text).unwrap());
        let mut keys = vec![
            base,
            DecisionKey { cache_type: USER_PERMISSIONS, ..base },
            DecisionKey { store: StoreId(Ulid(3)), ..base },
            DecisionKey { model: ModelId(Ulid(3)), ..base },
            DecisionKey { relation: "editor", ..base },
            DecisionKey { contextual: &contextual, ..base },
        ];
        keys.extend(subjects.iter().map(|subject| DecisionKey { subject, ..base }));
        keys.extend(objects.iter().map(|object| DecisionKey { object, ..base }));
        let mut digests: Vec<_> = keys.iter().map(|key| keyer.key(key).digest()).collect();
        digests.sort();
        digests.dedup();
        assert_eq!(digests.len(), keys.len());
    }
}
