//! Tags of authorization: what an evaluation reads, and what a change kills.
//!
//! Both sides derive their tags from the same typed fields, here and nowhere else. A change of a tuple `(o, r, s)` kills five tags:
//!
//! | tag | predicate | who carries it |
//! |---|---|---|
//! | `point` | is `s` in `r` of `o`? | look-ups of exactly this tuple, found or not; wildcards included |
//! | `userset` | which subjects of a kind are in `r` of `o`? | enumerations of usersets and of a tupleset |
//! | `reverse` | what of a type is `s` in `r` of? | reverse enumerations: lists, closures |
//! | `relation` | anything about `r` of a type | read sets that grew past their bound |
//! | `any` | anything about the store | read sets that grew past their bound even so |
//!
//! An enumeration asks for one *kind* of subjects, so that a member who joins a team leaves alone whoever asked which other teams belong to it.
//! Invalidations by an entity kill the entity's own tag ([`cache_core::entity_tag`]) and [`coarse`], which stands for it in coarsened read sets.

use cache_core::{Kill, Tag, TagBuilder, entity_tag};

use crate::relation::{Object, Subject, SubjectKind, Tuple};
use crate::store::{Change, StoreId, TupleRead};

/// The kind of entity under which every key names its store. No type can be called this.
pub(crate) const STORE_ENTITY: &str = "@store";

/// Exactly this tuple.
pub(crate) fn point(store: StoreId, tuple: &Tuple) -> Tag {
    subject(relation_of(begin("point", store), &tuple.object, &tuple.relation), &tuple.subject).finish()
}

/// The subjects of a kind in a relation to an object.
pub(crate) fn userset(store: StoreId, object: &Object, relation: &str, kind: &SubjectKind) -> Tag {
    let builder = relation_of(begin("userset", store), object, relation).field(kind.type_name.as_bytes());
    match &kind.relation {
        Some(relation) => builder.field(b"#").field(relation.as_bytes()),
        None => builder.field(b""),
    }
    .finish()
}

/// The objects of a type that a subject is in a relation of.
pub(crate) fn reverse(store: StoreId, of: &Subject, object_type: &str, relation: &str) -> Tag {
    subject(begin("reverse", store), of).field(object_type.as_bytes()).field(relation.as_bytes()).finish()
}

/// Anything about a relation of a type.
pub(crate) fn relation(store: StoreId, object_type: &str, relation: &str) -> Tag {
    begin("relation", store).field(object_type.as_bytes()).field(relation.as_bytes()).finish()
}

/// Anything about a store's relationships.
pub(crate) fn any(store: StoreId) -> Tag {
    begin("any", store).finish()
}

/// The stored properties of an object.
pub(crate) fn properties(store: StoreId, object: &Object) -> Tag {
    begin("properties", store).field(object.type_name.as_bytes()).field(object.id.as_bytes()).finish()
}

/// Any stored properties.
pub(crate) fn all_properties(store: StoreId) -> Tag {
    begin("all properties", store).finish()
}

/// Which model is the store's latest one.
pub(crate) fn latest_model(store: StoreId) -> Tag {
    begin("latest model", store).finish()
}

/// Stands for every entity in read sets that were coarsened.
pub(crate) fn coarse() -> Tag {
    Tag::of("coarse").finish()
}

/// What a look-up reads.
pub(crate) fn of_read(store: StoreId, read: &TupleRead) -> Tag {
    match read {
        TupleRead::Point(tuple) => point(store, tuple),
        TupleRead::Enumerate { object, relation, kind } => userset(store, object, relation, kind),
        TupleRead::Reverse { subject, object_type, relation } => reverse(store, subject, object_type, relation),
        TupleRead::Properties(object) => properties(store, object),
    }
}

/// What stands for a look-up in a read set that grew past its bound.
pub(crate) fn coarser(store: StoreId, read: &TupleRead) -> Tag {
    match read {
        TupleRead::Point(Tuple { object, relation: name, .. })
        | TupleRead::Enumerate { object, relation: name, .. } => relation(store, &object.type_name, name),
        TupleRead::Reverse { object_type, relation: name, .. } => relation(store, object_type, name),
        TupleRead::Properties(_) => all_properties(store),
    }
}

