//! Batches and conflicts.

use authz::store::{
    ChangeFilter, MAX_WRITE_BATCH, OnConflict, PageRequest, Store, StoreError, StoreId, TupleFilter, WriteBatch,
    WriteConflict,
};
use ulid::Ulid;

use crate::support::{Fixture, deletes, tuple, writes};

super::laws!(
    a_batch_is_all_or_nothing,
    a_duplicate_is_refused_with_its_tuple,
    a_missing_tuple_is_refused_with_its_tuple,
    conflicts_can_be_ignored,
    a_tuple_stands_once_in_a_batch,
    a_batch_that_is_too_large_is_refused,
    an_empty_batch_changes_nothing,
    a_conflict_logs_nothing,
    an_unknown_store_is_refused_as_such,
    revisions_grow_with_each_change,
    a_conflict_leaves_concurrent_writes_alone,
);

async fn a_batch_is_all_or_nothing<F: Fixture>() {
    let world = F::open().await;
    world.write(&["doc:1#viewer@user:ann"]).await;
    let batch = WriteBatch {
        writes: vec![tuple("doc:1#viewer@user:bob").into(), tuple("doc:1#viewer@user:ann").into()],
        deletes: vec![],
        ..WriteBatch::default()
    };
    assert!(world.origin.write(world.store, batch).await.is_err());
    let batch = WriteBatch {
        writes: vec![tuple("doc:1#viewer@user:ann").into()],
        deletes: vec![tuple("doc:9#viewer@user:ann")],
        ..WriteBatch::default()
    };
    assert!(world.origin.write(world.store, batch).await.is_err());
    assert!(world.has("doc:1#viewer@user:ann").await);
    assert!(!world.has("doc:1#viewer@user:bob").await);

    let both = WriteBatch {
        writes: vec![tuple("doc:1#viewer@user:bob").into()],
        deletes: vec![tuple("doc:1#viewer@user:ann")],
        ..WriteBatch::default()
    };
    world.origin.write(world.store, both).await.unwrap();
    assert!(!world.has("doc:1#viewer@user:ann").await);
    assert!(world.has("doc:1#viewer@user:bob").await);
}

async fn conflict<F: Fixture>(batch: WriteBatch) -> WriteConflict {
    let world = F::open().await;
    world.write(&["doc:1#viewer@user:ann"]).await;
    match world.origin.write(world.store, batch).await {
        Err(StoreError::Conflict(conflict)) => conflict,
        other => panic!("expected a conflict, got {other:?}"),
    }
}

async fn a_duplicate_is_refused_with_its_tuple<F: Fixture>() {
    let refused = conflict::<F>(writes(&["doc:1#viewer@user:bob", "doc:1#viewer@user:ann"])).await;
    assert_eq!(refused, WriteConflict::Duplicate(tuple("doc:1#viewer@user:ann")));
}

async fn a_missing_tuple_is_refused_with_its_tuple<F: Fixture>() {
    let refused = conflict::<F>(deletes(&["doc:1#viewer@user:ann", "doc:1#viewer@user:*"])).await;
    assert_eq!(refused, WriteConflict::Missing(tuple("doc:1#viewer@user:*")));
}

async fn a_tuple_stands_once_in_a_batch<F: Fixture>() {
    let twice = tuple("doc:1#viewer@user:bob");
    for (added, removed) in [(2, 0), (0, 2), (1, 1)] {
        let batch = WriteBatch {
            writes: vec![twice.clone().into(); added],
            deletes: vec![twice.clone(); removed],
            on_duplicate: OnConflict::Ignore,
            on_missing: OnConflict::Ignore,
        };
        assert_eq!(conflict::<F>(batch).await, WriteConflict::Repeated(twice.clone()));
    }
}

async fn a_batch_that_is_too_large_is_refused<F: Fixture>() {
    let many = |count| WriteBatch {
        writes: (0..count).map(|n| tuple(&format!("doc:{n}#viewer@user:bob")).into()).collect(),
        ..WriteBatch::default()
    };
    assert_eq!(conflict::<F>(many(MAX_WRITE_BATCH + 1)).await, WriteConflict::TooMany { given: MAX_WRITE_BATCH + 1 });
    let world = F::open().await;
    world.origin.write(world.store, many(MAX_WRITE_BATCH)).await.unwrap();
}

