//! Whom a breaker speaks of: the one server, or each node of a cluster, so that a node which is dead or slow costs no key of another one.
//!
//! The cluster's client knows which node has a slot, and does not tell. So we ask as well (CLUSTER SLOTS), behind the answers: when the first
//! command was sent, every few seconds from then on, and sooner after a failure. Before that is known, and while it is out of date, a failure is
//! counted against the wrong node, which costs misses for some seconds and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use cache_core::{Clock, Entropy};
use redis::aio::ConnectionLike as _;
use redis::{Cmd, Value};
use tokio::time::timeout;

use crate::breaker::{Breaker, BreakerConfig, BreakerState};
use crate::connect::Link;

/// Slots of a cluster, which Redis fixes.
const SLOTS: u16 = 16_384;
/// How often the slots are asked for.
const ASK_INTERVAL_MS: u64 = 10_000;
/// How soon after the last time where something has failed since.
const ASK_AGAIN_MS: u64 = 1_000;
/// How long a node may take to say them.
const ASK_TIMEOUT: Duration = Duration::from_secs(1);

/// What the breaker of one node of a cluster did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeStatistics {
    /// `host:port`, as the cluster says it.
    pub address: String,
    /// What its breaker lets through.
    pub breaker: BreakerState,
    /// How often its breaker has opened.
    pub breaker_opened: u64,
}

/// A command, and the slot of its key.
pub(crate) struct Routed {
    pub(crate) command: Cmd,
    slot: u16,
}

/// The breakers.
pub(crate) struct Nodes {
    config: BreakerConfig,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    /// That of the one server; in a cluster, of what belongs to no node that is known.
    any: Arc<Breaker>,
    slots: ArcSwap<Slots>,
    /// When the slots were last asked for, in milliseconds of the monotonic clock; never, at zero.
    asked_at_ms: AtomicU64,
}

#[derive(Default)]
struct Slots {
    nodes: Vec<Node>,
    /// In their order.
    ranges: Vec<Range>,
}

struct Node {
    address: String,
    breaker: Arc<Breaker>,
}

#[derive(Clone, Copy)]
struct Range {
    first: u16,
    last: u16,
    node: usize,
}

impl Routed {
    /// A command about a name. Our names hold no braces, so that all of it counts.
    pub(crate) fn new(command: Cmd, name: &str) -> Self {
        Self { command, slot: crc16::State::<crc16::XMODEM>::calculate(name.as_bytes()) % SLOTS }
    }
}

impl Nodes {
    pub(crate) fn new(config: BreakerConfig, clock: Arc<dyn Clock>, entropy: Arc<dyn Entropy>) -> Self {
        let any = Arc::new(Breaker::new(config, Arc::clone(&clock), Arc::clone(&entropy)));
        Self { config, clock, entropy, any, slots: ArcSwap::default(), asked_at_ms: AtomicU64::new(0) }
    }

    /// The breaker of the one server.
    pub(crate) fn any(&self) -> &Breaker {
        &self.any
    }

    /// The breakers that commands go through, and for each the places of its commands.
    pub(crate) fn parts(&self, commands: &[Routed]) -> Vec<(Arc<Breaker>, Vec<usize>)> {
        let slots = self.slots.load();
        let mut parts: Vec<(Arc<Breaker>, Vec<usize>)> = Vec::with_capacity(slots.nodes.len());
        for (at, command) in commands.iter().enumerate() {
            let breaker = slots.node(command.slot).map_or(&self.any, |node| &node.breaker);
            match parts.iter_mut().find(|(known, _)| Arc::ptr_eq(known, breaker)) {
                Some((_, places)) => places.push(at),
                None => parts.push((Arc::clone(breaker), vec![at])),
            }
        }
        parts
    }

