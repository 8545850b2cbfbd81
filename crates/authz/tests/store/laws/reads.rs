//! Snapshots, points, enumerations.

use authz::relation::{Object, Presence, Subject, Text, Tuple};
use authz::store::{MAX_ENUMERATED, MAX_WRITE_BATCH, Store, TupleAnswer, TupleRead, WriteBatch};

use crate::support::{Fixture, World, enumerate, has, ids, tuple, writes};

super::laws!(
    a_snapshot_does_not_see_later_writes,
    a_change_that_a_snapshot_lacks_has_no_lower_revision,
    a_new_snapshot_contains_what_was_acknowledged,
    answers_come_in_the_order_of_the_questions,
    an_enumeration_answers_one_kind,
    an_enumeration_is_not_fooled_by_prefixes,
    a_wildcard_is_a_point_of_its_own,
    hostile_ids_are_only_ids,
    too_many_subjects_are_refused_and_not_cut,
    stores_do_not_see_each_other,
    the_latest_model_is_part_of_the_snapshot,
);

async fn a_snapshot_does_not_see_later_writes<F: Fixture>() {
    let world = F::open().await;
    world.write(&["doc:1#viewer@user:ann"]).await;
    let mut before = world.settled().await;
    world.write(&["doc:1#viewer@user:bob"]).await;
    world.delete(&["doc:1#viewer@user:ann"]).await;
    assert!(has(&mut *before, world.store, "doc:1#viewer@user:ann").await);
    assert!(!has(&mut *before, world.store, "doc:1#viewer@user:bob").await);
    let read = before.read(world.store, vec![enumerate("doc:1", "viewer", "user")]).await.unwrap();
    assert_eq!(read, [ids(&["ann"])]);
    assert!(world.has("doc:1#viewer@user:bob").await);
    assert!(!world.has("doc:1#viewer@user:ann").await);
}

async fn a_change_that_a_snapshot_lacks_has_no_lower_revision<F: Fixture>() {
    let world = F::open().await;
    let names: Vec<String> = (0..40).map(|n| format!("doc:{n}#viewer@user:ann")).collect();
    let (origin, store) = (&world.origin, world.store);
    let writing = async {
        let all = names.iter().map(|name| async move {
            let committed = origin.write(store, writes(&[name])).await.unwrap();
            (name, committed.revision)
        });
        futures_util::future::join_all(all).await
    };
    let reading = async {
        let mut snapshots = Vec::new();
        for _ in 0..3 {
            snapshots.push(origin.snapshot().await.unwrap());
            tokio::task::yield_now().await;
        }
        snapshots
    };
    let (written, snapshots) = tokio::join!(writing, reading);
    for mut snapshot in snapshots {
        for (name, revision) in &written {
            let contained = has(&mut *snapshot, store, name).await;
            assert_eq!(contained, snapshot.stamp().contains(*revision), "{name} at {revision:?}");
        }
    }
}

async fn a_new_snapshot_contains_what_was_acknowledged<F: Fixture>() {
    let world = F::open().await;
    for n in 0..50 {
        let name = format!("doc:{n}#viewer@user:ann");
        let committed = world.origin.write(world.store, writes(&[&name])).await.unwrap();
        let mut snapshot = world.settled().await;
        assert!(F::may_be_held_back() || snapshot.stamp().contains(committed.revision));
        assert!(has(&mut *snapshot, world.store, &name).await);
    }
}

async fn answers_come_in_the_order_of_the_questions<F: Fixture>() {
    let world = F::open().await;
    world.write(&["doc:1#viewer@user:ann", "doc:1#owner@user:bob"]).await;
    let answers = read(
        &world,
        vec![
            TupleRead::Point(tuple("doc:1#viewer@user:bob")),
            enumerate("doc:1", "owner", "user"),
            TupleRead::Point(tuple("doc:1#viewer@user:ann")),
            enumerate("doc:1", "editor", "user"),
        ],
    )
    .await;
    assert_eq!(
        answers,
        [TupleAnswer::Found(Presence::Absent), ids(&["bob"]), TupleAnswer::Found(Presence::Present), ids(&[])]
    );
    assert_eq!(read(&world, vec![]).await, []);
}

async fn an_enumeration_answers_one_kind<F: Fixture>() {
    let world = F::open().await;
    world
        .write(&[
            "doc:1#viewer@user:zoe",
            "doc:1#viewer@user:ann",
            "doc:1#viewer@user:*",
            "doc:1#viewer@team:9",
            "doc:1#viewer@team:9#member",
            "doc:1#viewer@team:10#member",
            "doc:1#viewer@team:9#owner",
            "doc:1#owner@user:bob",
            "doc:2#viewer@user:eve",
        ])
        .await;
    for (kind, expected) in [
        ("user", &["ann", "zoe"][..]),
        ("team", &["9"]),
        ("team#member", &["10", "9"]),
        ("team#owner", &["9"]),
        ("user#member", &[]),
    ] {
        assert_eq!(read(&world, vec![enumerate("doc:1", "viewer", kind)]).await, [ids(expected)], "{kind}");
    }
}

