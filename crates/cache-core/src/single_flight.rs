//! Single flight: many callers that miss the same key at once cause one load.
//!
//! Invariants:
//! - The leader's result, value or error, is what its followers get. A leader that is cancelled or panics leaves no result, and each follower
//!   starts over with a loader of its own. A leader that hangs is left behind when a follower's patience ends.
//! - A result may be used *unchecked* only by callers that were invoked before the flight's first read. Anyone else treats it as a cached
//!   value, because a change may have been acknowledged between that read and their call.
//! - Flights are keyed by the key alone. After one flight that came too early for a caller, the next one is early enough for everybody
//!   who waited: two loads at most, however many callers.
//! - Who leads a flight waits for older flights only. So waiting never goes round in a circle.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Slot;
use std::fmt;
use std::sync::Arc;

use tokio::sync::watch;

use crate::mistakes::planted;
use crate::sync::{Counter, Exclusive, Std, SyncFamily};
use crate::{Digest, Mistake};

/// The most flights at once.
pub const DEFAULT_MAX_FLIGHTS: usize = 65_536;
/// The most followers of one flight.
pub const DEFAULT_MAX_FOLLOWERS: usize = 100_000;

/// Flights by key.
pub struct SingleFlight<T, S: SyncFamily = Std>
where
    T: Clone + Send + Sync + 'static,
{
    shared: Arc<SharedState<T, S>>,
    max_flights: usize,
    max_followers: usize,
}

struct SharedState<T: Clone + Send + Sync + 'static, S: SyncFamily> {
    /// Orders invocations and first reads against one another.
    sequence: S::Counter,
    flights: S::Exclusive<HashMap<Digest, Arc<Flight<T, S>>>>,
}

struct Flight<T, S: SyncFamily> {
    order: u64,
    /// The place of the first read in the sequence; 0 before.
    reads_began: S::Counter,
    result: watch::Receiver<Option<T>>,
}

/// The place of a call in the sequence of invocations and first reads.
#[derive(Clone, Copy, Debug)]
pub struct Invocation(u64);

/// What a caller is to do.
#[derive(Debug)]
pub enum Role<T: Clone + Send + Sync + 'static, S: SyncFamily> {
    /// Load, and tell the others.
    Leader(Leader<T, S>),
    /// Wait.
    Follower(Follower<T, S>),
    /// There are too many flights, or too many followers of this one.
    Full,
}

/// The one that loads. Dropped without a result, it sets its followers free.
pub struct Leader<T: Clone + Send + Sync + 'static, S: SyncFamily> {
    digest: Digest,
    flight: Arc<Flight<T, S>>,
    result: watch::Sender<Option<T>>,
    shared: Arc<SharedState<T, S>>,
}

/// One that waits.
pub struct Follower<T, S: SyncFamily> {
    digest: Digest,
    flight: Arc<Flight<T, S>>,
    invocation: Invocation,
}

/// A flight's end, as a follower sees it.
#[derive(Debug, Clone)]
pub struct Landed<T> {
    /// What the leader got.
    pub result: T,
    /// Whether the flight's first read came after the follower's invocation, so that the result needs no check.
    pub fresh: bool,
}

