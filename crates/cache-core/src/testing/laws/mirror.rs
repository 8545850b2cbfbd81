//! A tier that mirrors an origin: it has what was written there, and takes nothing by fills.

use std::time::Duration;

use super::coherence::{assert_gone, kill, kills, target, target_tags};
use super::does_not_apply;
use super::storage::{found, put};
use crate::testing::{ALPHA, FakeLayer, Fixture, SharedLayer, TestKey, TestValue, World};
use crate::{CacheLayer, CacheLayerExt, Clock, FillOutcome, Filled, Moment, Policy, Stamp, Ticket, TypeSet, tag};

/// Whether a tier mirrors; where it does not, says that the law is about those that do.
fn mirrors(law: &str, tier: &SharedLayer) -> bool {
    let fillable = tier.capabilities().fillable;
    if fillable {
        does_not_apply(law, tier, "it takes fills");
    }
    !fillable
}

/// A chain offers it none, and one that comes all the same is no error.
pub async fn a_tier_that_takes_no_fills_keeps_none<F: Fixture>(fixture: F) {
    let world = World::alone(&fixture).await;
    if !mirrors("a_tier_that_takes_no_fills_keeps_none", &world.tier) {
        return;
    }
    let source = TestKey::new(ALPHA, "one");
    let key = world.chain.key(&source);
    let draft = world.draft(TestValue::new("told"), &[tag!("row", 1)]);
    let outcome = world.chain.fill(&world.chain.ticket(), &source, draft.clone()).await;
    assert_eq!((outcome, world.chain.statistics().tiers[0].stored), (FillOutcome::Offered, 0));
    let fill = Ticket::new(0, draft.stamp).fill(key, draft, Moment::NEVER, None);
    assert_eq!(world.tier.fill(&fill).await.expect("no error"), Filled::default());
    assert_eq!(found(&world.tier, &key).await, None);
}

/// The stamp is the view's, also for rows that were there before; types are the key's, and there is no end.
pub async fn a_mirrored_row_is_found_with_the_stamp_of_its_view_and_its_tags<F: Fixture>(fixture: F) {
    let world = World::alone(&fixture).await;
    if !mirrors("a_mirrored_row_is_found_with_the_stamp_of_its_view_and_its_tags", &world.tier) {
        return;
    }
    let (one, two) = (TestKey::new(ALPHA, "one").naming("user", "ann"), TestKey::new(ALPHA, "two"));
    let keys = [world.chain.key(&one), world.chain.key(&two)];
    for stamp in [3, 7, 1 << 40] {
        for (key, row) in keys.iter().zip(1_u64..) {
            let mut draft = world.draft(TestValue::new(stamp.to_string()), &[tag!("row", row), tag!("any")]);
            draft.stamp = Stamp::new(stamp);
            let read_set = draft.read_set.clone();
            put(&world.tier, key, draft).await;
            let entry = world.tier.get(key).await.expect("asked").expect("found");
            assert_eq!(entry.value(), &TestValue::new(stamp.to_string()));
            assert_eq!((entry.stamp(), entry.tags()), (Stamp::new(stamp), read_set.tags()));
            assert_eq!((entry.types(), entry.hard_expiry()), (TypeSet::of(ALPHA), Moment::NEVER));
        }
        let entries = world.tier.get_many(&keys).await.expect("asked");
        assert!(entries.iter().flatten().all(|entry| entry.stamp() == Stamp::new(stamp)) && entries.len() == 2);
    }
}

/// What it has ends nowhere by itself: a copy ends by the lifetime of the tier that it is in, and by what is killed.
pub async fn a_mirrored_row_is_copied_upwards_with_its_stamp_and_an_end<F: Fixture>(fixture: F) {
    const LAW: &str = "a_mirrored_row_is_copied_upwards_with_its_stamp_and_an_end";
    for how in kills() {
        let first = SharedLayer::new(FakeLayer::remote("first"));
        let policy = Policy::default().jitter_percent(0).default_ttl(Duration::from_secs(30));
        let world = World::with(&fixture, policy, vec![first.clone()], Vec::new()).await;
        if !mirrors(LAW, &world.tier) {
            return;
        }
        let source = target();
        let key = world.chain.key(&source);
        let draft = world.draft(TestValue::new("old"), &target_tags());
        let stamp = draft.stamp;
        put(&world.tier, &key, draft).await;
        for row in 10..20 {
            kill(&world, &crate::Kill::Tag(tag!("row", row))).await;
        }
        let hit = world.chain.get(&source).await.hit();
        assert_eq!(hit.map(|hit| hit.tier), Some(world.tier.name()));
        let copy = first.get(&key).await.expect("asked").expect("copied upwards");
        assert_eq!((copy.stamp(), copy.tags().len()), (stamp, 2));
        assert!(copy.hard_expiry() <= world.clock.now().after(Duration::from_secs(30)), "{:?}", copy.hard_expiry());
        kill(&world, &how).await;
        assert_gone(&world, &source, &how).await;
    }
}