    /// Whether the slots should be asked for now. One caller is told so.
    pub(crate) fn is_due(&self, has_failed: bool) -> bool {
        let now_ms = self.clock.now().as_millis().max(1);
        let last_ms = self.asked_at_ms.load(Ordering::Relaxed);
        let interval_ms = if has_failed { ASK_AGAIN_MS } else { ASK_INTERVAL_MS };
        let due = last_ms == 0 || now_ms.saturating_sub(last_ms) >= interval_ms;
        due && self.asked_at_ms.compare_exchange(last_ms, now_ms, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// Asks some node who has which slots. Where that fails, what was known before stays.
    pub(crate) async fn ask(self: Arc<Self>, mut link: Link) {
        let mut command = Cmd::new();
        command.arg("CLUSTER").arg("SLOTS");
        if let Ok(Ok(answer)) = timeout(ASK_TIMEOUT, link.req_packed_command(&command)).await {
            self.learn(&answer);
        }
    }

    /// A node that was known keeps its breaker, and what that remembers.
    fn learn(&self, answer: &Value) {
        let Some(said) = ranges_of(answer) else { return };
        let known = self.slots.load();
        let mut slots = Slots::default();
        for (first, last, address) in said {
            let node = slots.nodes.iter().position(|node| node.address == address).unwrap_or_else(|| {
                let breaker = known.nodes.iter().find(|node| node.address == address).map_or_else(
                    || Arc::new(Breaker::new(self.config, Arc::clone(&self.clock), Arc::clone(&self.entropy))),
                    |node| Arc::clone(&node.breaker),
                );
                slots.nodes.push(Node { address, breaker });
                slots.nodes.len() - 1
            });
            slots.ranges.push(Range { first, last, node });
        }
        slots.ranges.sort_by_key(|range| range.first);
        self.slots.store(Arc::new(slots));
    }

    /// The worst of all.
    pub(crate) fn state(&self) -> BreakerState {
        let slots = self.slots.load();
        let states = slots.nodes.iter().map(|node| node.breaker.state()).chain([self.any.state()]);
        states
            .max_by_key(|state| match state {
                BreakerState::Closed => 0,
                BreakerState::HalfOpen => 1,
                BreakerState::Open => 2,
            })
            .unwrap_or_default()
    }

    /// How often they have opened, all together.
    pub(crate) fn opened(&self) -> u64 {
        self.slots.load().nodes.iter().map(|node| node.breaker.opened()).sum::<u64>() + self.any.opened()
    }

    /// Node by node; none where there is one server.
    pub(crate) fn statistics(&self) -> Vec<NodeStatistics> {
        let slots = self.slots.load();
        let of = |node: &Node| NodeStatistics {
            address: node.address.clone(),
            breaker: node.breaker.state(),
            breaker_opened: node.breaker.opened(),
        };
        slots.nodes.iter().map(of).collect()
    }
}

impl Slots {
    fn node(&self, slot: u16) -> Option<&Node> {
        let range = self.ranges.get(self.ranges.partition_point(|range| range.last < slot))?;
        (range.first <= slot).then(|| &self.nodes[range.node])
    }
}

/// First slot, last slot and master of each range; none where that is no answer to CLUSTER SLOTS.
fn ranges_of(answer: &Value) -> Option<Vec<(u16, u16, String)>> {
    let list = |value: &Value| match value {
        Value::Array(values) => Some(values.clone()),
        _ => None,
    };
    let number = |value: &Value| match value {
        Value::Int(number) => u16::try_from(*number).ok(),
        _ => None,
    };
    let range = |value: &Value| {
        let range = list(value)?;
        let [first, last, master, ..] = range.as_slice() else { return None };
        let master = list(master)?;
        let [host, port, ..] = master.as_slice() else { return None };
        // A node that does not know how others reach it says no host: its port tells it apart well enough.
        let host = match host {
            Value::BulkString(host) => String::from_utf8_lossy(host).into_owned(),
            _ => String::new(),
        };
        Some((number(first)?, number(last)?, format!("{host}:{}", number(port)?)))
    };
    list(answer)?.iter().map(range).collect()
}

#[cfg(test)]
mod tests {
    use cache_core::testing::{FixedEntropy, TestClock};

    use super::*;

    fn nodes() -> Nodes {
        Nodes::new(BreakerConfig::default(), Arc::new(TestClock::default()), Arc::new(FixedEntropy(7)))
    }

    fn said(ranges: &[(i64, i64, i64)]) -> Value {
        let range = |(first, last, port): &(i64, i64, i64)| {
            let master = Value::Array(vec![Value::BulkString(b"10.0.0.1".to_vec()), Value::Int(*port)]);
            Value::Array(vec![Value::Int(*first), Value::Int(*last), master])
        };
        Value::Array(ranges.iter().map(range).collect())
    }

    fn at(slot: u16) -> Routed {
        Routed { command: Cmd::new(), slot }
    }

    #[test]
    fn commands_are_parted_by_the_node_of_their_slot() {
        let nodes = nodes();
        let places = |slots: &[u16]| -> Vec<Vec<usize>> {
            let commands: Vec<_> = slots.iter().map(|slot| at(*slot)).collect();
            nodes.parts(&commands).into_iter().map(|(_, places)| places).collect()
        };
        assert_eq!(places(&[0, 9_000]), [vec![0, 1]], "as long as nobody knows better");
        nodes.learn(&said(&[(8_000, 12_000, 2), (0, 7_999, 1), (15_000, 16_383, 1)]));
        assert_eq!(places(&[0, 7_999, 8_000, 16_383, 12_000]), [vec![0, 1, 3], vec![2, 4]]);
        assert_eq!(places(&[12_001, 14_999, 0]), [vec![0, 1], vec![2]], "nobody's slots are nobody's fault");
    }

    #[test]
    fn a_node_that_moves_keeps_its_breaker_and_nonsense_changes_nothing() {
        let nodes = nodes();
        nodes.learn(&said(&[(0, 8_000, 1), (8_001, 16_383, 2)]));
        nodes.parts(&[at(0)])[0].0.open();
        nodes.learn(&said(&[(0, 8_000, 2), (8_001, 16_383, 1)]));
        assert_eq!(nodes.parts(&[at(9_000)])[0].0.state(), BreakerState::Open);
        assert_eq!(nodes.parts(&[at(0)])[0].0.state(), BreakerState::Closed);
        for nonsense in [Value::Nil, Value::Array(vec![Value::Int(1)]), said(&[(0, 70_000, 1)])] {
            nodes.learn(&nonsense);
        }
        assert_eq!((nodes.state(), nodes.opened(), nodes.statistics().len()), (BreakerState::Open, 1, 2));
    }

    /// The example of Redis' specification of clusters.
    #[test]
    fn a_slot_is_what_redis_says_it_is() {
        assert_eq!(Routed::new(Cmd::new(), "123456789").slot, 0x31c3);
    }

    #[test]
    fn slots_are_asked_for_once_in_a_while_and_sooner_after_a_failure() {
        let clock = Arc::new(TestClock::default());
        let nodes = Nodes::new(BreakerConfig::default(), Arc::clone(&clock) as _, Arc::new(FixedEntropy(7)));
        assert!(nodes.is_due(false) && !nodes.is_due(false) && !nodes.is_due(true));
        clock.advance(Duration::from_millis(ASK_AGAIN_MS + 1));
        assert!(!nodes.is_due(false) && nodes.is_due(true));
        clock.advance(Duration::from_millis(ASK_INTERVAL_MS));
        assert!(nodes.is_due(false));
    }
}