/// What a change of the origin kills. An administrator's invalidation is not among these: it needs the names of the cache types.
pub(crate) fn kills(change: &Change) -> Vec<Kill> {
    match change {
        Change::Inserted(store, tuple) | Change::Deleted(store, tuple) => {
            let Tuple { object, relation: name, subject } = tuple;
            [
                point(*store, tuple),
                userset(*store, object, name, &subject.kind()),
                reverse(*store, subject, &object.type_name, name),
                relation(*store, &object.type_name, name),
                any(*store),
            ]
            .map(Kill::Tag)
            .to_vec()
        }
        Change::PropertiesChanged(store, object) => {
            [properties(*store, object), all_properties(*store), any(*store)].map(Kill::Tag).to_vec()
        }
        Change::ModelWritten(store) => vec![Kill::Tag(latest_model(*store))],
        Change::StoreReplaced(store) => vec![
            // Every key names its store, so that this reaches every value of it.
            Kill::Tag(entity_tag(STORE_ENTITY, &store.0.to_string())),
            Kill::Tag(latest_model(*store)),
        ],
        Change::Invalidated(_) => Vec::new(),
    }
}

fn begin(domain: &str, store: StoreId) -> TagBuilder {
    Tag::of(domain).field(&store.0.0.to_be_bytes())
}

fn relation_of(builder: TagBuilder, object: &Object, relation: &str) -> TagBuilder {
    builder.field(object.type_name.as_bytes()).field(object.id.as_bytes()).field(relation.as_bytes())
}

