//! Origins that are told the same things answer the same: to the byte, refusals included; and revisions, where their order is that of commits.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::atomic::Ordering;

use authz::condition::Context;
use authz::relation::{Object, Relationship, Subject, Text, Tuple};
use authz::store::{
    ChangeFilter, ChangePlace, Committed, InvalidationScope, LoggedChange, ModelId, OnConflict, PageRequest, Store,
    StoreError, StoreId, TupleFilter, TupleRead, WriteBatch,
};
use cache_core::Revision;
use fastrand::Rng;
use ulid::Ulid;

use crate::support::{Fixture, Memory, Postgres, Sqlite, World, condition, context, enumerate, reverse, tuple};

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
            Step::Changes(store, filter, rng.bool().then(|| ChangePlace::from(Revision::new(rng.u64(..40)))), limit)
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

/// What is compared of answers that hold revisions or places.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Numbers {
    /// The numbers themselves.
    Same,
    /// What they mean: a write is answered with the newest revision, and places lead from page to page.
    Meaning,
}

impl Numbers {
    fn committed<S>(self, world: &World<S>, answer: Result<Committed, StoreError>) -> String {
        match (self, answer) {
            (Self::Meaning, Ok(committed)) => {
                let newest = world.sink.applied().into_iter().map(|logged| logged.revision).max();
                assert_eq!(Some(committed.revision), newest);
                "committed".to_owned()
            }
            (_, answer) => shown(answer),
        }
    }
}

/// All pages of the changes, without their places.
async fn all_changes<S: Store>(world: &World<S>, store: StoreId, filter: &ChangeFilter, limit: usize) -> String {
    let (mut pages, mut after) = (Vec::new(), None);
    loop {
        let page = PageRequest { after, limit };
        match world.origin.changes(store, filter.clone(), page).await {
            Err(error) => return shown(error),
            Ok(page) if page.items.is_empty() => return shown(pages),
            Ok(page) => {
                after = page.next;
                let items = page.items.into_iter();
                pages.push(items.map(|it| (it.inserted, it.tuple, it.condition, it.at)).collect::<Vec<_>>());
            }
        }
    }
}

async fn take<S: Store>(world: &World<S>, step: &Step, numbers: Numbers) -> String {
    let origin = &world.origin;
    match step {
        Step::Write(store, batch) => numbers.committed(world, origin.write(*store, batch.clone()).await),
        Step::Create(store) => shown(origin.create_store(*store, "name").await.map(|(record, _)| record)),
        Step::Delete(store) => match origin.delete_store(*store).await {
            Ok(Some(committed)) => numbers.committed(world, Ok(committed)),
            other => shown(other),
        },
        Step::Model(store, id) => numbers.committed(world, origin.write_model(*store, *id, "{}").await),
        Step::Append => numbers.committed(world, origin.append(InvalidationScope::All).await),
        Step::Tuples(store, filter, after, limit) => {
            let page = PageRequest { after: after.clone(), limit: *limit };
            shown(origin.read_tuples(*store, filter.clone(), page).await)
        }
        Step::Later(by) => shown(world.clock.0.fetch_add(*by, Ordering::Relaxed)),
        Step::Assert(store, model, body) => shown(origin.write_assertions(*store, *model, body).await),
        Step::Asserted(store, model) => shown(origin.assertions(*store, *model).await),
        Step::Describe(store, given) => numbers.committed(world, origin.write_properties(*store, given.clone()).await),
        Step::Described(store, after, limit) => {
            shown(origin.properties(*store, PageRequest { after: after.clone(), limit: *limit }).await)
        }
        Step::Changes(store, filter, _, limit) if numbers == Numbers::Meaning => {
            all_changes(world, *store, filter, *limit).await
        }
        Step::Changes(store, filter, after, limit) => {
            let page = PageRequest { after: after.clone(), limit: *limit };
            shown(origin.changes(*store, filter.clone(), page).await)
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
            let stamp = (numbers == Numbers::Same).then(|| snapshot.stamp());
            shown((stamp, answers, snapshot.latest_model(*store).await))
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
            let (left, right) = (take(&memory, &step, Numbers::Same).await, take(&sqlite, &step, Numbers::Same).await);
            assert_eq!(left, right, "seed {seed}, step {at}: {step:?}");
        }
        // A change may come twice: the thread that looks for foreign writes may see it before the writer has applied it.
        let once = |told: Vec<LoggedChange>| -> BTreeSet<_> {
            told.into_iter().map(|logged| (logged.revision, format!("{:?}", logged.change))).collect()
        };
        assert_eq!(once(memory.sink.applied()), once(sqlite.sink.applied()), "seed {seed}");
    }
}

#[tokio::test]
async fn an_origin_elsewhere_answers_the_same() {
    if !Postgres::is_there() {
        return;
    }
    for seed in 0..SEEDS {
        let mut rng = Rng::with_seed(seed);
        let (memory, postgres) = (Memory::open().await, Postgres::open().await);
        for at in 0..STEPS {
            let mut step = any_step(&mut rng);
            if let Step::Write(_, batch) = &mut step {
                // Within one transaction they are changed in the order of their keys, and so listed.
                batch.writes.sort_by(|one, other| one.tuple.cmp(&other.tuple));
                batch.deletes.sort();
            }
            let (left, right) =
                (take(&memory, &step, Numbers::Meaning).await, take(&postgres, &step, Numbers::Meaning).await);
            assert_eq!(left, right, "seed {seed}, step {at}: {step:?}");
        }
        let told = |told: Vec<LoggedChange>| -> BTreeSet<_> {
            told.into_iter().map(|logged| format!("{:?}", logged.change)).collect()
        };
        assert_eq!(told(memory.sink.applied()), told(postgres.sink.applied()), "seed {seed}");
    }
}
