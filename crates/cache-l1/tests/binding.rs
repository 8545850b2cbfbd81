//! What a memory tier does when another history begins: what it has from tiers below has stamps of the old one.

use cache_core::testing::{ALPHA, SharedLayer, TestKey, TestValue};
use cache_core::{CacheLayer as _, Chain, Draft, Identity, Lookup, Moment, Stamp, TypeSet};
use cache_l1::{MemoryConfig, MemoryLayer};

#[tokio::test]
async fn another_history_empties_it_and_the_first_one_does_not() {
    let tier = SharedLayer::new(MemoryLayer::<TestValue>::new(MemoryConfig::default()).expect("the defaults fit"));
    let chain = Chain::builder().tier(tier.clone()).build().expect("the parts fit");
    let identity = chain.log().identity().expect("a log in this process has one");
    let key = TestKey::new(ALPHA, "x");
    // From a tier below, whose fills know more than this process: no floor of here reaches it.
    let ahead = Draft {
        value: TestValue::new("x"),
        stamp: Stamp::new(u64::MAX),
        read_set: std::iter::empty().collect(),
        types: TypeSet::default(),
        hard_expiry: Moment::NEVER,
    };
    chain.fill(&chain.ticket(), &key, ahead).await;
    tier.bind(identity);
    assert!(matches!(chain.get(&key).await, Lookup::Hit(_)), "it is the same history");
    tier.bind(Identity([7; 16]));
    assert!(matches!(chain.get(&key).await, Lookup::Miss));
    assert_eq!(tier.usage().entries, 0);
}
