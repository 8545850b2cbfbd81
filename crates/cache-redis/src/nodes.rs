//! The nodes of a cluster: who has which slots, and of each node the connections and the breaker, so that one that is dead or slow costs no key
//! of another one.
//!
//! Slots are asked for (CLUSTER SLOTS) behind the answers: at the first command, every few seconds from then on, and sooner after a failure. What
//! a node says of a slot that moved counts until then.
//!
//! By hand, because the library's client for clusters is one for all nodes: while it looks for who has what, it sends nothing, and one node that
//! can't be reached made it silent for all keys.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use cache_core::{Clock, Entropy};
use redis::aio::ConnectionLike as _;
use redis::{Cmd, Value};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::address::{Host, Place};
use crate::breaker::{Breaker, BreakerState};
use crate::config::RedisConfig;
use crate::connect::Connector;
use crate::error::{ConfigError, Failure};
use crate::pool::Pool;
use crate::statistics::ConnectionStatistics;

/// Slots of a cluster, which Redis fixes.
const SLOTS: u16 = 16_384;
/// How often the slots are asked for.
const ASK_INTERVAL_MS: u64 = 10_000;
/// How soon after the last time where something has failed since.
const ASK_AGAIN_MS: u64 = 1_000;
/// How long a node may take to say them, beside the time for a connection.
const ASK_TIMEOUT: Duration = Duration::from_secs(1);
/// Slots that moved and are remembered one by one until all are asked for again.
const MAX_MOVED: usize = 256;

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
    pub(crate) slot: u16,
}

/// One node.
pub(crate) struct Node {
    pub(crate) address: String,
    pub(crate) pool: Pool,
    pub(crate) breaker: Breaker,
}

/// The nodes.
pub(crate) struct Nodes {
    config: RedisConfig,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    seeds: Vec<String>,
    /// For as long as nobody has said who has what.
    any: Breaker,
    slots: ArcSwap<Slots>,
    /// When the slots were last asked for, in milliseconds of the monotonic clock; never, at zero.
    asked_at_ms: AtomicU64,
    /// Somebody has said it, or nobody did.
    asked: Notify,
    /// Why nobody did, the last time.
    failure: Mutex<Option<Failure>>,
}

/// Who has what.
#[derive(Clone, Default)]
pub(crate) struct Slots {
    nodes: Vec<Arc<Node>>,
    /// In their order.
    ranges: Vec<Range>,
    /// What has moved since.
    moved: Vec<(u16, Arc<Node>)>,
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
    /// Those of a cluster that the settings name; nothing is sent.
    pub(crate) fn new(
        config: &RedisConfig,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
    ) -> Result<Self, ConfigError> {
        let Place::Cluster { nodes } = config.address()?.place else {
            return Err(ConfigError::Url { must: "name a cluster" });
        };
        let any = Breaker::new(config.breaker, Arc::clone(&clock), Arc::clone(&entropy));
        Ok(Self {
            config: config.clone(),
            clock,
            entropy,
            seeds: nodes.iter().map(Host::to_string).collect(),
            any,
            slots: ArcSwap::default(),
            asked_at_ms: AtomicU64::new(0),
            asked: Notify::new(),
            failure: Mutex::new(None),
        })
    }

    /// The breaker of all as long as none is known.
    pub(crate) fn any(&self) -> &Breaker {
        &self.any
    }

    /// Who has what, as far as it is known.
    pub(crate) fn known(&self) -> Option<Arc<Slots>> {
        let slots = self.slots.load_full();
        (!slots.nodes.is_empty()).then_some(slots)
    }

    /// Who has what, once somebody has said it.
    pub(crate) async fn wait(self: &Arc<Self>) -> Result<Arc<Slots>, Failure> {
        let asked = self.asked.notified();
        if let Some(slots) = self.known() {
            return Ok(slots);
        }
        self.ask_if_due(true);
        asked.await;
        self.known().ok_or_else(|| self.unreachable())
    }

    /// Why nobody has said it.
    pub(crate) fn unreachable(&self) -> Failure {
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.clone().unwrap_or_else(|| Failure::Unreachable("no node of the cluster has answered yet".to_owned()))
    }

