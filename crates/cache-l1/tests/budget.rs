//! The bounds of the memory tier: what it takes stays, what does not fit is refused, and the budget holds.

use cache_core::testing::{ALPHA, TestKey, TestValue};
use cache_core::{Chain, Draft, Lookup, Moment, TypeSet};
use cache_l1::{MIN_BUDGET_BYTES, MemoryConfig, MemoryLayer};

fn layer(budget_bytes: u64) -> MemoryLayer<TestValue> {
    let config = MemoryConfig { budget_bytes, shards: Some(1), ..MemoryConfig::default() };
    MemoryLayer::new(config).expect("the settings are within their bounds")
}

async fn fill(chain: &Chain<TestValue>, name: &str, bytes: usize) {
    let ticket = chain.ticket();
    let draft = Draft {
        value: TestValue::new("x".repeat(bytes)),
        stamp: ticket.stamp(),
        read_set: [cache_core::tag!("row", name)].into_iter().collect(),
        types: TypeSet::default(),
        hard_expiry: Moment::NEVER,
    };
    chain.fill(&ticket, &TestKey::new(ALPHA, name), draft).await;
}

/// Asked for again it moves among the entries in use, where the library would drop it without a word if it did not fit.
#[tokio::test]
async fn the_largest_entry_that_is_taken_is_kept_when_it_is_asked_for_again() {
    let layer = layer(1 << 20);
    let largest = layer.max_entry_bytes() as usize;
    let chain = Chain::builder().tier(layer).build().expect("the parts fit");
    let source = TestKey::new(ALPHA, "large");
    // By what the tier adds to the heap of a value the largest value is smaller than the largest entry.
    let mut bytes = largest;
    while matches!(chain.get_now(&source), Lookup::Miss) {
        bytes -= 16;
        fill(&chain, "large", bytes).await;
    }
    assert!(largest - bytes < 400, "an entry adds {} bytes to its value", largest - bytes);
    for round in 0..10 {
        assert!(matches!(chain.get_now(&source), Lookup::Hit(_)));
        fill(&chain, &format!("small {round}"), 10).await;
    }
    assert!(
        matches!(chain.get_now(&source), Lookup::Hit(_)),
        "it was asked for ten times, and dropped for ten small ones"
    );
    let tier = &chain.statistics().tiers[0];
    assert_eq!(tier.stored, 11);
    assert!(tier.usage.weight_bytes <= tier.usage.capacity_bytes);
}

#[tokio::test]
async fn the_budget_holds_however_much_is_filled() {
    let chain = Chain::builder().tier(layer(1 << 20)).build().expect("the parts fit");
    for number in 0..20_000 {
        fill(&chain, &number.to_string(), number % 200).await;
    }
    let usage = chain.statistics().tiers[0].usage;
    assert!(usage.weight_bytes <= 1 << 20, "{usage:?}");
    assert!(usage.weight_bytes > (1 << 20) * 9 / 10, "{usage:?} leaves room unused");
}

#[tokio::test]
async fn a_budget_can_be_changed_while_a_chain_uses_the_tier_and_a_smaller_one_evicts_at_once() {
    let layer = layer(1 << 20);
    let handle = layer.handle();
    let chain = Chain::builder().tier(layer).build().expect("the parts fit");
    for number in 0..20_000 {
        fill(&chain, &number.to_string(), 10).await;
    }
    assert!(handle.resize(MIN_BUDGET_BYTES - 1).is_err(), "below the least budget");
    let before = chain.statistics().tiers[0].usage;
    handle.resize(MIN_BUDGET_BYTES).expect("the least budget is allowed");
    let after = chain.statistics().tiers[0].usage;
    assert_eq!(after.capacity_bytes, MIN_BUDGET_BYTES);
    assert!(after.weight_bytes <= MIN_BUDGET_BYTES && after.entries < before.entries / 8, "{before:?} {after:?}");
}
