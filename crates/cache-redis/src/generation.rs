//! Clearing without looking for keys: a clear changes a number that is part of every name, and what had the old number ends by its time.
//!
//! The number lies in Redis under one small key for each history, and is read again every few seconds with a look-up that is made anyway. So a
//! clear takes effect here at once, and elsewhere within that time; until then others use values that were cleared, which is safe, because
//! clearing is hygiene and comparing is safety. A mark that was evicted is the number zero: nothing but old values comes back, and they are
//! judged like any other.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cache_core::{Identity, Moment};

use crate::derived::Derived;

/// How often the mark is read again.
pub const GENERATION_INTERVAL_MS: u64 = 5_000;

/// Whose values are named, by which generation, and with which keys.
#[derive(Debug)]
pub(crate) struct Binding {
    pub(crate) identity: Identity,
    /// The mark's name.
    pub(crate) mark: String,
    pub(crate) derived: Arc<Derived>,
    seen: Arc<Seen>,
}

/// What is known of the mark.
#[derive(Debug, Default)]
struct Seen {
    generation: AtomicU64,
    /// When the mark was last read, in milliseconds of the monotonic clock; never, at zero.
    read_at_ms: AtomicU64,
}

impl Binding {
    pub(crate) fn new(identity: Identity, derived: Arc<Derived>) -> Self {
        let mark = derived.namer.of_generation(identity);
        Self { identity, mark, derived, seen: Arc::default() }
    }

    /// The same history with other keys. Where the mark keeps its name, what is known of it still holds.
    pub(crate) fn with_keys(&self, derived: Arc<Derived>) -> Self {
        let other = Self::new(self.identity, derived);
        match other.mark == self.mark {
            true => Self { seen: Arc::clone(&self.seen), ..other },
            false => other,
        }
    }

    /// The number as far as it is known.
    pub(crate) fn generation(&self) -> u64 {
        self.seen.generation.load(Ordering::Relaxed)
    }

    /// Whether the mark should be read again. One caller is told so; the others go on meanwhile.
    pub(crate) fn is_due(&self, now: Moment) -> bool {
        let now_ms = now.as_millis().max(1);
        let last_ms = self.seen.read_at_ms.load(Ordering::Relaxed);
        let due = last_ms == 0 || now_ms.saturating_sub(last_ms) >= GENERATION_INTERVAL_MS;
        due && self.seen.read_at_ms.compare_exchange(last_ms, now_ms, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }

    /// It could not be read: the next caller tries again.
    pub(crate) fn was_not_read(&self) {
        self.seen.read_at_ms.store(0, Ordering::Relaxed);
    }

    /// What the mark says. True where it is another number than the one that was known when it was asked for. A clear that came in between
    /// knows better.
    pub(crate) fn was_read(&self, known: u64, mark: Option<&[u8]>) -> bool {
        let generation = mark.and_then(|mark| mark.try_into().ok()).map_or(0, u64::from_le_bytes);
        let _ = self.seen.generation.compare_exchange(known, generation, Ordering::Relaxed, Ordering::Relaxed);
        generation != known
    }

    /// A clear has set the mark.
    pub(crate) fn was_set(&self, generation: u64) {
        self.seen.generation.store(generation, Ordering::Relaxed);
    }
}