async fn an_enumeration_is_not_fooled_by_prefixes<F: Fixture>() {
    let world = F::open().await;
    world
        .write(&[
            "doc:a#view@user:1",
            "doc:ab#view@user:2",
            "doc:a#viewer@user:3",
            "docs:a#view@user:4",
            "doc:a#view@users:5",
            "doc:A#view@user:6",
            "doc:a#view@team:7#m",
            "doc:a#view@team:8#mm",
        ])
        .await;
    assert_eq!(
        read(&world, vec![enumerate("doc:a", "view", "user"), enumerate("doc:a", "view", "team#m")]).await,
        [ids(&["1"]), ids(&["7"])]
    );
}

async fn a_wildcard_is_a_point_of_its_own<F: Fixture>() {
    let world = F::open().await;
    world.write(&["doc:1#viewer@user:*"]).await;
    assert!(world.has("doc:1#viewer@user:*").await);
    assert!(!world.has("doc:1#viewer@user:ann").await, "what a wildcard means is for the evaluation to know");
    assert!(!world.has("doc:1#viewer@team:*").await);
    assert_eq!(read(&world, vec![enumerate("doc:1", "viewer", "user")]).await, [ids(&[])]);
}

async fn hostile_ids_are_only_ids<F: Fixture>() {
    let world = F::open().await;
    let hostile = [
        "'; DROP TABLE tuples; --",
        "\"",
        "%",
        "_",
        "\\",
        "a?b=:c&$1",
        "日本語",
        "\u{1F512}",
        "e\u{301}",
        "é",
        "a:b:c",
        "**",
        "\u{10FFFF}",
    ];
    assert!(Object::parse("doc:a\0b").is_err(), "nothing invisible comes this far");
    let hostile: Vec<String> = hostile.iter().map(|id| id.replace(' ', "_")).collect();
    let all: Vec<Tuple> = hostile
        .iter()
        .map(|id| Tuple {
            object: Object::new("doc", id).unwrap(),
            relation: Text::from("viewer"),
            subject: Subject::object("user", id).unwrap(),
        })
        .collect();
    world.origin.write(world.store, WriteBatch::of(all.clone())).await.unwrap();
    for (tuple, id) in all.iter().zip(&hostile) {
        let question = TupleRead::Enumerate {
            object: tuple.object.clone(),
            relation: Text::from("viewer"),
            kind: tuple.subject.kind(),
        };
        let answers = read(&world, vec![TupleRead::Point(tuple.clone()), question]).await;
        assert_eq!(answers, [TupleAnswer::Found(Presence::Present), ids(&[id])], "{id}");
    }
}

async fn too_many_subjects_are_refused_and_not_cut<F: Fixture>() {
    let world = F::open().await;
    let all: Vec<Tuple> = (0..=MAX_ENUMERATED).map(|n| tuple(&format!("team:1#member@user:{n:05}"))).collect();
    let (most, last) = all.split_at(MAX_ENUMERATED);
    for part in most.chunks(MAX_WRITE_BATCH) {
        let batch = WriteBatch::of(part.iter().cloned());
        world.origin.write(world.store, batch).await.unwrap();
    }
    let question = || vec![enumerate("team:1", "member", "user")];
    match &read(&world, question()).await[..] {
        [TupleAnswer::Members(ids)] => assert_eq!(ids.len(), MAX_ENUMERATED),
        other => panic!("{other:?}"),
    }
    world.origin.write(world.store, WriteBatch::of(last.iter().cloned())).await.unwrap();
    assert_eq!(read(&world, question()).await, [TupleAnswer::TooMany]);
}

async fn stores_do_not_see_each_other<F: Fixture>() {
    let world = F::open().await;
    let other = authz::store::StoreId(ulid::Ulid::from_parts(2, 2));
    world.origin.create_store(other, "second").await.unwrap();
    world.write(&["doc:1#viewer@user:ann"]).await;
    let mut snapshot = world.origin.snapshot().await.unwrap();
    assert!(!has(&mut *snapshot, other, "doc:1#viewer@user:ann").await);
    let elsewhere = snapshot.read(other, vec![enumerate("doc:1", "viewer", "user")]).await.unwrap();
    assert_eq!(elsewhere, [ids(&[])]);
}

async fn the_latest_model_is_part_of_the_snapshot<F: Fixture>() {
    let model = |n| authz::store::ModelId(ulid::Ulid::from_parts(n, 0));
    let world = F::open().await;
    let mut none = world.settled().await;
    world.origin.write_model(world.store, model(2), "{\"n\":2}").await.unwrap();
    let mut one = world.settled().await;
    world.origin.write_model(world.store, model(1), "{\"n\":1}").await.unwrap();
    let mut two = world.settled().await;
    assert_eq!(none.latest_model(world.store).await.unwrap(), Some(None));
    assert_eq!(one.latest_model(world.store).await.unwrap(), Some(Some(model(2))));
    assert_eq!(two.latest_model(world.store).await.unwrap(), Some(Some(model(1))), "the last written, not the largest");
}

async fn read<S: Store>(world: &World<S>, reads: Vec<TupleRead>) -> Vec<TupleAnswer> {
    world.origin.snapshot().await.unwrap().read(world.store, reads).await.unwrap()
}
