//! What the tests of all keys vary: the inputs of a question, each time with one thing otherwise.

use std::sync::Arc;

use cache_core::{CacheKey, Keyer};
use serde_json::{Value, json};

use super::RequestProperties;
use super::circumstances::{ACTION, Given, RESOURCE, SUBJECT};
use crate::condition::Context;
use crate::relation::{Object, Relationship, RelationshipCondition, Subject, Text, Tuple};

/// What a question brings, and others that differ from it in one thing each.
pub(super) struct Givens {
    /// What conditions read.
    pub(super) reads: Vec<Text>,
    contexts: Vec<Context>,
    with_unread: Context,
    properties: Vec<RequestProperties>,
    subjects: [Subject; 2],
    resources: [Object; 2],
}

fn context(values: &[(&str, Value)]) -> Context {
    Context::new(values.iter().map(|(name, value)| (Text::from(*name), value.clone())))
}

impl Givens {
    pub(super) fn new() -> Self {
        let level = |value: Value| context(&[("level", value), ("unread", json!(1))]);
        let values = [json!(1), json!(2), json!("1"), json!(1.5), json!(-1), json!(null), json!(true), json!([1])];
        let mut contexts: Vec<Context> = values.into_iter().map(level).collect();
        contexts.push(level(json!({"a": 1})));
        contexts.push(context(&[]));
        contexts.push(context(&[("level", json!(1)), ("subject", json!({"id": "ann"}))]));
        let of = |value: u8| context(&[("team", json!(value))]);
        let none = RequestProperties::default();
        let properties = vec![
            none.clone(),
            RequestProperties { subject: of(1), ..none.clone() },
            RequestProperties { subject: of(2), ..none.clone() },
            RequestProperties { resource: of(1), ..none.clone() },
            RequestProperties { action: of(1), ..none },
        ];
        Self {
            reads: [ACTION, "level", RESOURCE, SUBJECT].map(Text::from).to_vec(),
            contexts,
            with_unread: context(&[("level", json!(1)), ("unread", json!(9))]),
            properties,
            subjects: ["user:ann", "user:bob"].map(|text| Subject::parse(text).unwrap()),
            resources: ["doc:1", "doc:2"].map(|text| Object::parse(text).unwrap()),
        }
    }

    pub(super) fn base(&self) -> Given<'_> {
        Given {
            context: &self.contexts[0],
            properties: &self.properties[0],
            subject: &self.subjects[0],
            action: "viewer",
            resource: &self.resources[0],
            clock: None,
        }
    }

    /// Another one that conditions can't tell from it.
    pub(super) fn same(&self) -> Given<'_> {
        Given { context: &self.with_unread, ..self.base() }
    }

    pub(super) fn others(&self) -> Vec<Given<'_>> {
        let base = self.base();
        let mut others = vec![
            Given { subject: &self.subjects[1], ..base },
            Given { action: "editor", ..base },
            Given { resource: &self.resources[1], ..base },
        ];
        // Stands for "level" where that is not given.
        let timed = Given { context: &self.contexts[self.contexts.len() - 2], clock: Some(&self.reads[1]), ..base };
        others.push(timed);
        others.extend(self.contexts[1..].iter().map(|context| Given { context, ..base }));
        others.extend(self.properties[1..].iter().map(|properties| Given { properties, ..base }));
        others
    }
}

/// Relationships of a question, each time others.
pub(super) fn contextual() -> Vec<Vec<Relationship>> {
    let under = |name: &str, values: &[(&str, Value)]| Relationship {
        tuple: Tuple::parse("doc:1", "viewer", "user:ann").unwrap(),
        condition: Some(Arc::new(RelationshipCondition { name: name.into(), context: context(values) })),
    };
    let plain = |object: &str, relation: &str, subject: &str| {
        Relationship::from(Tuple::parse(object, relation, subject).unwrap())
    };
    vec![
        vec![plain("doc:1", "viewer", "user:ann")],
        vec![plain("doc:2", "viewer", "user:ann")],
        vec![plain("doc:1", "editor", "user:ann")],
        vec![plain("doc:1", "viewer", "user:bob")],
        vec![plain("doc:1", "viewer", "user:ann"), plain("doc:2", "viewer", "user:ann")],
        vec![under("small", &[])],
        vec![under("large", &[])],
        vec![under("small", &[("limit", json!(1))])],
        vec![under("small", &[("limit", json!(2))])],
        vec![under("small", &[("level", json!(1))])],
    ]
}

/// Asserts that no two of these keys are the same.
pub(super) fn are_distinct<K: CacheKey + std::fmt::Debug>(keys: &[K]) {
    let keyer = Keyer::with_secret((1, 2));
    let digests: Vec<_> = keys.iter().map(|key| keyer.key(key).digest()).collect();
    for (at, digest) in digests.iter().enumerate() {
        if let Some(before) = digests[..at].iter().position(|other| other == digest) {
            panic!("the same key for {:?} and {:?}", keys[before], keys[at]);
        }
    }
}
