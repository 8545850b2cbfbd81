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

#[cfg(test)]
mod tests {
    use cache_core::Keyer;
    use ulid::Ulid;

    use super::super::super::inputs::{Givens, are_distinct, contextual};
    use super::super::super::types::{GENERATION_RIGHTS, USER_PERMISSIONS};
    use super::*;

    #[test]
    fn each_input_changes_the_key() {
        let subjects = ["user:ann", "user:bob", "user:ann#viewer", "user:*"].map(|text| Subject::parse(text).unwrap());
        let objects = ["doc:1", "doc:2"].map(|text| Object::parse(text).unwrap());
        let kind =
            |relation: Option<&str>| SubjectKind { type_name: "user".into(), relation: relation.map(Into::into) };
        let filters = [kind(None), kind(Some("viewer"))];
        let (givens, contextual) = (Givens::new(), contextual());
        let base = ListKey {
            cache_type: GENERATION_RIGHTS,
            store: StoreId(Ulid(1)),
            model: ModelId(Ulid(2)),
            what: What::Objects { subject: &subjects[0], object_type: "doc" },
            relation: "viewer",
            contextual: &[],
            given: givens.base(),
            reads: &givens.reads,
        };
        let mut keys = vec![
            base,
            ListKey { cache_type: USER_PERMISSIONS, ..base },
            ListKey { store: StoreId(Ulid(3)), ..base },
            ListKey { model: ModelId(Ulid(3)), ..base },
            ListKey { relation: "editor", ..base },
            ListKey { what: What::Objects { subject: &subjects[0], object_type: "file" }, ..base },
        ];
        keys.extend(
            subjects[1..].iter().map(|subject| ListKey { what: What::Objects { subject, object_type: "doc" }, ..base }),
        );
        for object in &objects {
            for filters in [&filters[..], &filters[..1], &filters[1..]] {
                keys.push(ListKey { what: What::Users { object, filters }, ..base });
            }
        }
        keys.extend(contextual.iter().map(|contextual| ListKey { contextual, ..base }));
        keys.extend(givens.others().into_iter().map(|given| ListKey { given, ..base }));
        are_distinct(&keys);
        let keyer = Keyer::with_secret((1, 2));
        let digest = |given| keyer.key(&ListKey { given, ..base }).digest();
        assert_eq!(digest(givens.same()), digest(givens.base()), "what no condition reads is no input");
    }
}
