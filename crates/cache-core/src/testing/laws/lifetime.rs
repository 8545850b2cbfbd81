//! Time ends values: their own end, a tier's, and a soft one.

use std::time::Duration;

use super::storage::{COARSEST_END, put};
use super::takes_fills;
use crate::testing::{ALPHA, BETA, FakeLayer, Fixture, SharedLayer, TestKey, TestValue, World};
use crate::{
    CacheLayer, CacheLayerExt, CacheType, Clock, Draft, FillOutcome, Lifetime, Lookup, Moment, Policy, Source,
};

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn ending(world: &World, after: Duration) -> Draft<TestValue> {
    Draft { hard_expiry: world.clock.now().after(after), ..world.draft(TestValue::new("old"), &[]) }
}

async fn end_in(tier: &SharedLayer, world: &World, source: &TestKey) -> Moment {
    tier.get(&world.chain.key(source)).await.expect("asked").expect("found").hard_expiry()
}

/// At its end, not after it.
pub async fn an_expired_value_is_a_miss<F: Fixture>(fixture: F) {
    let world = World::of(&fixture).await;
    if !takes_fills("an_expired_value_is_a_miss", &world.tier) {
        return;
    }
    let source = TestKey::new(ALPHA, "one");
    world.chain.fill(&world.chain.ticket(), &source, ending(&world, seconds(10))).await;
    world.clock.advance(seconds(10) - COARSEST_END - Duration::from_millis(1));
    assert!(matches!(world.chain.get(&source).await, Lookup::Hit(_)));
    world.clock.advance(COARSEST_END + Duration::from_millis(1));
    assert!(matches!(world.chain.get_now(&source), Lookup::Miss));
    assert!(matches!(world.chain.get(&source).await, Lookup::Miss));
    let refused = world.chain.fill(&world.chain.ticket(), &source, ending(&world, seconds(0))).await;
    assert_eq!(refused, FillOutcome::Refused, "what is over is not stored");
}

/// However long the tiers would keep it.
pub async fn a_value_never_outlives_its_own_end_in_any_tier<F: Fixture>(fixture: F) {
    let policy = Policy::default().default_ttl(seconds(3_600));
    let world = World::with(&fixture, policy, Vec::new(), Vec::new()).await;
    if !takes_fills("a_value_never_outlives_its_own_end_in_any_tier", &world.tier) {
        return;
    }
    let source = TestKey::new(ALPHA, "one");
    let own_end = world.clock.now().after(seconds(7));
    world.chain.fill(&world.chain.ticket(), &source, ending(&world, seconds(7))).await;
    for tier in &world.tiers {
        let end = end_in(tier, &world, &source).await;
        assert!(end <= own_end, "{tier:?} ends it at {end:?}, after {own_end:?}");
    }
}

/// Copying upwards does not start a lifetime anew.
pub async fn a_promoted_value_never_outlives_the_tier_that_it_came_from<F: Fixture>(fixture: F) {
    let policy = Policy::default().default_ttl(seconds(3_600));
    let last = SharedLayer::new(FakeLayer::remote("last"));
    let world = World::with(&fixture, policy, Vec::new(), vec![last.clone()]).await;
    if !takes_fills("a_promoted_value_never_outlives_the_tier_that_it_came_from", &world.tier) {
        return;
    }
    let source = TestKey::new(ALPHA, "one");
    let end = world.clock.now().after(seconds(30));
    put(&last, &world.chain.key(&source), ending(&world, seconds(30))).await;
    world.clock.advance(seconds(20));
    assert!(world.chain.get(&source).await.hit().is_some());
    for tier in &world.tiers {
        let kept = end_in(tier, &world, &source).await;
        assert!(kept <= end, "{tier:?} ends it at {kept:?}, after {end:?}");
    }
    world.clock.advance(seconds(10));
    assert!(matches!(world.chain.get(&source).await, Lookup::Miss));
}

/// What is set for one type in one tier is neither another type's nor another tier's.
pub async fn a_lifetime_belongs_to_its_tier_and_type<F: Fixture>(fixture: F) {
    let name = World::alone(&fixture).await.tier.name();
    let policy = Policy::default()
        .jitter_percent(0)
        .default_ttl(seconds(60))
        .lifetime(name, ALPHA, Lifetime::of(seconds(10)))
        .lifetime("last", BETA, Lifetime::of(seconds(20)));
    let last = SharedLayer::new(FakeLayer::remote("last"));
    let world = World::with(&fixture, policy, Vec::new(), vec![last.clone()]).await;
    if !takes_fills("a_lifetime_belongs_to_its_tier_and_type", &world.tier) {
        return;
    }
    let source = |cache_type: CacheType| TestKey::new(cache_type, "one");
    for cache_type in [ALPHA, BETA] {
        let draft = world.draft(TestValue::new("here"), &[]);
        world.chain.fill(&world.chain.ticket(), &source(cache_type), draft).await;
    }
    let expected = [(&world.tier, ALPHA, 10), (&world.tier, BETA, 60), (&last, ALPHA, 60), (&last, BETA, 20)];
    for (tier, cache_type, ttl) in expected {
        let told = world.clock.now().after(seconds(ttl));
        let kept = end_in(tier, &world, &source(cache_type)).await;
        assert!(
            kept <= told && told.since(kept) <= COARSEST_END,
            "{tier:?} ends {cache_type:?} at {kept:?}, not at {told:?}"
        );
    }
}

/// It is still served to who asks for a look-up; who can load gets a new one.
pub async fn a_value_past_its_soft_end_is_a_stale_hit_and_is_loaded_anew<F: Fixture>(fixture: F) {
    let lifetime = Lifetime { hard: seconds(60), soft: seconds(10) };
    let name = World::alone(&fixture).await.tier.name();
    let policy = Policy::default().jitter_percent(0).lifetime(name, ALPHA, lifetime);
    let world = World::with(&fixture, policy, Vec::new(), Vec::new()).await;
    if !takes_fills("a_value_past_its_soft_end_is_a_stale_hit_and_is_loaded_anew", &world.tier) {
        return;
    }
    let others = world.tiers.iter().filter(|tier| tier.name() != name);
    others.for_each(|tier| assert!(world.chain.switch_tier(tier.name(), false)));
    let source = TestKey::new(ALPHA, "one");
    world.chain.fill(&world.chain.ticket(), &source, world.draft(TestValue::new("old"), &[])).await;
    assert!(matches!(world.chain.get(&source).await, Lookup::Hit(_)));
    world.clock.advance(seconds(11));
    assert!(matches!(world.chain.get(&source).await, Lookup::StaleHit(_)));
    let load = |_| async { Ok::<_, std::io::Error>(TestValue::new("new")) };
    let answer = world.chain.get_or_load(&source, load).await.expect("loaded");
    assert_eq!((answer.source, answer.value()), (Source::Origin, &TestValue::new("new")));
    assert!(matches!(world.chain.get(&source).await, Lookup::Hit(hit) if *hit.value() == TestValue::new("new")));
}

/// It is no miss: nobody loads what is known not to be there.
pub async fn a_value_that_says_there_is_nothing_is_a_negative_hit<F: Fixture>(fixture: F) {
    let world = World::of(&fixture).await;
    let source = TestKey::new(ALPHA, "one");
    world.fill(&source, world.draft(TestValue::nothing(), &[])).await;
    assert!(matches!(world.chain.get(&source).await, Lookup::NegativeHit(_)));
    let answer =
        world.chain.get_or_load(&source, |_| async { Err::<TestValue, _>(std::io::Error::other("asked")) }).await;
    assert!(matches!(answer.expect("nobody was asked").source, Source::Tier(_)));
}
