//! Cache keys of authorization: every input of a decision, and nothing else.
//!
//! All keys are destructured without `..`, so that an input that is added and not encoded does not compile.

use cache_core::{CacheKey, CacheType, KeyEncoder, RowKey};
use serde_json::Value;

use super::RequestProperties;
use super::circumstances::{ACTION, Given, RESOURCE, SUBJECT};
use super::types::{USER_PERMISSIONS, of_read};
use crate::condition::Context;
use crate::evaluate::tags::STORE_ENTITY;
use crate::relation::{Object, Relationship, RelationshipCondition, Subject, SubjectKind, Text, Tuple};
use crate::store::{ModelId, StoreId, TupleRead};
use crate::views;

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
    /// What the question brings for conditions.
    pub(super) given: Given<'a>,
    /// The names of what conditions can read on the way: nothing else that was given is an input.
    pub(super) reads: &'a [Text],
    /// By which steps the model lets subjects into the relation, where these follow from relationships alone. Follows from the model.
    pub(super) direct: Option<&'a str>,
}

/// The key of what was read of relationships, the same for every subject and under every model.
#[derive(Clone, Copy, Debug)]
pub(super) struct ReadKey<'a> {
    cache_type: CacheType,
    store: StoreId,
    object: &'a Object,
    relation: &'a str,
    what: Shared<'a>,
}

/// What all subjects share.
#[derive(Clone, Copy, Debug)]
enum Shared<'a> {
    /// The subjects of one kind.
    Usersets(&'a SubjectKind),
    /// Whether there is the wildcard of a type.
    Wildcard(&'a str),
}

impl<'a> ReadKey<'a> {
    /// The key of the answer to a look-up; none for what only concerns one subject.
    pub(super) fn of(store: StoreId, read: &'a TupleRead) -> Option<Self> {
        let (object, relation, what) = match read {
            TupleRead::Enumerate { object, relation, kind } => (object, relation, Shared::Usersets(kind)),
            TupleRead::Point(Tuple { object, relation, subject: Subject::Wildcard { type_name } }) => {
                (object, relation, Shared::Wildcard(type_name))
            }
            TupleRead::Point(_) | TupleRead::Reverse { .. } | TupleRead::Properties(_) => return None,
        };
        Some(Self { cache_type: of_read(read)?, store, object, relation, what })
    }
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
        let Self { cache_type: _, store, model, subject, relation, object, contextual, given, reads, direct: _ } = self;
        encoder.variant(domain::DECISION).u128(store.0.0).u128(model.0.0);
        encode_subject(encoder, subject);
        encoder.text(relation);
        encode_object(encoder, object);
        encode_contextual(encoder, contextual);
        encode_given(encoder, given, reads);
    }

    fn entities(&self, visit: &mut dyn FnMut(&str, &str)) {
        visit(&self.object.type_name, &self.object.id);
        if let Subject::Object(object) | Subject::Userset { object, .. } = self.subject {
            visit(&object.type_name, &object.id);
        }
        visit_store(self.store, visit);
    }

    /// What a subject belongs to, where that follows from relationships that are stored, whatever the question brings.
    fn row(&self) -> Option<RowKey> {
        let Subject::Object(subject) = self.subject else { return None };
        let rules = self.direct.filter(|_| self.cache_type == USER_PERMISSIONS && self.contextual.is_empty())?;
        Some(views::context_row(self.store, subject, self.relation, self.object, rules))
    }
}

impl CacheKey for ReadKey<'_> {
    fn cache_type(&self) -> CacheType {
        self.cache_type
    }

    fn encode(&self, encoder: &mut KeyEncoder) {
        // The type itself is encoded by the caller.
        let Self { cache_type: _, store, object, relation, what } = self;
        let domain = match what {
            Shared::Usersets(_) => domain::USERSETS,
            Shared::Wildcard(_) => domain::WILDCARD,
        };
        encode_object(encoder.variant(domain).u128(store.0.0), object);
        encoder.text(relation);
        match what {
            Shared::Usersets(SubjectKind { type_name, relation }) => {
                encoder.text(type_name);
                match relation {
                    Some(relation) => encoder.text(relation),
                    None => encoder.none(),
                };
            }
            Shared::Wildcard(type_name) => {
                encoder.text(type_name);
            }
        }
    }

    fn entities(&self, visit: &mut dyn FnMut(&str, &str)) {
        visit(&self.object.type_name, &self.object.id);
        visit_store(self.store, visit);
    }

    fn row(&self) -> Option<RowKey> {
        let Self { cache_type: _, store, object, relation, what } = self;
        Some(match what {
            Shared::Usersets(kind) => views::subjects_row(*store, object, relation, kind),
            Shared::Wildcard(type_name) => views::wildcard_row(*store, object, relation, type_name),
        })
    }
}

