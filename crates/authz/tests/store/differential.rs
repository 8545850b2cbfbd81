//! Two origins that are told the same things answer the same: to the byte, revisions and refusals included.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::atomic::Ordering;

use authz::condition::Context;
use authz::relation::{Object, Relationship, Subject, Text, Tuple};
use authz::store::{
    ChangeFilter, ChangePlace, InvalidationScope, LoggedChange, ModelId, OnConflict, PageRequest, Store, StoreId,
    TupleFilter, TupleRead, WriteBatch,
};
use fastrand::Rng;
use ulid::Ulid;

use crate::support::{Fixture, Memory, Sqlite, World, condition, context, enumerate, reverse, tuple};

const SEEDS: u64 = 24;
const STEPS: usize = 60;
const OBJECTS: [&str; 4] = ["doc:a", "doc:ab", "docs:a", "team:t"];
const RELATIONS: [&str; 3] = ["v", "vw", "m"];
const SUBJECTS: [&str; 6] = ["user:a", "user:ab", "user:*", "team:t", "team:t#m", "team:t#v"];

const VALUES: [&str; 4] = [r#"{"n": 1}"#, r#"{"n": 1.0}"#, r#"{"b": {"z": [null], "y": "é"}, "a": true}"#, "{}"];

#[derive(Debug)]
enum Step {
    Write(StoreId, WriteBatch),
    Create(StoreId),
    Delete(StoreId),
    Model(StoreId, ModelId),
    Append,
    Later(u64),
    Assert(StoreId, ModelId, String),
    Asserted(StoreId, ModelId),
    Describe(StoreId, Vec<(Object, Context)>),
    Described(StoreId, Option<Object>, usize),
    Tuples(StoreId, TupleFilter, Option<Tuple>, usize),
    Changes(StoreId, ChangeFilter, Option<ChangePlace>, usize),
    Models(StoreId, Option<ModelId>, usize),
    Stores(Option<StoreId>, usize),
    Everything(StoreId),
}

fn any_tuple(rng: &mut Rng) -> Tuple {
    let pick = |rng: &mut Rng, from: &[&str]| from[rng.usize(..from.len())].to_owned();
    tuple(&format!("{}#{}@{}", pick(rng, &OBJECTS), pick(rng, &RELATIONS), pick(rng, &SUBJECTS)))
}

/// Few conditions and few values, so that the same one often comes again.
fn any_relationship(rng: &mut Rng) -> Relationship {
    let tuple = any_tuple(rng);
    let condition = match rng.u8(..6) {
        0 => Some(condition("a", "{}")),
        1 => Some(condition("b", "{}")),
        2 => Some(condition("a", VALUES[rng.usize(..VALUES.len())])),
        _ => None,
    };
    Relationship { tuple, condition }
}

fn any_object(rng: &mut Rng) -> Object {
    Object::parse(OBJECTS[rng.usize(..OBJECTS.len())]).unwrap()
}

fn any_step(rng: &mut Rng) -> Step {
    let store = StoreId(Ulid::from_parts(rng.u64(1..4), 1));
    let model = ModelId(Ulid::from_parts(rng.u64(1..6), 0));
    let policy = |rng: &mut Rng| if rng.u8(..4) > 0 { OnConflict::Ignore } else { OnConflict::Error };
    let limit = rng.usize(..6);
    match rng.u8(..40) {
        0..=13 => {
            let (added, removed) = (rng.usize(..5), rng.usize(..4));
            let batch = WriteBatch {
                writes: (0..added).map(|_| any_relationship(rng)).collect(),
                deletes: (0..removed).map(|_| any_tuple(rng)).collect(),
                on_duplicate: policy(rng),
                on_missing: policy(rng),
            };
            Step::Write(store, batch)
        }
        14..=15 => Step::Create(store),
        16 => Step::Delete(store),
        17..=18 => Step::Model(store, model),
        19 => Step::Append,
        20..=23 => {
            let like = any_tuple(rng);
            let filter = TupleFilter {
                object_type: rng.bool().then(|| like.object.type_name.clone()),
                object_id: rng.bool().then(|| like.object.id.clone()),
                relation: rng.bool().then(|| like.relation.clone()),
                subject: rng.bool().then(|| Subject::clone(&like.subject)),
            };
            Step::Tuples(store, filter, rng.bool().then(|| any_tuple(rng)), limit)
        }
        24..=25 => {
            let filter = ChangeFilter {
                object_type: rng.bool().then(|| Text::from("doc")),
                since: rng.bool().then(|| rng.u64(900..1_100)),
            };
            Step::Changes(store, filter, rng.bool().then(|| ChangePlace(rng.u64(..40), 0)), limit)
        }
        26 => Step::Models(store, rng.bool().then_some(model), limit),
        28 => Step::Later(rng.u64(..10)),
        29 => Step::Assert(store, model, format!("[{}]", rng.u8(..9))),
        30 => Step::Asserted(store, model),
        31..=33 => {
            let given = (0..rng.usize(..3)).map(|_| {
                (
                    any_object(rng),
                    if rng.bool() { context(VALUES[rng.usize(..VALUES.len())]) } else { Context::default() },
                )
            });
            Step::Describe(store, given.collect())
        }
        34 => Step::Described(store, rng.bool().then(|| any_object(rng)), limit),
        27 => Step::Stores(rng.bool().then_some(store), limit),
        _ => Step::Everything(store),
    }
}

fn shown<T: Debug>(answer: T) -> String {
    format!("{answer:?}")
}

async fn take<S: Store>(world: &World<S>, step: &Step) -> String {
    let origin = &world.origin;
    match step {
        Step::Write(store, batch) => shown(origin.write(*store, batch.clone()).await),
        Step::Create(store) => shown(origin.create_store(*store, "name").await),
        Step::Delete(store) => shown(origin.delete_store(*store).await),
        Step::Model(store, id) => shown(origin.write_model(*store, *id, "{}").await),
        Step::Append => shown(origin.append(InvalidationScope::All).await),
        Step::Tuples(store, filter, after, limit) => {
            let page = PageRequest { after: after.clone(), limit: *limit };
            shown(origin.read_tuples(*store, filter.clone(), page).await)
        }
        Step::Later(by) => shown(world.clock.0.fetch_add(*by, Ordering::Relaxed)),
        Step::Assert(store, model, body) => shown(origin.write_assertions(*store, *model, body).await),
        Step::Asserted(store, model) => shown(origin.assertions(*store, *model).await),
        Step::Describe(store, given) => shown(origin.write_properties(*store, given.clone()).await),
        Step::Described(store, after, limit) => {
            shown(origin.properties(*store, PageRequest { after: after.clone(), limit: *limit }).await)
        }
        Step::Changes(store, filter, after, limit) => {
            shown(origin.changes(*store, filter.clone(), PageRequest { after: *after, limit: *limit }).await)
        }
        Step::Models(store, after, limit) => {
            shown(origin.models(*store, PageRequest { after: *after, limit: *limit }).await)
        }
        Step::Stores(after, limit) => shown(origin.stores(PageRequest { after: *after, limit: *limit }).await),
        Step::Everything(store) => {
            let mut snapshot = origin.snapshot().await.unwrap();
            let mut reads = Vec::new();
            for object in OBJECTS {
                for relation in RELATIONS {
                    let points = SUBJECTS.iter().map(|subject| tuple(&format!("{object}#{relation}@{subject}")));
                    reads.extend(points.map(TupleRead::Point));
                    reads.extend(["user", "team", "team#m", "team#v"].map(|kind| enumerate(object, relation, kind)));
                }
            }
            reads.extend(OBJECTS.map(|object| TupleRead::Properties(Object::parse(object).unwrap())));
            for subject in SUBJECTS {
                for relation in RELATIONS {
                    reads.extend(["doc", "docs", "team"].map(|object_type| reverse(subject, object_type, relation)));
                }
            }
            let answers = snapshot.read(*store, reads).await.unwrap();
            shown((snapshot.stamp(), answers, snapshot.latest_model(*store).await))
        }
    }
}

#[tokio::test]
async fn two_origins_that_are_told_the_same_answer_the_same() {
    for seed in 0..SEEDS {
        let mut rng = Rng::with_seed(seed);
        let (memory, sqlite) = (Memory::open().await, Sqlite::open().await);
        for at in 0..STEPS {
            let step = any_step(&mut rng);
            let (left, right) = (take(&memory, &step).await, take(&sqlite, &step).await);
            assert_eq!(left, right, "seed {seed}, step {at}: {step:?}");
        }
        // A change may come twice: the thread that looks for foreign writes may see it before the writer has applied it.
        let once = |told: Vec<LoggedChange>| -> BTreeSet<_> {
            told.into_iter().map(|logged| (logged.revision, format!("{:?}", logged.change))).collect()
        };
        assert_eq!(once(memory.sink.applied()), once(sqlite.sink.applied()), "seed {seed}");
    }
}