/// The variant is a field of its own: the object `user:*` can't exist, but its hash must not meet the wildcard's all the same.
fn subject(builder: TagBuilder, subject: &Subject) -> TagBuilder {
    match subject {
        Subject::Object(object) => {
            builder.field(b"object").field(object.type_name.as_bytes()).field(object.id.as_bytes())
        }
        Subject::Userset { object, relation } => builder
            .field(b"userset")
            .field(object.type_name.as_bytes())
            .field(object.id.as_bytes())
            .field(relation.as_bytes()),
        Subject::Wildcard { type_name } => builder.field(b"wildcard").field(type_name.as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use cache_core::{Revision, Stamp};
    use fastrand::Rng;
    use ulid::Ulid;

    use super::*;
    use crate::condition::Context;
    use crate::relation::{Relationship, RelationshipCondition, Text};
    use crate::store::memory::MemoryStore;
    use crate::store::{ChangeSink, LoggedChange, ModelId, Past, Store, WriteBatch};

    const STORE: StoreId = StoreId(Ulid(7));

    fn kind(type_name: &str, relation: Option<&str>) -> SubjectKind {
        SubjectKind { type_name: type_name.into(), relation: relation.map(Into::into) }
    }

    #[test]
    fn a_change_kills_its_point_and_its_kind_and_no_others() {
        let tuple = Tuple::parse("team:9", "member", "user:bob").unwrap();
        let killed = kills(&Change::Inserted(STORE, tuple.clone()));
        let kills = |tag| killed.contains(&Kill::Tag(tag));
        let ann = Tuple::parse("team:9", "member", "user:ann").unwrap();
        assert!(kills(point(STORE, &tuple)));
        assert!(!kills(point(STORE, &ann)), "bob's joining must leave ann's decisions alone");
        assert!(kills(userset(STORE, &tuple.object, "member", &kind("user", None))));
        assert!(!kills(userset(STORE, &tuple.object, "member", &kind("team", Some("member")))));
        assert!(kills(relation(STORE, "team", "member")) && kills(any(STORE)));
        assert!(!kills(any(StoreId(Ulid(8)))), "stores are apart");
    }

    #[test]
    fn a_wildcard_is_a_point_and_not_the_set_of_its_type() {
        let public = Tuple::parse("project:5", "viewer", "user:*").unwrap();
        let killed = kills(&Change::Deleted(STORE, public.clone()));
        assert!(killed.contains(&Kill::Tag(point(STORE, &public))));
        assert_eq!(killed.len(), 5);
    }

    /// Remembers what changed since it was asked last.
    #[derive(Default)]
    struct Told(Mutex<Vec<Change>>);

    impl ChangeSink for Told {
        fn joined(&self, _: Past<'_>) {}
        fn advance(&self, _: Stamp) {}
        fn forget(&self, _: Revision) {}
        fn apply(&self, changes: &[LoggedChange]) {
            self.0.lock().unwrap().extend(changes.iter().map(|logged| logged.change.clone()));
        }
    }

    const OBJECTS: [&str; 4] = ["doc:a", "doc:b", "team:a", "team:b"];
    const RELATIONS: [&str; 2] = ["m", "v"];
    const SUBJECTS: [&str; 6] = ["user:a", "user:b", "user:*", "team:a", "team:a#m", "team:b#m"];
    const STORES: [StoreId; 2] = [STORE, StoreId(Ulid(8))];

    fn any_tuple(rng: &mut Rng) -> Tuple {
        let pick = |rng: &mut Rng, from: &[&'static str]| from[rng.usize(..from.len())];
        Tuple::parse(pick(rng, &OBJECTS), pick(rng, &RELATIONS), pick(rng, &SUBJECTS)).unwrap()
    }

    /// Every question that can be asked about the small world.
    fn every_read() -> Vec<TupleRead> {
        let mut all = Vec::new();
        let subjects = SUBJECTS.map(|text| Subject::parse(text).unwrap());
        for object in OBJECTS.map(|text| Object::parse(text).unwrap()) {
            all.push(TupleRead::Properties(object.clone()));
            for relation in RELATIONS.map(Text::from) {
                for subject in &subjects {
                    let (object, relation, subject) = (object.clone(), relation.clone(), subject.clone());
                    all.push(TupleRead::Point(Tuple { object, relation, subject }));
                }
                for kind in [kind("user", None), kind("team", None), kind("team", Some("m"))] {
                    all.push(TupleRead::Enumerate { object: object.clone(), relation: relation.clone(), kind });
                }
            }
        }
        for subject in subjects {
            for (object_type, relation) in [("doc", "m"), ("doc", "v"), ("team", "m"), ("team", "v")] {
                let (object_type, relation) = (Text::from(object_type), Text::from(relation));
                all.push(TupleRead::Reverse { subject: subject.clone(), object_type, relation });
            }
        }
        all
    }

    /// Changes little in one store; what is refused changes nothing.
    async fn change(origin: &MemoryStore, store: StoreId, rng: &mut Rng) {
        let values = Context::new([(Text::from("n"), rng.u8(..2).into())]);
        match rng.u8(..12) {
            0..6 => {
                let condition = (rng.u8(..3) == 0)
                    .then(|| Arc::new(RelationshipCondition { name: Text::from("c"), context: values }));
                let write = Relationship { tuple: any_tuple(rng), condition };
                let _ = origin.write(store, WriteBatch::of([write])).await;
            }
            6..9 => {
                let batch = WriteBatch { deletes: vec![any_tuple(rng)], ..WriteBatch::default() };
                let _ = origin.write(store, batch).await;
            }
            9..11 => {
                let object = any_tuple(rng).object;
                let values = if rng.bool() { values } else { Context::default() };
                let _ = origin.write_properties(store, vec![(object, values)]).await;
            }
            _ => {
                if rng.u8(..4) == 0 {
                    let _ = origin.delete_store(store).await;
                }
                let _ = origin.create_store(store, "again").await;
                let _ = origin.write_model(store, ModelId(Ulid(rng.u128(..))), "{}").await;
            }
        }
    }

    #[tokio::test]
    async fn whatever_changes_an_answer_kills_the_tags_of_its_question() {
        let reads = every_read();
        let mut met = [0_usize; 5];
        for seed in 0..8 {
            let mut rng = Rng::with_seed(seed);
            let (origin, told) = (MemoryStore::default(), Arc::new(Told::default()));
            origin.attach(Arc::clone(&told) as _).await.unwrap();
            for store in STORES {
                origin.create_store(store, "small").await.unwrap();
            }
            for step in 0..250 {
                let mut before = origin.snapshot().await.unwrap();
                told.0.lock().unwrap().clear();
                change(&origin, STORES[rng.usize(..2)], &mut rng).await;
                let changes = std::mem::take(&mut *told.0.lock().unwrap());
                let killed: Vec<Kill> = changes.iter().flat_map(kills).collect();
                let kills = |tag| killed.contains(&Kill::Tag(tag));
                let mut after = origin.snapshot().await.unwrap();
                for store in STORES {
                    // Every key names its store, and this ends whatever is under such a key.
                    let whole = kills(entity_tag(STORE_ENTITY, &store.0.to_string()));
                    let one = before.read(store, reads.clone()).await.unwrap();
                    let two = after.read(store, reads.clone()).await.unwrap();
                    for (read, (one, two)) in reads.iter().zip(one.iter().zip(&two)) {
                        if one == two {
                            continue;
                        }
                        let kind = match read {
                            _ if whole => 4,
                            TupleRead::Point(_) => 0,
                            TupleRead::Enumerate { .. } => 1,
                            TupleRead::Reverse { .. } => 2,
                            TupleRead::Properties(_) => 3,
                        };
                        met[kind] += 1;
                        assert!(
                            whole || (kills(of_read(store, read)) && kills(coarser(store, read)) && kills(any(store))),
                            "seed {seed}, step {step}: {changes:?} changed {read:?} from {one:?} to {two:?}"
                        );
                    }
                    let (one, two) =
                        (before.latest_model(store).await.unwrap(), after.latest_model(store).await.unwrap());
                    assert!(one == two || kills(latest_model(store)), "seed {seed}, step {step}: {changes:?}");
                }
            }
        }
        assert!(met.iter().all(|&count| count > 20), "each kind of question must be met: {met:?}");
    }
}