    /// Asks for the slots where it is time to, behind whoever finds that.
    pub(crate) fn ask_if_due(self: &Arc<Self>, has_failed: bool) {
        let now_ms = self.clock.now().as_millis().max(1);
        let last_ms = self.asked_at_ms.load(Ordering::Relaxed);
        let never = last_ms == 0;
        let due = never || now_ms.saturating_sub(last_ms) >= if has_failed { ASK_AGAIN_MS } else { ASK_INTERVAL_MS };
        if due && self.asked_at_ms.compare_exchange(last_ms, now_ms, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            let nodes = Arc::clone(self);
            tokio::spawn(async move { nodes.ask().await });
        }
    }

    /// Asks one node after the other until one says who has which slots; first those that answer, then those of the settings. Where none does, what
    /// was known before stays.
    async fn ask(&self) {
        let slots = self.slots.load_full();
        let mut known: Vec<_> = slots.nodes.clone();
        known.sort_by_key(|node| node.breaker.state() != BreakerState::Closed);
        let seeds = self.seeds.iter().filter(|seed| !known.iter().any(|node| node.address == **seed));
        let seeds: Vec<_> = seeds.filter_map(|seed| self.make(seed)).collect();
        let mut failure = None;
        for node in known.iter().chain(&seeds) {
            match timeout(self.config.connect_timeout() + ASK_TIMEOUT, ask(node)).await {
                Ok(Ok(said)) => {
                    self.learn(said, &seeds);
                    failure = None;
                    break;
                }
                Ok(Err(why)) => failure = Some(why),
                Err(_) => failure = Some(Failure::Timeout(ASK_TIMEOUT)),
            }
        }
        if failure.is_some() && self.known().is_none() {
            // The next who comes may ask again; the breaker sees to it that those are few.
            self.asked_at_ms.store(0, Ordering::Relaxed);
        }
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
        self.asked.notify_waiters();
    }

    /// A node that was known keeps its connections and its breaker.
    fn learn(&self, said: Vec<(u16, u16, String)>, seeds: &[Arc<Node>]) {
        let known = self.slots.load();
        let mut slots = Slots::default();
        for (first, last, address) in said {
            let place = slots.nodes.iter().position(|node| node.address == address);
            let Some(node) = place.or_else(|| {
                let known = known.nodes.iter().chain(seeds).find(|node| node.address == address).cloned();
                slots.nodes.push(known.or_else(|| self.make(&address))?);
                Some(slots.nodes.len() - 1)
            }) else {
                continue;
            };
            slots.ranges.push(Range { first, last, node });
        }
        slots.ranges.sort_by_key(|range| range.first);
        self.slots.store(Arc::new(slots));
    }

    /// A node has said that another one has a slot now, and where that is.
    pub(crate) fn moved(&self, slot: u16, address: &str) -> Option<Arc<Node>> {
        let node = self.at(address)?;
        self.slots.rcu(|slots| {
            let mut slots = Slots::clone(slots);
            slots.moved.retain(|(moved, _)| *moved != slot);
            slots.moved.truncate(MAX_MOVED - 1);
            slots.moved.push((slot, Arc::clone(&node)));
            slots
        });
        Some(node)
    }

    /// The node at an address, as Redis writes it: an address of IPv6 without its brackets.
    pub(crate) fn at(&self, address: &str) -> Option<Arc<Node>> {
        let (name, port) = address.rsplit_once(':')?;
        let address = Host { name: name.trim_matches(['[', ']']).to_owned(), port: port.parse().ok()? }.to_string();
        let slots = self.slots.load();
        let known = slots.nodes.iter().chain(slots.moved.iter().map(|(_, node)| node));
        known.into_iter().find(|node| node.address == address).cloned().or_else(|| self.make(&address))
    }

    /// None where the address is none.
    fn make(&self, address: &str) -> Option<Arc<Node>> {
        let all = self.config.address().ok()?;
        let scheme = if all.tls { "rediss" } else { "redis" };
        let config = RedisConfig {
            url: format!("{scheme}://{address}").into(),
            username: all.user,
            password: all.password,
            ..self.config.clone()
        };
        let pool = Pool::new(Connector::new(&config).ok()?, &config);
        let breaker = Breaker::new(config.breaker, Arc::clone(&self.clock), Arc::clone(&self.entropy));
        Some(Arc::new(Node { address: address.to_owned(), pool, breaker }))
    }

