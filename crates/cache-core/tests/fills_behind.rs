//! Fills of remote tiers behind the answer.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use cache_core::testing::{ALPHA, FakeLayer, Operation, TestKey, TestValue};
use cache_core::{CacheLayerExt, Chain, Lookup, Source};

fn chain(remote: &FakeLayer, capacity: usize) -> Chain<TestValue> {
    let local = FakeLayer::local("local");
    Chain::builder().tier(local).tier(remote.clone()).fills_behind(capacity).build().expect("a chain")
}

async fn load(chain: &Chain<TestValue>, name: &str) -> Source {
    let value = TestValue::new(name);
    let loaded = chain.get_or_load(&TestKey::new(ALPHA, name), |_| async move { Ok::<_, io::Error>(value) }).await;
    loaded.expect("loaded").source
}

/// Waits until the tier holds a key; the test's own time limit bounds it.
async fn held(chain: &Chain<TestValue>, remote: &FakeLayer, name: &str) {
    let source = TestKey::new(ALPHA, name);
    let key = chain.key(&source);
    while remote.get(&key).await.expect("asked").is_none() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn nobody_waits_for_a_remote_tier_that_hangs() {
    let remote = FakeLayer::remote("remote");
    let gate = remote.gate(Operation::Fill);
    gate.close();
    let chain = chain(&remote, 8);
    assert_eq!(load(&chain, "a").await, Source::Origin);
    assert_eq!(load(&chain, "a").await, Source::Tier("local"));
    gate.open();
    held(&chain, &remote, "a").await;
}

#[tokio::test]
async fn what_finds_no_place_is_dropped_and_counted_and_the_next_is_stored_again() {
    let remote = FakeLayer::remote("remote");
    let gate = remote.gate(Operation::Fill);
    gate.close();
    let chain = chain(&remote, 2);
    for name in ["a", "b", "c", "d", "e", "f"] {
        load(&chain, name).await;
        tokio::task::yield_now().await;
    }
    // One may be on its way, and two wait.
    let dropped = chain.statistics().fills_dropped;
    assert!((3..=4).contains(&dropped), "{dropped}");
    gate.open();
    held(&chain, &remote, "a").await;
    load(&chain, "g").await;
    held(&chain, &remote, "g").await;
    assert_eq!(chain.statistics().tiers[1].fill_errors, 0);
}

#[tokio::test]
async fn a_fill_that_comes_late_does_not_undo_an_invalidation() {
    let remote = FakeLayer::remote("remote");
    let gate = remote.gate(Operation::Fill);
    gate.close();
    let chain = chain(&remote, 8);
    let key = TestKey::new(ALPHA, "a");
    let tag = cache_core::tag!("row", 1);
    let loaded = chain.get_or_load(&key, |load| async move {
        load.read(tag);
        Ok::<_, io::Error>(TestValue::new("old"))
    });
    loaded.await.expect("loaded");
    chain.invalidate(tag).await.expect("invalidated");
    gate.open();
    held(&chain, &remote, "a").await;
    assert!(matches!(chain.get(&key).await, Lookup::Miss));
}

#[tokio::test]
async fn a_chain_that_is_gone_stores_what_waits_and_ends() {
    let remote = FakeLayer::remote("remote");
    let gate = remote.gate(Operation::Fill);
    gate.close();
    let chain = Arc::new(chain(&remote, 8));
    load(&chain, "a").await;
    let source = TestKey::new(ALPHA, "a");
    let name = chain.key(&source).encoded();
    drop(chain);
    gate.open();
    let other: Chain<TestValue> = Chain::builder().tier(remote.clone()).build().expect("a chain");
    assert_eq!(other.key(&source).encoded(), name);
    let stored = tokio::time::timeout(Duration::from_secs(5), held(&other, &remote, "a")).await;
    stored.expect("stored after its chain was gone");
}
