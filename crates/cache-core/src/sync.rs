//! The synchronisation that the coherent parts are built on, as a parameter.
//!
//! The horizon, the in-process log and the single flight are generic over a [`SyncFamily`], so that a scheduler that explores
//! interleavings runs the production types and not a copy of them. Locks take closures instead of handing out guards: no guard can be held
//! across an await, and a critical section ends where its braces do.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError, RwLock};

/// A family of synchronisation primitives. [`Std`] is the one of production.
pub trait SyncFamily: Send + Sync + 'static {
    /// An atomic counter.
    type Counter: Counter;
    /// A lock for one at a time.
    type Exclusive<T: Send + 'static>: Exclusive<T>;
    /// A lock for one writer or many readers.
    type Shared<T: Send + Sync + 'static>: Shared<T>;
}

/// An atomic `u64`. Loads acquire, stores release.
pub trait Counter: Send + Sync + 'static {
    /// A counter that starts at `value`.
    fn new(value: u64) -> Self;
    /// Loads with Acquire.
    fn load(&self) -> u64;
    /// Stores with Release.
    fn store(&self, value: u64);
    /// Adds with AcqRel and returns the value before.
    fn fetch_add(&self, by: u64) -> u64;
    /// Raises to at least `to`, with AcqRel.
    fn fetch_max(&self, to: u64) -> u64;
}

/// A mutual exclusion.
pub trait Exclusive<T>: Send + Sync + 'static {
    /// A lock around `value`.
    fn new(value: T) -> Self;
    /// Runs `f` with the lock held.
    fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R;
}

/// A readers-writer lock.
pub trait Shared<T>: Send + Sync + 'static {
    /// A lock around `value`.
    fn new(value: T) -> Self;
    /// Runs `f` beside other readers.
    fn read<R>(&self, f: impl FnOnce(&T) -> R) -> R;
    /// Runs `f` alone.
    fn write<R>(&self, f: impl FnOnce(&mut T) -> R) -> R;
}

/// The standard library's primitives.
///
/// A poisoned lock is taken all the same: what these locks guard is consistent after every statement, and refusing every
/// decision because one thread panicked would turn one failure into an outage.
#[derive(Debug, Clone, Copy)]
pub struct Std;

impl SyncFamily for Std {
    type Counter = AtomicU64;
    type Exclusive<T: Send + 'static> = Mutex<T>;
    type Shared<T: Send + Sync + 'static> = RwLock<T>;
}

impl Counter for AtomicU64 {
    fn new(value: u64) -> Self {
        Self::new(value)
    }

    #[inline]
    fn load(&self) -> u64 {
        Self::load(self, Ordering::Acquire)
    }

    fn store(&self, value: u64) {
        Self::store(self, value, Ordering::Release);
    }

    fn fetch_add(&self, by: u64) -> u64 {
        Self::fetch_add(self, by, Ordering::AcqRel)
    }

    fn fetch_max(&self, to: u64) -> u64 {
        Self::fetch_max(self, to, Ordering::AcqRel)
    }
}

impl<T: Send + 'static> Exclusive<T> for Mutex<T> {
    fn new(value: T) -> Self {
        Self::new(value)
    }

    fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        f(&mut self.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<T: Send + Sync + 'static> Shared<T> for RwLock<T> {
    fn new(value: T) -> Self {
        Self::new(value)
    }

    fn read<R>(&self, f: impl FnOnce(&T) -> R) -> R {
        f(&self.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn write<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        f(&mut self.write().unwrap_or_else(PoisonError::into_inner))
    }
}
