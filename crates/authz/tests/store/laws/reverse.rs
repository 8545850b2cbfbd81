//! What a subject stands in a relation to.

use authz::relation::{Member, Tuple};
use authz::store::{MAX_REVERSE, MAX_WRITE_BATCH, Store, StoreId, TupleAnswer, TupleRead, WriteBatch};
use ulid::Ulid;

use crate::support::{Fixture, World, ids, reverse, tuple};

super::laws!(
    a_reverse_read_answers_objects_in_the_order_of_their_ids,
    a_reverse_read_asks_for_the_subject_as_it_was_written,
    a_reverse_read_is_not_fooled_by_prefixes,
    a_reverse_read_sees_its_snapshot_and_its_store,
);

async fn read<S: Store>(world: &World<S>, read: TupleRead) -> TupleAnswer {
    world.origin.snapshot().await.unwrap().read(world.store, vec![read]).await.unwrap().remove(0)
}

async fn a_reverse_read_answers_objects_in_the_order_of_their_ids<F: Fixture>() {
    let world = F::open().await;
    world
        .write(&[
            "doc:z#viewer@user:ann",
            "doc:é#viewer@user:ann",
            "doc:10#viewer@user:ann",
            "doc:9#viewer@user:ann",
            "doc:Z#viewer@user:ann",
            "doc:a#owner@user:ann",
            "folder:b#viewer@user:ann",
            "doc:c#viewer@user:bob",
        ])
        .await;
    assert_eq!(read(&world, reverse("user:ann", "doc", "viewer")).await, ids(&["10", "9", "Z", "z", "é"]));
    assert_eq!(read(&world, reverse("user:ann", "folder", "viewer")).await, ids(&["b"]));
    assert_eq!(read(&world, reverse("user:eve", "doc", "viewer")).await, ids(&[]));
}

async fn a_reverse_read_asks_for_the_subject_as_it_was_written<F: Fixture>() {
    let world = F::open().await;
    world
        .write(&[
            "doc:1#viewer@team:9",
            "doc:2#viewer@team:9#member",
            "doc:3#viewer@team:9#owner",
            "doc:4#viewer@user:*",
            "doc:5#viewer@user:ann",
            "doc:6#viewer@team:*",
        ])
        .await;
    for (subject, expected) in [
        ("team:9", "1"),
        ("team:9#member", "2"),
        ("team:9#owner", "3"),
        ("user:*", "4"),
        ("user:ann", "5"),
        ("team:*", "6"),
    ] {
        assert_eq!(read(&world, reverse(subject, "doc", "viewer")).await, ids(&[expected]), "{subject}");
    }
}

async fn a_reverse_read_is_not_fooled_by_prefixes<F: Fixture>() {
    let world = F::open().await;
    world
        .write(&[
            "doc:1#view@user:a",
            "doc:2#view@user:ab",
            "doc:3#viewer@user:a",
            "docs:4#view@user:a",
            "doc:5#view@users:a",
            "doc:6#view@user:A",
            "doc:7#view@user:a#m",
            "doc:8#view@user:a#mm",
        ])
        .await;
    assert_eq!(read(&world, reverse("user:a", "doc", "view")).await, ids(&["1"]));
    assert_eq!(read(&world, reverse("user:a#m", "doc", "view")).await, ids(&["7"]));
}

async fn a_reverse_read_sees_its_snapshot_and_its_store<F: Fixture>() {
    let world = F::open().await;
    let other = StoreId(Ulid::from_parts(2, 2));
    world.origin.create_store(other, "second").await.unwrap();
    world.write(&["doc:1#viewer@user:ann", "doc:2#viewer@user:ann"]).await;
    let mut before = world.settled().await;
    world.delete(&["doc:1#viewer@user:ann"]).await;
    world.write(&["doc:3#viewer@user:ann"]).await;
    let question = || vec![reverse("user:ann", "doc", "viewer")];
    assert_eq!(before.read(world.store, question()).await.unwrap(), [ids(&["1", "2"])]);
    assert_eq!(before.read(other, question()).await.unwrap(), [ids(&[])]);
    assert_eq!(read(&world, reverse("user:ann", "doc", "viewer")).await, ids(&["2", "3"]));
}

/// Fills an origin up to the bound, and one further, in the quickest way that it has.
async fn bounded<F: Fixture>(load: impl AsyncFn(&World<F::Origin>, Vec<Tuple>)) {
    let world = F::open().await;
    let all = |from: usize, to: usize| (from..to).map(|n| tuple(&format!("doc:{n:06}#viewer@user:ann"))).collect();
    load(&world, all(0, MAX_REVERSE)).await;
    match read(&world, reverse("user:ann", "doc", "viewer")).await {
        TupleAnswer::Members(found) => {
            assert_eq!(found.len(), MAX_REVERSE);
            assert_eq!(found.last(), Some(&Member::from(&*format!("{:06}", MAX_REVERSE - 1))));
        }
        other => panic!("{other:?}"),
    }
    load(&world, all(MAX_REVERSE, MAX_REVERSE + 1)).await;
    assert_eq!(read(&world, reverse("user:ann", "doc", "viewer")).await, TupleAnswer::TooMany);
}

#[tokio::test]
async fn too_many_objects_are_refused_and_not_cut_in_memory() {
    bounded::<crate::support::Memory>(async |world, tuples| {
        for part in tuples.chunks(MAX_WRITE_BATCH) {
            world.origin.write(world.store, WriteBatch::of(part.iter().cloned())).await.unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn too_many_objects_are_refused_and_not_cut_in_a_file() {
    bounded::<crate::support::Sqlite>(async |world, tuples| {
        world.origin.load(world.store, tuples, |_| {}).await.unwrap();
    })
    .await;
}