/// Relationships that hold for one question.
pub(super) fn encode_contextual(encoder: &mut KeyEncoder, contextual: &[Relationship]) {
    encoder.list(contextual.len());
    for Relationship { tuple, condition } in contextual {
        let Tuple { object, relation, subject } = tuple;
        encode_object(encoder, object);
        encoder.text(relation);
        encode_subject(encoder, subject);
        match condition.as_deref() {
            None => {
                encoder.none();
            }
            Some(RelationshipCondition { name, context }) => {
                encoder.text(name);
                encode_context(encoder, context);
            }
        }
    }
}

/// Of what was given, that which can be read. The names are part of the model, which the key has.
pub(super) fn encode_given(encoder: &mut KeyEncoder, given: &Given<'_>, reads: &[Text]) {
    let Given { context, properties, subject, action, resource, clock } = given;
    let RequestProperties { subject: of_subject, resource: of_resource, action: of_action } = properties;
    encoder.list(reads.len());
    for name in reads {
        match (context.get(name), &**name) {
            (Some(value), _) => encode_value(encoder.variant(1), value),
            (None, SUBJECT) => {
                encode_subject(encoder.variant(2), subject);
                encode_context(encoder, of_subject);
            }
            (None, RESOURCE) => {
                encode_object(encoder.variant(3), resource);
                encode_context(encoder, of_resource);
            }
            (None, ACTION) => encode_context(encoder.variant(4).text(action), of_action),
            // Also where the time itself is no input: whether it stands for the value is one.
            (None, name) if clock.is_some_and(|clock| **clock == *name) => {
                encoder.variant(5);
            }
            (None, _) => {
                encoder.none();
            }
        }
    }
}

fn encode_context(encoder: &mut KeyEncoder, context: &Context) {
    encoder.list(context.iter().count());
    for (name, value) in context.iter() {
        encode_value(encoder.text(name), value);
    }
}

fn encode_value(encoder: &mut KeyEncoder, value: &Value) {
    match value {
        Value::Null => {
            encoder.none();
        }
        Value::Bool(value) => {
            encoder.variant(1 + u8::from(*value));
        }
        Value::Number(number) => match (number.as_u64(), number.as_i64()) {
            (Some(number), _) => {
                encoder.variant(3).u64(number);
            }
            (None, Some(number)) => {
                encoder.variant(4).u64(number.cast_unsigned());
            }
            (None, None) => {
                encoder.variant(5).u64(number.as_f64().unwrap_or_default().to_bits());
            }
        },
        Value::String(text) => {
            encoder.variant(6).text(text);
        }
        Value::Array(items) => {
            encoder.variant(7).list(items.len());
            items.iter().for_each(|item| encode_value(encoder, item));
        }
        Value::Object(fields) => {
            encoder.variant(8).list(fields.len());
            fields.iter().for_each(|(name, value)| encode_value(encoder.text(name), value));
        }
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

    use super::super::inputs::{Givens, are_distinct, contextual};
    use super::super::types::{GENERATION_RIGHTS, USER_PERMISSIONS};
    use super::*;

    #[test]
    fn each_input_changes_the_key() {
        let (subject, object) = (Subject::parse("user:ann").unwrap(), Object::parse("doc:1").unwrap());
        let givens = Givens::new();
        let contextual = contextual();
        let base = DecisionKey {
            cache_type: GENERATION_RIGHTS,
            store: StoreId(Ulid(1)),
            model: ModelId(Ulid(2)),
            subject: &subject,
            relation: "viewer",
            object: &object,
            contextual: &[],
            given: givens.base(),
            reads: &givens.reads,
            direct: None,
        };
        let subjects = ["user:bob", "group:ann", "user:ann#viewer", "user:*"].map(|text| Subject::parse(text).unwrap());
        let objects = ["doc:2", "file:1"].map(|text| Object::parse(text).unwrap());
        let mut keys = vec![
            base,
            DecisionKey { cache_type: USER_PERMISSIONS, ..base },
            DecisionKey { store: StoreId(Ulid(3)), ..base },
            DecisionKey { model: ModelId(Ulid(3)), ..base },
            DecisionKey { relation: "editor", ..base },
        ];
        keys.extend(subjects.iter().map(|subject| DecisionKey { subject, ..base }));
        keys.extend(objects.iter().map(|object| DecisionKey { object, ..base }));
        keys.extend(contextual.iter().map(|contextual| DecisionKey { contextual, ..base }));
        keys.extend(givens.others().into_iter().map(|given| DecisionKey { given, ..base }));
        are_distinct(&keys);
        let keyer = Keyer::with_secret((1, 2));
        let digest = |given| keyer.key(&DecisionKey { given, ..base }).digest();
        assert_eq!(digest(givens.same()), digest(givens.base()), "what no condition reads is no input");
    }
}
