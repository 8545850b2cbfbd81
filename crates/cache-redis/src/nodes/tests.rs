use cache_core::testing::{FixedEntropy, TestClock};

use super::*;

fn nodes() -> Nodes {
    let config = RedisConfig::at("redis+cluster://:hunter2@10.0.0.1:1");
    Nodes::new(&config, Arc::new(TestClock::default()), Arc::new(FixedEntropy(7))).expect("a cluster")
}

fn said(ranges: &[(i64, i64, i64)]) -> Value {
    let range = |(first, last, port): &(i64, i64, i64)| {
        let master = Value::Array(vec![Value::BulkString(b"10.0.0.1".to_vec()), Value::Int(*port)]);
        Value::Array(vec![Value::Int(*first), Value::Int(*last), master])
    };
    Value::Array(ranges.iter().map(range).collect())
}

fn learn(nodes: &Nodes, ranges: &[(i64, i64, i64)]) {
    nodes.learn(ranges_of(&said(ranges), "").expect("an answer"), &[]);
}

fn address(nodes: &Nodes, slot: u16) -> Option<String> {
    nodes.known()?.node(slot).map(|node| node.address.clone())
}

#[tokio::test]
async fn a_slot_belongs_to_the_node_of_its_range_or_to_nobody() {
    let nodes = nodes();
    assert_eq!(address(&nodes, 0), None, "as long as nobody has said it");
    learn(&nodes, &[(8_000, 12_000, 2), (0, 7_999, 1), (15_000, 16_383, 1)]);
    let port = |slot| address(&nodes, slot).map(|address| address.rsplit_once(':').expect("a port").1.to_owned());
    for (slot, node) in [(0, "1"), (7_999, "1"), (8_000, "2"), (12_000, "2"), (16_383, "1")] {
        assert_eq!(port(slot).as_deref(), Some(node), "{slot}");
    }
    assert_eq!((port(12_001), port(14_999)), (None, None));
    assert_eq!(nodes.a_slot_of_each().len(), 2);
}

#[tokio::test]
async fn a_slot_that_moved_is_elsewhere_until_all_are_asked_for_again() {
    let nodes = nodes();
    learn(&nodes, &[(0, 16_383, 1)]);
    for slot in 0..2 * MAX_MOVED as u16 {
        nodes.moved(slot, "10.0.0.1:2").expect("an address");
    }
    assert_eq!(address(&nodes, 511).as_deref(), Some("10.0.0.1:2"));
    assert_eq!(nodes.known().expect("known").moved.len(), MAX_MOVED);
    assert_eq!(address(&nodes, 600).as_deref(), Some("10.0.0.1:1"));
    assert!(nodes.moved(1, "nonsense:port").is_none());
    learn(&nodes, &[(0, 16_383, 1)]);
    assert_eq!(address(&nodes, 511).as_deref(), Some("10.0.0.1:1"));
}

#[tokio::test]
async fn a_node_that_moves_keeps_its_breaker() {
    let nodes = nodes();
    learn(&nodes, &[(0, 8_000, 1), (8_001, 16_383, 2)]);
    nodes.known().and_then(|slots| slots.node(0).cloned()).expect("a node").breaker.open();
    learn(&nodes, &[(0, 8_000, 2), (8_001, 16_383, 1)]);
    let state = |slot| nodes.known().and_then(|slots| slots.node(slot).cloned()).map(|node| node.breaker.state());
    assert_eq!((state(9_000), state(0)), (Some(BreakerState::Open), Some(BreakerState::Closed)));
    assert_eq!((nodes.state(), nodes.opened(), nodes.statistics().len()), (BreakerState::Open, 1, 2));
}

#[test]
fn nonsense_is_no_answer_and_a_node_without_a_name_is_the_one_that_was_asked() {
    for nonsense in [Value::Nil, Value::Array(vec![Value::Int(1)]), said(&[(0, 70_000, 1)])] {
        assert_eq!(ranges_of(&nonsense, "a"), None, "{nonsense:?}");
    }
    let master = Value::Array(vec![Value::Nil, Value::Int(7)]);
    let answer = Value::Array(vec![Value::Array(vec![Value::Int(0), Value::Int(1), master])]);
    assert_eq!(ranges_of(&answer, "10.0.0.9"), Some(vec![(0, 1, "10.0.0.9:7".to_owned())]));
}

/// The example of Redis' specification of clusters.
#[test]
fn a_slot_is_what_redis_says_it_is() {
    assert_eq!(Routed::new(Cmd::new(), "123456789").slot, 0x31c3);
}
