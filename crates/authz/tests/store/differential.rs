//! Two origins that are told the same things answer the same: to the byte, revisions and refusals included.

use std::collections::BTreeSet;
use std::fmt::Debug;

use authz::relation::{Subject, Text, Tuple};
use authz::store::{
    InvalidationScope, LoggedChange, ModelId, OnConflict, PageRequest, Store, StoreId, TupleFilter, TupleRead,
    WriteBatch,
};
use cache_core::Revision;
use fastrand::Rng;
use ulid::Ulid;

use crate::support::{Fixture, Memory, Sqlite, World, enumerate, tuple};

const SEEDS: u64 = 24;
const STEPS: usize = 60;
const OBJECTS: [&str; 4] = ["doc:a", "doc:ab", "docs:a", "team:t"];
const RELATIONS: [&str; 3] = ["v", "vw", "m"];
const SUBJECTS: [&str; 6] = ["user:a", "user:ab", "user:*", "team:t", "team:t#m", "team:t#v"];

#[derive(Debug)]
enum Step {
    Write(StoreId, WriteBatch),
    Create(StoreId),
    Delete(StoreId),
    Model(StoreId, ModelId),
    Append,
    Tuples(StoreId, TupleFilter, Option<Tuple>, usize),
    Changes(StoreId, Option<Text>, Option<Revision>, usize),
    Models(StoreId, Option<ModelId>, usize),
    Stores(Option<StoreId>, usize),
    Everything(StoreId),
}

fn any_tuple(rng: &mut Rng) -> Tuple {
    let pick = |rng: &mut Rng, from: &[&str]| from[rng.usize(..from.len())].to_owned();
    tuple(&format!("{}#{}@{}", pick(rng, &OBJECTS), pick(rng, &RELATIONS), pick(rng, &SUBJECTS)))
}

fn any_step(rng: &mut Rng) -> Step {
    let store = StoreId(Ulid::from_parts(rng.u64(1..4), 1));
    let model = ModelId(Ulid::from_parts(rng.u64(1..6), 0));
    let policy = |rng: &mut Rng| if rng.u8(..4) > 0 { OnConflict::Ignore } else { OnConflict::Error };
    let limit = rng.usize(..6);
    match rng.u8(..32) {
        0..=13 => {
            let (added, removed) = (rng.usize(..5), rng.usize(..4));
            let batch = WriteBatch {
                writes: (0..added).map(|_| any_tuple(rng)).collect(),
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
            let kind = rng.bool().then(|| Text::from("doc"));
            Step::Changes(store, kind, rng.bool().then(|| Revision::new(rng.u64(..40))), limit)
        }
        26 => Step::Models(store, rng.bool().then_some(model), limit),
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
        Step::Changes(store, kind, after, limit) => {
            shown(origin.changes(*store, kind.clone(), PageRequest { after: *after, limit: *limit }).await)
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
