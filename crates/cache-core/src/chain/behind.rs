//! Fills behind the answer: what goes into tiers that must be awaited waits in a queue, and one task takes what is there together.
//!
//! Invariants:
//! - Nobody waits for a remote tier's fill, however slow that tier is.
//! - The queue is bounded. What finds it full is not stored there, and counted.
//! - A fill that comes late is no danger: its stamp says what it does not contain, like that of any other.

use std::sync::{Arc, OnceLock};

use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, Sender, channel};

use super::Tier;
use crate::key::OwnedKey;
use crate::{CacheKey, CacheValue, Clock, Draft, Entropy, Key, Ticket};

/// How many fills may wait, by default.
pub const DEFAULT_FILLS_BEHIND: usize = 4_096;
/// How many fills are stored together.
const MAX_TOGETHER: usize = 256;

/// The queue of one chain, whose task starts with the first fill.
pub(super) struct Behind<V: CacheValue> {
    capacity: usize,
    queue: OnceLock<Sender<Job<V>>>,
}

/// A fill that waits.
struct Job<V> {
    key: OwnedKey,
    draft: Draft<V>,
    ticket: Ticket,
    checked_at: Option<u64>,
}

/// What the task needs of the chain.
pub(super) struct Stores<V> {
    pub(super) tiers: Arc<[Tier<V>]>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
}

impl<V: CacheValue> Behind<V> {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity, queue: OnceLock::new() }
    }

    /// Leaves fills to the task. Returns how many found no place. Outside of a runtime nobody could store them.
    pub(super) fn leave(
        &self,
        drafts: &[(Key<'_>, Draft<V>)],
        ticket: Ticket,
        checked_at: Option<u64>,
        stores: impl FnOnce() -> Stores<V>,
    ) -> usize {
        let queue = match self.queue.get() {
            Some(queue) => queue,
            None => {
                let Ok(runtime) = Handle::try_current() else { return drafts.len() };
                self.queue.get_or_init(|| {
                    let (queue, jobs) = channel(self.capacity.max(1));
                    runtime.spawn(work(jobs, stores()));
                    queue
                })
            }
        };
        let refused = drafts.iter().filter(|(key, draft)| {
            let job = Job { key: OwnedKey::of(key), draft: draft.clone(), ticket, checked_at };
            queue.try_send(job).is_err()
        });
        refused.count()
    }
}

/// Stores what waits, until the chain is gone and nothing waits any more.
async fn work<V: CacheValue>(mut jobs: Receiver<Job<V>>, stores: Stores<V>) {
    let mut together = Vec::with_capacity(MAX_TOGETHER);
    while jobs.recv_many(&mut together, MAX_TOGETHER).await > 0 {
        for tier in stores.tiers.iter().filter(|tier| !tier.local && tier.fillable && tier.is_enabled()) {
            let now = stores.clock.now();
            let fills: Vec<_> = together
                .iter()
                .map(|Job { key, draft, ticket, checked_at }| {
                    let own_end = draft.hard_expiry;
                    let (soft, hard) = tier.policy.ends(key.cache_type(), now, own_end, stores.entropy.as_ref());
                    ticket.fill(key.key(), Draft { hard_expiry: hard, ..draft.clone() }, soft, *checked_at)
                })
                .collect();
            tier.count_filled(tier.layer.fill_many(&fills).await, fills.len());
        }
        together.clear();
    }
}