    /// A slot of each node; any slot where none is known.
    pub(crate) fn a_slot_of_each(&self) -> Vec<u16> {
        let slots = self.slots.load();
        let of = |node: usize| slots.ranges.iter().find(|range| range.node == node).map(|range| range.first);
        let each: Vec<_> = (0..slots.nodes.len()).filter_map(of).collect();
        if each.is_empty() { vec![0] } else { each }
    }

    /// The worst of all.
    pub(crate) fn state(&self) -> BreakerState {
        let slots = self.slots.load();
        let states = || slots.nodes.iter().map(|node| node.breaker.state()).chain([self.any.state()]);
        let worst =
            [BreakerState::Open, BreakerState::HalfOpen].into_iter().find(|bad| states().any(|one| one == *bad));
        worst.unwrap_or_default()
    }

    /// How often they have opened, all together.
    pub(crate) fn opened(&self) -> u64 {
        self.slots.load().nodes.iter().map(|node| node.breaker.opened()).sum::<u64>() + self.any.opened()
    }

    /// Node by node.
    pub(crate) fn statistics(&self) -> Vec<NodeStatistics> {
        let slots = self.slots.load();
        let of = |node: &Arc<Node>| NodeStatistics {
            address: node.address.clone(),
            breaker: node.breaker.state(),
            breaker_opened: node.breaker.opened(),
        };
        slots.nodes.iter().map(of).collect()
    }

    /// The connections of all.
    pub(crate) fn connections(&self) -> ConnectionStatistics {
        let slots = self.slots.load();
        slots.nodes.iter().map(|node| node.pool.statistics()).fold(ConnectionStatistics::default(), |all, one| {
            ConnectionStatistics {
                open: all.open + one.open,
                made: all.made + one.made,
                failed: all.failed + one.failed,
                condemned: all.condemned + one.condemned,
                suspected: 0,
                waits: all.waits + one.waits,
                wait_time: all.wait_time + one.wait_time,
            }
        })
    }
}

async fn ask(node: &Node) -> Result<Vec<(u16, u16, String)>, Failure> {
    let mut link = node.pool.line(0).await?.link.clone();
    let mut command = Cmd::new();
    command.arg("CLUSTER").arg("SLOTS");
    let answer = link.req_packed_command(&command).await.map_err(|error| Failure::of(&error))?;
    let host = node.address.rsplit_once(':').map_or("", |(host, _)| host);
    ranges_of(&answer, host).ok_or(Failure::Protocol)
}

impl Slots {
    /// All that have slots.
    pub(crate) fn nodes(&self) -> &[Arc<Node>] {
        &self.nodes
    }

    /// The node that has a slot; none where nobody has it.
    pub(crate) fn node(&self, slot: u16) -> Option<&Arc<Node>> {
        if let Some((_, node)) = self.moved.iter().find(|(moved, _)| *moved == slot) {
            return Some(node);
        }
        let range = self.ranges.get(self.ranges.partition_point(|range| range.last < slot))?;
        (range.first <= slot).then(|| &self.nodes[range.node])
    }
}

/// First slot, last slot and master of each range; none where that is no answer to CLUSTER SLOTS. A node that does not know by which name others
/// reach it says none: it is the one that was asked.
fn ranges_of(answer: &Value, asked: &str) -> Option<Vec<(u16, u16, String)>> {
    fn list(value: &Value) -> Option<&[Value]> {
        match value {
            Value::Array(values) => Some(values),
            _ => None,
        }
    }
    let number = |value: &Value| match value {
        Value::Int(number) => u16::try_from(*number).ok(),
        _ => None,
    };
    let range = |value: &Value| {
        let [first, last, master, ..] = list(value)? else { return None };
        let [host, port, ..] = list(master)? else { return None };
        let host = match host {
            Value::BulkString(host) if !host.is_empty() => std::str::from_utf8(host).ok()?.to_owned(),
            _ => asked.to_owned(),
        };
        let host = Host { name: host.trim_matches(['[', ']']).to_owned(), port: number(port)? };
        Some((number(first)?, number(last)?, host.to_string()))
    };
    list(answer)?.iter().map(range).collect()
}

#[cfg(test)]
mod tests;
