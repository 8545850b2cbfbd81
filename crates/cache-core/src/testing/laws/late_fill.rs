//! A fill that was under way when something was invalidated lands, and is not served: on each path that fills.
//!
//! Every law does the same on its own path: a value is read, the fill is held up before the tier, the invalidation happens, the
//! fill lands.

use super::coherence::{assert_gone, kill, kills, leads, target, target_tags};
use super::storage::{found, put};
use super::takes_fills;
use crate::testing::{FakeLayer, Fixture, Operation, SharedLayer, TestKey, TestValue, World};
use crate::{Draft, Kill, Lookup};

fn old(world: &World) -> Draft<TestValue> {
    world.draft(TestValue::new("old"), &target_tags())
}

/// Holds the tier's fills up, runs `fill` up to there, kills, lets the fill land.
async fn overtaken<T>(world: &World, how: &Kill, fill: impl Future<Output = T>) -> T {
    world.tier.fills().close();
    let (result, ()) = tokio::join!(fill, async {
        world.tier.fills().reached().await;
        kill(world, how).await;
        world.tier.fills().open();
    });
    result
}

async fn landed(world: &World, source: &TestKey, how: &Kill) {
    let held = found(&world.tier, &world.chain.key(source)).await;
    assert_eq!(held, Some(TestValue::new("old")), "the law is about a fill that lands");
    assert_gone(world, source, how).await;
}

/// The value was read by a loader before the invalidation, and comes back after it.
pub async fn a_late_load_does_not_undo_an_invalidation<F: Fixture>(fixture: F) {
    for how in kills() {
        let world = World::of(&fixture).await;
        if !takes_fills("a_late_load_does_not_undo_an_invalidation", &world.tier) {
            return;
        }
        let (source, how, world) = (target(), &how, &world);
        let load = |load: crate::Load| async move {
            target_tags().into_iter().for_each(|tag| load.read(tag));
            kill(world, how).await;
            Ok::<_, std::io::Error>(TestValue::new("old"))
        };
        let answer = world.chain.get_or_load(&source, load).await.expect("who asked before gets what was read before");
        assert_eq!(answer.value(), &TestValue::new("old"));
        for tier in &world.tiers {
            assert_eq!(found(tier, &world.chain.key(&source)).await, None, "what is dead on arrival is not stored");
        }
        assert_gone(world, &source, how).await;
    }
}

/// The loader was in time, the tier was slow.
pub async fn a_late_fill_does_not_undo_an_invalidation<F: Fixture>(fixture: F) {
    for how in kills() {
        let world = World::of(&fixture).await;
        if !takes_fills("a_late_fill_does_not_undo_an_invalidation", &world.tier) {
            return;
        }
        let source = target();
        let load = |load: crate::Load| async move {
            target_tags().into_iter().for_each(|tag| load.read(tag));
            Ok::<_, std::io::Error>(TestValue::new("old"))
        };
        overtaken(&world, &how, world.chain.get_or_load(&source, load)).await.expect("loaded");
        landed(&world, &source, &how).await;
    }
}

/// The same for values that are filled together.
pub async fn a_late_batch_does_not_undo_an_invalidation<F: Fixture>(fixture: F) {
    for how in kills() {
        let world = World::of(&fixture).await;
        if !takes_fills("a_late_batch_does_not_undo_an_invalidation", &world.tier) {
            return;
        }
        let (source, other) = (target(), TestKey::new(crate::testing::BETA, "other"));
        let ticket = world.chain.ticket();
        let drafts = vec![
            (world.chain.key(&other), world.draft(TestValue::new("other"), &[])),
            (world.chain.key(&source), old(&world)),
        ];
        overtaken(&world, &how, world.chain.fill_many(&ticket, drafts)).await;
        landed(&world, &source, &how).await;
        if how != Kill::All && !matches!(world.chain.get(&other).await, Lookup::Hit(_)) {
            panic!("{how:?} took a value along that it has nothing to do with");
        }
    }
}

/// The same for a part that one load computes for others.
pub async fn a_late_part_does_not_undo_an_invalidation<F: Fixture>(fixture: F) {
    for how in kills() {
        let world = World::of(&fixture).await;
        if !takes_fills("a_late_part_does_not_undo_an_invalidation", &world.tier) {
            return;
        }
        let source = target();
        let key = world.chain.key(&source);
        let ticket = world.chain.ticket();
        let leader = leads(world.chain.join_part(&key, u64::MAX, world.chain.invoked()));
        overtaken(&world, &how, world.chain.publish_part(&ticket, &key, leader, old(&world))).await;
        landed(&world, &source, &how).await;
    }
}

/// The same for a copy from a lower tier: held up on its way out of that one, and on its way into this one.
pub async fn a_late_promotion_does_not_undo_an_invalidation<F: Fixture>(fixture: F) {
    for how in kills() {
        let lower = FakeLayer::remote("lower");
        let last = SharedLayer::new(lower.clone());
        let world = World::between(&fixture, Vec::new(), vec![last.clone()]).await;
        if !takes_fills("a_late_promotion_does_not_undo_an_invalidation", &world.tier) {
            return;
        }
        let source = target();
        let key = world.chain.key(&source);
        put(&last, &key, old(&world)).await;

        lower.gate(Operation::Get).close();
        let (lookup, ()) = tokio::join!(world.chain.get(&source), async {
            lower.gate(Operation::Get).reached().await;
            kill(&world, &how).await;
            lower.gate(Operation::Get).open();
        });
        assert!(matches!(lookup, Lookup::Miss), "{how:?} came before the look-up's end, and its value was served");
        assert_eq!(found(&world.tier, &key).await, None, "what is dead is not copied");

        put(&last, &key, old(&world)).await;
        overtaken(&world, &how, world.chain.get(&source)).await;
        landed(&world, &source, &how).await;
    }
}
