//! Inspection: what each tier has for a key, and why it may or may not be used.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;
use std::time::Duration;

use cache_core::sync::Std;
use cache_core::testing::{ALPHA, FakeLayer, TestClock, TestKey, TestValue};
use cache_core::{Chain, Clock, Draft, Holding, InProcessLog, Moment, ReadSet, Tag, TypeSet, Verdict};

type TestChain = Chain<TestValue>;

fn chain(clock: &Arc<TestClock>) -> (TestChain, FakeLayer, FakeLayer) {
    let (near, far) = (FakeLayer::local("near"), FakeLayer::remote("far"));
    let chain = Chain::builder()
        .tier(near.clone())
        .tier(far.clone())
        .log(Arc::new(InProcessLog::<Std>::new().unwrap()))
        .clock(Arc::clone(clock) as Arc<dyn Clock>)
        .build()
        .unwrap();
    (chain, near, far)
}

async fn holdings(chain: &TestChain, key: &TestKey) -> Vec<String> {
    let found = chain.inspect(&chain.key(key)).await;
    let word = |holding: &Holding<TestValue>| match holding {
        Holding::Off => "off".to_owned(),
        Holding::Absent => "absent".to_owned(),
        Holding::Usable(entry) => format!("usable {}", entry.value().text()),
        Holding::Stale(_) => "stale".to_owned(),
        Holding::Expired(_) => "expired".to_owned(),
        Holding::Rejected(_, Verdict::Killed) => "killed".to_owned(),
        Holding::Rejected(_, verdict) => format!("rejected {verdict:?}"),
        Holding::Error(error) => format!("error {:?}", error.kind()),
        _ => "something new".to_owned(),
    };
    found.iter().map(|inspection| format!("{}: {}", inspection.tier, word(&inspection.holding))).collect()
}

#[tokio::test]
async fn every_tier_says_what_it_has_and_why_it_may_not_be_used() {
    let clock = Arc::new(TestClock::default());
    let (chain, _, far) = chain(&clock);
    let key = TestKey::new(ALPHA, "one");
    assert_eq!(holdings(&chain, &key).await, ["near: absent", "far: absent"]);

    let tag = Tag::of("test").field(b"one").finish();
    let ends = clock.now().after(Duration::from_secs(5));
    let draft = |hard_expiry: Moment| Draft {
        value: TestValue::new("yes"),
        stamp: chain.ticket().stamp(),
        read_set: [tag].into_iter().collect::<ReadSet>(),
        types: TypeSet::default(),
        hard_expiry,
    };
    chain.fill(&chain.ticket(), &key, draft(ends)).await;
    assert_eq!(holdings(&chain, &key).await, ["near: usable yes", "far: usable yes"]);
    chain.switch_tier("near", false);
    far.fail_when(|_| true);
    let failed = holdings(&chain, &key).await;
    assert!(failed[0] == "near: off" && failed[1].starts_with("far: error"), "{failed:?}");
    chain.switch_tier("near", true);
    far.recover();

    chain.invalidate(tag).await.unwrap();
    assert_eq!(holdings(&chain, &key).await, ["near: killed", "far: killed"]);
    let another = TestKey::new(ALPHA, "two");
    chain.fill(&chain.ticket(), &another, draft(ends)).await;
    clock.advance(Duration::from_secs(6));
    assert_eq!(holdings(&chain, &another).await, ["near: expired", "far: expired"]);
}

#[tokio::test]
async fn an_inspection_is_not_counted() {
    let clock = Arc::new(TestClock::default());
    let (chain, _, _) = chain(&clock);
    chain.inspect(&chain.key(&TestKey::new(ALPHA, "one"))).await;
    assert!(chain.statistics().tiers.iter().all(|tier| tier.probes_total() == 0));
}
