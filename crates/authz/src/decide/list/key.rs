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
    use serde_json::json;
    use ulid::Ulid;

    use super::super::super::RequestProperties;
    use super::super::super::types::{GENERATION_RIGHTS, USER_PERMISSIONS};
    use super::*;
    use crate::condition::Context;
    use crate::relation::Tuple;

    #[test]
    fn each_input_changes_the_key() {
        let keyer = Keyer::with_secret((1, 2));
        let subjects = ["user:ann", "user:bob", "user:ann#viewer", "user:*"].map(|text| Subject::parse(text).unwrap());
        let objects = ["doc:1", "doc:2"].map(|text| Object::parse(text).unwrap());
        let contextual = [Relationship::from(Tuple::parse("doc:1", "viewer", "user:ann").unwrap())];
        let context =
            |number: u8| Context::new([(Text::from("level"), json!(number)), (Text::from("other"), json!(number))]);
        let (contexts, properties) = ([context(1), context(2)], RequestProperties::default());
        let names = [Text::from("level")];
        let kind =
            |relation: Option<&str>| SubjectKind { type_name: "user".into(), relation: relation.map(Into::into) };
        let filters = [kind(None), kind(Some("viewer"))];
        let given = Given {
            context: &contexts[0],
            properties: &properties,
            subject: &subjects[0],
            action: "viewer",
            resource: &objects[0],
        };
        let base = ListKey {
            cache_type: GENERATION_RIGHTS,
            store: StoreId(Ulid(1)),
            model: ModelId(Ulid(2)),
            what: What::Objects { subject: &subjects[0], object_type: "doc" },
            relation: "viewer",
            contextual: &[],
            given,
            reads: &names,
        };
        let mut keys = vec![
            base,
            ListKey { cache_type: USER_PERMISSIONS, ..base },
            ListKey { store: StoreId(Ulid(3)), ..base },
            ListKey { model: ModelId(Ulid(3)), ..base },
            ListKey { relation: "editor", ..base },
            ListKey { contextual: &contextual, ..base },
            ListKey { given: Given { context: &contexts[1], ..given }, ..base },
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
        let mut digests: Vec<_> = keys.iter().map(|key| keyer.key(key).digest()).collect();
        digests.sort();
        digests.dedup();
        assert_eq!(digests.len(), keys.len());
        let unread = Context::new([(Text::from("level"), json!(1)), (Text::from("other"), json!(9))]);
        let same = ListKey { given: Given { context: &unread, ..given }, ..base };
        assert_eq!(keyer.key(&same).digest(), keyer.key(&base).digest(), "what no condition reads is no input");
    }
}