async fn conflicts_can_be_ignored<F: Fixture>() {
    let world = F::open().await;
    world.write(&["doc:1#viewer@user:ann"]).await;
    let batch = WriteBatch {
        writes: vec![tuple("doc:1#viewer@user:ann").into(), tuple("doc:1#viewer@user:bob").into()],
        deletes: vec![tuple("doc:1#viewer@user:eve")],
        on_duplicate: OnConflict::Ignore,
        on_missing: OnConflict::Ignore,
    };
    let before = world.sink.applied().len();
    let committed = world.origin.write(world.store, batch.clone()).await.unwrap();
    assert_eq!(world.sink.applied().len(), before + 1, "only what changed is logged");
    let again = world.origin.write(world.store, batch).await.unwrap();
    assert!(again.revision >= committed.revision, "nothing to do is answered with a revision that the state contains");
    assert_eq!(world.sink.applied().len(), before + 1, "and logs nothing");
}

async fn an_empty_batch_changes_nothing<F: Fixture>() {
    let world = F::open().await;
    let before = world.settled().await.stamp();
    let told = world.sink.applied().len();
    let committed = world.origin.write(world.store, WriteBatch::default()).await.unwrap();
    assert!(committed.revision.stamp_after() >= before);
    assert_eq!(world.sink.applied().len(), told);
}

async fn a_conflict_logs_nothing<F: Fixture>() {
    let world = F::open().await;
    world.write(&["doc:1#viewer@user:ann"]).await;
    let before = world.sink.applied().len();
    let refused = world.origin.write(world.store, writes(&["doc:2#viewer@user:ann", "doc:1#viewer@user:ann"])).await;
    assert!(refused.is_err());
    world.write(&["doc:3#viewer@user:ann"]).await;
    assert_eq!(world.sink.applied().len(), before + 1, "what was refused was told");
}

async fn an_unknown_store_is_refused_as_such<F: Fixture>() {
    fn unknown<T: std::fmt::Debug>(answer: Result<T, StoreError>) {
        assert!(matches!(answer, Err(StoreError::UnknownStore(_))), "{answer:?}");
    }
    let world = F::open().await;
    let nowhere = StoreId(Ulid::from_parts(9, 9));
    let page = || PageRequest { after: None, limit: 10 };
    unknown(world.origin.write(nowhere, writes(&["doc:1#viewer@user:ann"])).await);
    unknown(world.origin.write(nowhere, WriteBatch::default()).await);
    unknown(world.origin.write_model(nowhere, authz::store::ModelId(Ulid::from_parts(1, 1)), "{}").await);
    unknown(world.origin.model(nowhere, authz::store::ModelId(Ulid::from_parts(1, 1))).await);
    unknown(world.origin.models(nowhere, PageRequest { after: None, limit: 10 }).await);
    unknown(world.origin.read_tuples(nowhere, TupleFilter::default(), PageRequest { after: None, limit: 10 }).await);
    unknown(world.origin.changes(nowhere, ChangeFilter::default(), page()).await);
    assert_eq!(world.origin.store(nowhere).await.unwrap(), None);
    assert_eq!(world.origin.delete_store(nowhere).await.unwrap(), None);
    assert_eq!(world.origin.snapshot().await.unwrap().latest_model(nowhere).await.unwrap(), None);
}

async fn revisions_grow_with_each_change<F: Fixture>() {
    let world = F::open().await;
    let mut last = world.origin.write(world.store, WriteBatch::default()).await.unwrap();
    for n in 0..20 {
        let next = world.origin.write(world.store, writes(&[&format!("doc:{n}#viewer@user:ann")])).await.unwrap();
        assert!(next.revision > last.revision);
        last = next;
    }
    let revisions: Vec<_> = world.sink.applied().iter().map(|logged| logged.revision).collect();
    assert!(revisions.is_sorted_by(|a, b| a < b), "{revisions:?}");
}

async fn a_conflict_leaves_concurrent_writes_alone<F: Fixture>() {
    let world = F::open().await;
    world.write(&["doc:0#viewer@user:ann"]).await;
    let attempts = (0..60).map(|n| {
        let text = if n % 3 == 0 { "doc:0#viewer@user:ann".to_owned() } else { format!("doc:{n}#viewer@user:ann") };
        let (origin, store) = (&world.origin, world.store);
        async move { (n, origin.write(store, writes(&[&text])).await) }
    });
    for (n, answer) in futures_util::future::join_all(attempts).await {
        assert_eq!(answer.is_ok(), n % 3 != 0, "write {n}: {answer:?}");
        assert!(n == 0 || world.has(&format!("doc:{n}#viewer@user:ann")).await == (n % 3 != 0));
    }
}