impl<T: Clone + Send + Sync + 'static, S: SyncFamily> SingleFlight<T, S> {
    /// No flights yet.
    #[must_use]
    pub fn new(max_flights: usize, max_followers: usize) -> Self {
        let shared = SharedState { sequence: S::Counter::new(1), flights: S::Exclusive::new(HashMap::new()) };
        Self { shared: Arc::new(shared), max_flights, max_followers }
    }

    /// Notes that a call begins. Taken late it is still safe: the call is then thought to be younger than it is.
    #[must_use]
    pub fn invoked(&self) -> Invocation {
        Invocation(self.shared.sequence.fetch_add(1))
    }

    /// Joins the flight of a key, or begins one.
    #[must_use]
    pub fn join(&self, digest: Digest, invocation: Invocation) -> Role<T, S> {
        self.shared.flights.with(|flights| {
            let crowded = flights.len() >= self.max_flights;
            match flights.entry(digest) {
                Slot::Occupied(slot) => {
                    // The map and every follower hold the flight once, and so does the leader.
                    if Arc::strong_count(slot.get()) > self.max_followers.saturating_add(1) {
                        return Role::Full;
                    }
                    Role::Follower(Follower { digest, flight: Arc::clone(slot.get()), invocation })
                }
                Slot::Vacant(_) if crowded => Role::Full,
                Slot::Vacant(slot) => Role::Leader(self.begin(digest, |flight| {
                    slot.insert(flight);
                })),
            }
        })
    }

    /// Leaves a flight behind that takes too long, and begins another in its place. If somebody else did so before, joins that one.
    #[must_use]
    pub fn take_over(&self, late: &Follower<T, S>) -> Role<T, S> {
        let digest = late.digest;
        self.shared.flights.with(|flights| match flights.get(&digest) {
            Some(current) if !Arc::ptr_eq(current, &late.flight) => {
                Role::Follower(Follower { digest, flight: Arc::clone(current), invocation: late.invocation })
            }
            _ => Role::Leader(self.begin(digest, |flight| {
                flights.insert(digest, flight);
            })),
        })
    }

    /// How many flights there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.flights.with(|flights| flights.len())
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn begin(&self, digest: Digest, register: impl FnOnce(Arc<Flight<T, S>>)) -> Leader<T, S> {
        let (sender, receiver) = watch::channel(None);
        let order = self.shared.sequence.fetch_add(1);
        let flight = Arc::new(Flight { order, reads_began: S::Counter::new(0), result: receiver });
        register(Arc::clone(&flight));
        Leader { digest, flight, result: sender, shared: Arc::clone(&self.shared) }
    }
}

impl<T: Clone + Send + Sync + 'static, S: SyncFamily> Leader<T, S> {
    /// Must be called right before the first read, or the first check of a part.
    pub fn begin_reads(&self) {
        self.flight.reads_began.store(self.shared.sequence.fetch_add(1));
    }

    /// The same for a flight that computes a part for a load of age `order`: it reads what that load reads, which may be a snapshot from
    /// before this flight began. Its first read counts as done when that load began.
    pub fn began_reads_with(&self, order: u64) {
        self.flight.reads_began.store(self.shared.sequence.fetch_add(1).min(order));
    }

    /// The flight's age: lower is older.
    #[must_use]
    pub fn order(&self) -> u64 {
        self.flight.order
    }

    /// Ends the flight. What was loaded must be in the tiers already: who misses after this loads again.
    pub fn finish(self, result: T) {
        self.leave();
        self.result.send_replace(Some(result));
    }

    fn leave(&self) {
        self.shared.flights.with(|flights| {
            if flights.get(&self.digest).is_some_and(|current| Arc::ptr_eq(current, &self.flight)) {
                flights.remove(&self.digest);
            }
        });
    }
}

impl<T: Clone + Send + Sync + 'static, S: SyncFamily> Drop for Leader<T, S> {
    fn drop(&mut self) {
        // After `finish` this finds nothing to remove; else the sender's end wakes the followers.
        self.leave();
    }
}

impl<T: Clone + Send + Sync + 'static, S: SyncFamily> Follower<T, S> {
    /// The flight's age.
    #[must_use]
    pub fn order(&self) -> u64 {
        self.flight.order
    }

    /// Waits for the end: none where the leader went away without a result. Has no time limit of its own.
    pub async fn landed(&self) -> Option<Landed<T>> {
        let mut result = self.flight.result.clone();
        let result = result.wait_for(Option::is_some).await.ok()?.clone()?;
        let fresh = self.flight.reads_began.load() > self.invocation.0 || planted(Mistake::FollowerUnchecked);
        Some(Landed { result, fresh })
    }
}

impl<T: Clone + Send + Sync + 'static, S: SyncFamily> fmt::Debug for SingleFlight<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SingleFlight({} in the air)", self.len())
    }
}

impl<T: Clone + Send + Sync + 'static, S: SyncFamily> fmt::Debug for Leader<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Leader({:?})", self.digest)
    }
}

impl<T, S: SyncFamily> fmt::Debug for Follower<T, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Follower({:?})", self.digest)
    }
}
