//! A tier that does as it is told: fails, waits, lets fills land late, loses removals. It is local or remote.
//!
//! The remote one keeps what a backend on a wire would keep, the bytes of the value and its provenance, and decodes them at each look-up. The
//! local one keeps the entries themselves, as a memory tier does, with what they remember of their last check.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use super::{Gate, TestValue};
use crate::sync::{Exclusive, Std, SyncFamily};
use crate::{
    CacheLayer, CacheValue, Capabilities, Draft, Entry, Error, ErrorKind, Fill, Filled, Identity, Key, KeyBytes,
    Moment, Now, Stamp, Tag, TypeSet, Usage,
};

/// What a tier is asked to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(usize)]
pub enum Operation {
    /// A look-up that is awaited.
    Get,
    /// A fill.
    Fill,
    /// A removal of keys.
    Remove,
    /// A removal of everything.
    Clear,
}

impl Operation {
    const fn verb(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Fill => "fill",
            Self::Remove => "remove",
            Self::Clear => "clear",
        }
    }
}

/// A tier for tests. Clones are handles of the same tier.
pub struct FakeLayer<S: SyncFamily = Std> {
    name: &'static str,
    local: bool,
    durable: bool,
    max_value_bytes: usize,
    state: Arc<State<S>>,
}

struct State<S: SyncFamily> {
    entries: S::Exclusive<HashMap<KeyBytes, Kept>>,
    failing: Mutex<Option<Predicate>>,
    gates: [Gate; 4],
    calls: [AtomicU64; 4],
    late: Mutex<Option<Vec<(KeyBytes, Kept)>>>,
    loses_removals: AtomicBool,
    bound: Mutex<Option<Identity>>,
}

type Predicate = Box<dyn Fn(Operation) -> bool + Send + Sync>;

#[derive(Clone)]
enum Kept {
    Entry(Entry<TestValue>),
    Wire(Wire),
}

/// What would lie in a backend.
#[derive(Clone)]
struct Wire {
    value: Vec<u8>,
    stamp: Stamp,
    tags: Vec<Tag>,
    types: TypeSet,
    hard_expiry: Moment,
    soft_expiry: Moment,
}

impl FakeLayer<Std> {
    /// A tier that must be awaited and can fail.
    #[must_use]
    pub fn remote(name: &'static str) -> Self {
        Self::remote_with(name)
    }

    /// A tier that answers at once.
    #[must_use]
    pub fn local(name: &'static str) -> Self {
        Self::local_with(name)
    }
}

impl<S: SyncFamily> FakeLayer<S> {
    /// [`FakeLayer::remote`] with another family of synchronisation.
    #[must_use]
    pub fn remote_with(name: &'static str) -> Self {
        Self::build(name, false)
    }

    /// [`FakeLayer::local`] with another family of synchronisation.
    #[must_use]
    pub fn local_with(name: &'static str) -> Self {
        Self::build(name, true)
    }

    fn build(name: &'static str, local: bool) -> Self {
        let state = State {
            entries: S::Exclusive::new(HashMap::new()),
            failing: Mutex::default(),
            gates: Default::default(),
            calls: Default::default(),
            late: Mutex::default(),
            loses_removals: AtomicBool::new(false),
            bound: Mutex::default(),
        };
        Self { name, local, durable: false, max_value_bytes: usize::MAX, state: Arc::new(state) }
    }

    /// Says that it outlives the process.
    #[must_use]
    pub fn durable(mut self) -> Self {
        self.durable = true;
        self
    }

    /// Refuses values with more heap than this.
    #[must_use]
    pub fn max_value_bytes(mut self, bytes: usize) -> Self {
        self.max_value_bytes = bytes;
        self
    }

    /// Fails every operation for which `predicate` says so, from now on.
    pub fn fail_when(&self, predicate: impl Fn(Operation) -> bool + Send + Sync + 'static) {
        *lock(&self.state.failing) = Some(Box::new(predicate));
    }

    /// Works again.
    pub fn recover(&self) {
        *lock(&self.state.failing) = None;
    }

    /// The gate in the way of an operation. A look-up has read before it comes to the gate: its answer is what is held up. Anything else is
    /// held up before it takes effect.
    #[must_use]
    pub fn gate(&self, operation: Operation) -> &Gate {
        &self.state.gates[operation as usize]
    }

    /// How often it was asked, by [`CacheLayer::get_now`] not counted.
    #[must_use]
    pub fn calls(&self, operation: Operation) -> u64 {
        self.state.calls[operation as usize].load(Ordering::SeqCst)
    }

    /// Confirms fills from now on without letting them take effect: they are under way.
    pub fn hold_fills(&self) {
        lock(&self.state.late).get_or_insert_default();
    }

    /// Lets the fills that were held land, the last one first, as a network might.
    pub fn land_fills(&self) {
        let late = lock(&self.state.late).take().unwrap_or_default();
        self.state.entries.with(|entries| entries.extend(late.into_iter().rev()));
    }

