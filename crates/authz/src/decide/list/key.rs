//! The key of a list: every input, and nothing else.

use cache_core::{CacheKey, CacheType, KeyEncoder};

use super::super::circumstances::Given;
use super::super::key::{domain, encode_contextual, encode_given, encode_object, encode_subject, visit_store};
use crate::relation::{Object, Relationship, Subject, SubjectKind, Text};
use crate::store::{ModelId, StoreId};

/// The key of a list. Destructured without `..`, so that an input that is added and not encoded does not compile.
#[derive(Clone, Copy, Debug)]
pub(super) struct ListKey<'a> {
    pub(super) cache_type: CacheType,
    pub(super) store: StoreId,
    pub(super) model: ModelId,
    pub(super) what: What<'a>,
    pub(super) relation: &'a str,
    /// Relationships that hold for this question only, sorted, each once.
    pub(super) contextual: &'a [Relationship],
    /// What the question brings for conditions.
    pub(super) given: Given<'a>,
    /// The names of what conditions can read on the way: nothing else that was given is an input.
    pub(super) reads: &'a [Text],
}

/// What is listed.
#[derive(Clone, Copy, Debug)]
pub(super) enum What<'a> {
    /// The objects of a type that a subject is in the relation to.
    Objects { subject: &'a Subject, object_type: &'a str },
    /// The subjects of some kinds, sorted, each once, that are in the relation to an object.
    Users { object: &'a Object, filters: &'a [SubjectKind] },
}

impl CacheKey for ListKey<'_> {
    fn cache_type(&self) -> CacheType {
        self.cache_type
    }

    fn encode(&self, encoder: &mut KeyEncoder) {
        // The type itself is encoded by the caller.
        let Self { cache_type: _, store, model, what, relation, contextual, given, reads } = self;
        match what {
            What::Objects { subject, object_type } => {
                encode_subject(encoder.variant(domain::OBJECTS), subject);
                encoder.text(object_type);
            }
            What::Users { object, filters } => {
                encode_object(encoder.variant(domain::USERS), object);
                encoder.list(filters.len());
                for SubjectKind { type_name, relation } in *filters {
                    encoder.text(type_name);
                    match relation {
                        Some(relation) => encoder.text(relation),
                        None => encoder.none(),
                    };
                }
            }
        }
        encoder.u128(store.0.0).u128(model.0.0).text(relation);
        encode_contextual(encoder, contextual);
        encode_given(encoder, given, reads);
    }

    fn entities(&self, visit: &mut dyn FnMut(&str, &str)) {
        match self.what {
            What::Objects { subject: Subject::Object(object) | Subject::Userset { object, .. }, .. }
            | What::Users { object, .. } => visit(&object.type_name, &object.id),
            What::Objects { subject: Subject::Wildcard { .. }, .. } => {}
        }
        visit_store(self.store, visit);
    }
}
