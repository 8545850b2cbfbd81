//! What the wrappers add to a tier; that they leave its laws alone is the conformance suite's to say.

use std::sync::Arc;
use std::time::Duration;

use cache_core::testing::{ALPHA, FakeLayer, Operation, TestClock, TestKey, TestValue};
use cache_core::wrap::{Deadline, Late, Switch};
use cache_core::{CacheLayer, CacheLayerExt, Chain, Clock, ErrorKind, Lookup, Source};

const LIMIT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn a_tier_that_does_not_answer_in_time_is_an_error_and_costs_no_more_than_that_time() {
    let (slow, clock) = (FakeLayer::remote("slow"), Arc::new(TestClock::default()));
    let chain = Chain::<TestValue>::builder()
        .tier(Deadline::new(slow.clone(), LIMIT, Arc::clone(&clock) as Arc<dyn Clock>))
        .clock(Arc::clone(&clock) as Arc<dyn Clock>)
        .build()
        .expect("the parts fit");
    slow.gate(Operation::Get).close();
    slow.gate(Operation::Fill).close();
    let source = TestKey::new(ALPHA, "one");
    let (lookup, ()) = tokio::join!(chain.get(&source), async {
        slow.gate(Operation::Get).reached().await;
        clock.advance(LIMIT);
    });
    let Lookup::Error(errors) = lookup else { panic!("no answer is no miss") };
    assert_eq!(errors[0].kind(), ErrorKind::Timeout);
    assert_eq!(errors[0].to_string(), "slow get: no answer within 50 ms; look at the backend, or give it more time");

    let load = chain.get_or_load(&source, |_| async { Ok::<_, std::io::Error>(TestValue::new("loaded")) });
    let (answer, ()) = tokio::join!(load, async {
        slow.gate(Operation::Get).reached().await;
        clock.advance(LIMIT);
        slow.gate(Operation::Fill).reached().await;
        clock.advance(LIMIT);
    });
    assert_eq!(answer.expect("the origin answers").source, Source::Origin);
    assert_eq!(chain.statistics().tiers[0].fill_errors, 1);
    assert_eq!(clock.sleepers(), 0);
}

#[tokio::test]
async fn a_switch_hides_a_tier_and_lets_removals_through() {
    let layer = FakeLayer::remote("remote");
    let (switched, handle) = Switch::new(layer.clone());
    let chain = Chain::<TestValue>::builder().tier(FakeLayer::local("other")).build().expect("the parts fit");
    let source = TestKey::new(ALPHA, "one");
    let key = chain.key(&source);
    handle.set(false);
    assert!(!handle.is_on());
    assert!(CacheLayerExt::<TestValue>::get(&switched, &key).await.expect("answers").is_none());
    assert_eq!((layer.calls(Operation::Get), layer.calls(Operation::Fill)), (0, 0));
    CacheLayer::<TestValue>::clear(&switched).await.expect("cleared");
    CacheLayerExt::<TestValue>::remove(&switched, &key).await.expect("removed");
    assert_eq!((layer.calls(Operation::Clear), layer.calls(Operation::Remove)), (1, 1));
    handle.set(true);
    assert!(CacheLayerExt::<TestValue>::get(&switched, &key).await.expect("answers").is_none());
    assert_eq!(layer.calls(Operation::Get), 1);
}

#[tokio::test]
async fn a_tier_that_comes_later_has_nothing_before_and_learns_whose_history_it_holds() {
    let tier = FakeLayer::remote("remote");
    let (late, handle) = Late::new("remote", CacheLayer::<TestValue>::capabilities(&tier));
    let chain = Chain::<TestValue>::builder().tier(late).build().expect("the parts fit");
    let source = TestKey::new(ALPHA, "one");
    let load = || chain.get_or_load(&source, |_| async { Ok::<_, std::io::Error>(TestValue::new("loaded")) });
    assert_eq!(load().await.expect("loaded").source, Source::Origin);
    assert!(tier.is_empty());
    assert!(handle.put(tier.clone()));
    assert_eq!(tier.bound(), chain.log().identity());
    assert_eq!(load().await.expect("loaded").source, Source::Origin);
    assert_eq!(load().await.expect("loaded").source, Source::Tier("remote"));
    assert!(!handle.put(FakeLayer::remote("remote")), "the place is taken");
}