    /// Confirms removals from now on without removing anything, or no more.
    pub fn lose_removals(&self, lose: bool) {
        self.state.loses_removals.store(lose, Ordering::SeqCst);
    }

    /// Whose history it was told that its content belongs to.
    #[must_use]
    pub fn bound(&self) -> Option<Identity> {
        *lock(&self.state.bound)
    }

    /// How many entries it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.state.entries.with(|entries| entries.len())
    }

    /// Whether it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn begin(&self, operation: Operation) -> Result<(), Error> {
        self.state.calls[operation as usize].fetch_add(1, Ordering::SeqCst);
        if lock(&self.state.failing).as_ref().is_some_and(|fails| fails(operation)) {
            return Err(Error::new(ErrorKind::Unavailable, self.name, operation.verb(), "told to fail"));
        }
        Ok(())
    }

    fn keep(&self, entry: &Entry<TestValue>) -> Kept {
        if self.local {
            return Kept::Entry(entry.clone());
        }
        Kept::Wire(Wire {
            value: entry.value().to_bytes(),
            stamp: entry.stamp(),
            tags: entry.tags().to_vec(),
            types: entry.types(),
            hard_expiry: entry.hard_expiry(),
            soft_expiry: entry.soft_expiry(),
        })
    }

    fn find(&self, key: &Key<'_>) -> Option<Entry<TestValue>> {
        let kept = self.state.entries.with(|entries| entries.get(&key.encoded()).cloned())?;
        Some(match kept {
            Kept::Entry(entry) => entry,
            Kept::Wire(wire) => {
                let draft = Draft {
                    value: TestValue::from_bytes(&wire.value),
                    stamp: wire.stamp,
                    read_set: wire.tags.into_iter().collect(),
                    types: wire.types,
                    hard_expiry: wire.hard_expiry,
                };
                Entry::decoded(draft, wire.soft_expiry)
            }
        })
    }
}

#[async_trait]
impl<S: SyncFamily> CacheLayer<TestValue> for FakeLayer<S> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { local: self.local, durable: self.durable, fallible: true, fillable: true }
    }

    /// It ends with its handles, whatever it claims, and only remembers.
    fn bind(&self, identity: Identity) {
        *lock(&self.state.bound) = Some(identity);
    }

    fn get_now(&self, key: &Key<'_>) -> Now<TestValue> {
        if !self.local {
            return Now::NotLocal;
        }
        self.find(key).map_or(Now::Absent, Now::Present)
    }

    async fn get_many(&self, keys: &[Key<'_>]) -> Result<Vec<Option<Entry<TestValue>>>, Error> {
        let begun = self.begin(Operation::Get);
        let found = keys.iter().map(|key| self.find(key)).collect();
        self.gate(Operation::Get).pass().await;
        begun.map(|()| found)
    }

    async fn fill_many(&self, fills: &[Fill<'_, TestValue>]) -> Result<Filled, Error> {
        self.gate(Operation::Fill).pass().await;
        self.begin(Operation::Fill)?;
        let mut filled = Filled::default();
        for fill in fills {
            let name = fill.key().encoded();
            if fill.entry().value().heap_bytes() > self.max_value_bytes {
                self.state.entries.with(|entries| entries.remove(&name));
                filled.too_large += 1;
                continue;
            }
            filled.stored += 1;
            let kept = self.keep(fill.entry());
            let mut late = lock(&self.state.late);
            if let Some(late) = &mut *late {
                late.push((name, kept));
                continue;
            }
            drop(late);
            self.state.entries.with(|entries| entries.insert(name, kept));
        }
        Ok(filled)
    }

    async fn remove_many(&self, keys: &[Key<'_>]) -> Result<(), Error> {
        self.gate(Operation::Remove).pass().await;
        self.begin(Operation::Remove)?;
        if !self.state.loses_removals.load(Ordering::SeqCst) {
            self.state.entries.with(|entries| keys.iter().for_each(|key| drop(entries.remove(&key.encoded()))));
        }
        Ok(())
    }

    async fn clear(&self) -> Result<(), Error> {
        self.gate(Operation::Clear).pass().await;
        self.begin(Operation::Clear)?;
        if !self.state.loses_removals.load(Ordering::SeqCst) {
            self.state.entries.with(HashMap::clear);
        }
        Ok(())
    }

    fn usage(&self) -> Usage {
        self.state.entries.with(|entries| Usage {
            entries: entries.len() as u64,
            weight_bytes: entries.values().map(Kept::weight_bytes).sum(),
            capacity_bytes: u64::MAX,
        })
    }
}

impl Kept {
    fn weight_bytes(&self) -> u64 {
        match self {
            Self::Entry(entry) => entry.weight_bytes() as u64,
            Self::Wire(wire) => (wire.value.len() + size_of_val(&*wire.tags) + size_of::<Wire>()) as u64,
        }
    }
}

impl<S: SyncFamily> Clone for FakeLayer<S> {
    fn clone(&self) -> Self {
        Self { state: Arc::clone(&self.state), ..*self }
    }
}

impl<S: SyncFamily> fmt::Debug for FakeLayer<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FakeLayer({})", self.name)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
