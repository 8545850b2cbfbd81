//! A tier that fails is skipped and reported; it is never taken for one that has nothing.

use super::does_not_apply;
use super::storage::{found, put};
use crate::testing::{ALPHA, FakeLayer, Fixture, SharedLayer, TestKey, TestValue, World};
use crate::{CacheLayer, CacheLayerExt, Error, ErrorKind, Fill, FillOutcome, Kill, Lookup, Source, Ticket};

fn failing(name: &'static str) -> SharedLayer {
    let layer = FakeLayer::remote(name);
    layer.fail_when(|_| true);
    SharedLayer::new(layer)
}

fn places(errors: &[Error]) -> Vec<&'static str> {
    errors.iter().map(Error::place).collect()
}

async fn loaded(world: &World, source: &TestKey) -> Source {
    let load = |_| async { Ok::<_, std::io::Error>(TestValue::new("loaded")) };
    world.chain.get_or_load(source, load).await.expect("the origin answers").source
}

/// For tiers with a backend. A retry may help, and the origin answers meanwhile.
pub async fn an_unreachable_backend_is_an_error_not_a_miss<F: Fixture>(fixture: F) {
    let world = World::of(&fixture).await;
    let setting = crate::testing::Setting::default();
    let Some(tier) = fixture.unreachable(&setting).await else {
        return does_not_apply("an_unreachable_backend_is_an_error_not_a_miss", &world.tier, "it has no backend");
    };
    let source = TestKey::new(ALPHA, "one");
    let key = world.chain.key(&source);
    let draft = world.draft(TestValue::new("lost"), &[]);
    let fill: Fill<'_, _> = Ticket::new(0, draft.stamp).fill(key, draft.clone(), draft.hard_expiry, None);
    let mut errors = vec![tier.get(&key).await.expect_err("can't be asked")];
    if tier.capabilities().fillable {
        errors.push(tier.fill(&fill).await.expect_err("can't be filled"));
        errors.push(tier.remove(&key).await.expect_err("can't be told to forget"));
        errors.push(tier.clear().await.expect_err("can't be told to forget"));
    }
    for error in errors {
        assert!(matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::Timeout), "{error:?}");
        assert!(error.is_retryable(), "{error:?}");
        assert_eq!(error.place(), tier.name(), "{error:?} does not say where");
    }
}

/// Nor is it the end: the origin answers, and the error is counted.
pub async fn an_error_of_a_tier_is_not_a_miss<F: Fixture>(fixture: F) {
    let world = World::between(&fixture, vec![failing("first")], vec![failing("last")]).await;
    let source = TestKey::new(ALPHA, "one");
    match world.chain.get(&source).await {
        Lookup::Error(errors) => {
            assert_eq!(places(&errors), ["first", "last"], "the errors, in the order of the tiers")
        }
        other => panic!("two tiers could not say, and the look-up said {other:?}"),
    }
    assert_eq!(loaded(&world, &source).await, Source::Origin);
    let statistics = world.chain.statistics();
    let first = &statistics.tiers[0];
    assert_eq!((first.stored, first.fill_errors), (0, 1));
    assert_eq!(first.probes(crate::telemetry::Outcome::Miss), 0);
    assert!(first.probes(crate::telemetry::Outcome::Error) > 0);
}

/// Neither in a look-up nor in a fill.
pub async fn an_error_of_one_tier_does_not_stop_the_next<F: Fixture>(fixture: F) {
    let world = World::between(&fixture, vec![failing("first")], vec![failing("last")]).await;
    let (source, other) = (TestKey::new(ALPHA, "one"), TestKey::new(ALPHA, "two"));
    let draft = world.draft(TestValue::new("here"), &[]);
    assert_eq!(world.fill(&source, draft).await, FillOutcome::Offered);
    for tier in &world.tiers[1..world.tiers.len() - 1] {
        assert_eq!(found(tier, &world.chain.key(&source)).await, Some(TestValue::new("here")), "in {tier:?}");
    }
    assert!(matches!(world.chain.get(&source).await, Lookup::Hit(_)));
    let keys = [world.chain.key(&other), world.chain.key(&source)];
    let lookups = world.chain.find_many(&keys).await;
    assert!(matches!(lookups.as_slice(), [Lookup::Error(_), Lookup::Hit(_)]), "{lookups:?}");
}

/// Also those behind one that fails.
pub async fn clearing_reaches_every_tier_and_gathers_every_error<F: Fixture>(fixture: F) {
    let world = World::between(&fixture, vec![failing("first")], vec![failing("last")]).await;
    let source = TestKey::new(ALPHA, "one");
    let key = world.chain.key(&source);
    put(&world.tier, &key, world.draft(TestValue::new("here"), &[])).await;
    let invalidated = world.chain.invalidate_all_of(vec![Kill::All]).await.expect("the log took it");
    assert_eq!(places(&invalidated.errors), ["first", "last"]);
    // A tier that takes no fills keeps what it mirrors, and it is passed over.
    assert!(found(&world.tier, &key).await.is_none() || !world.tier.capabilities().fillable);
    assert!(!matches!(world.chain.get(&source).await, Lookup::Hit(_)));
}

/// Also those behind one that fails.
pub async fn removing_reaches_every_tier_and_gathers_every_error<F: Fixture>(fixture: F) {
    let world = World::between(&fixture, vec![failing("first")], vec![failing("last")]).await;
    let source = TestKey::new(ALPHA, "one");
    let key = world.chain.key(&source);
    put(&world.tier, &key, world.draft(TestValue::new("here"), &[])).await;
    assert_eq!(places(&world.chain.remove(&source).await), ["first", "last"]);
    assert!(found(&world.tier, &key).await.is_none() || !world.tier.capabilities().fillable);
}

/// What it holds is judged like everything else once it is on again.
pub async fn a_tier_that_is_switched_off_is_neither_asked_nor_filled<F: Fixture>(fixture: F) {
    let world = World::alone(&fixture).await;
    let (source, other) = (TestKey::new(ALPHA, "one"), TestKey::new(ALPHA, "two"));
    let tag = crate::tag!("row", 1);
    world.fill(&source, world.draft(TestValue::new("here"), &[tag])).await;
    let probes = || world.chain.statistics().tiers[0].probes_total();

    assert!(world.chain.switch_tier(world.tier.name(), false));
    let before = probes();
    assert!(matches!(world.chain.get(&source).await, Lookup::Miss));
    assert_eq!(loaded(&world, &other).await, Source::Origin);
    assert_eq!(probes(), before, "it was asked");
    assert_eq!(found(&world.tier, &world.chain.key(&other)).await, None, "it was filled");

    assert!(world.chain.switch_tier(world.tier.name(), true));
    assert!(matches!(world.chain.get(&source).await, Lookup::Hit(_)));
    world.chain.switch_tier(world.tier.name(), false);
    world.chain.invalidate(tag).await.expect("the log took it");
    world.chain.switch_tier(world.tier.name(), true);
    assert!(matches!(world.chain.get(&source).await, Lookup::Miss), "it was invalidated while the tier was off");
    assert!(!world.chain.switch_tier("nowhere", true));
}
