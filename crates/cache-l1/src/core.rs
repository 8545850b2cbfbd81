//! What quick_cache needs to know: how to hash a digest, and what an entry weighs.

use std::hash::{BuildHasher, Hasher};

use cache_core::{CacheValue, Digest, Entry};
use quick_cache::Weighter;

/// A slot of the cache's table (key, pointer, links), as quick_cache 0.7 lays it out.
const SLOT_BYTES: u64 = 48;
/// A place in the index: 4 bytes and a control byte at a load of 7/8, doubled at worst by the rounding to a power of two.
const INDEX_BYTES: u64 = 8;

/// Weighs entries in the bytes that they really take.
#[derive(Clone, Debug)]
pub(crate) struct Weigher {
    /// Slot, index, and the share of slots that remember evictions.
    table_bytes: u64,
}

impl Weigher {
    pub(crate) fn new(ghost_allocation: f64) -> Self {
        let ghosts = (ghost_allocation * (SLOT_BYTES + INDEX_BYTES) as f64) as u64;
        Self { table_bytes: SLOT_BYTES + INDEX_BYTES + ghosts }
    }

    pub(crate) fn weigh<V: CacheValue>(&self, entry: &Entry<V>) -> u64 {
        let heap = entry.value().heap_bytes();
        let own = entry.weight_bytes() - heap;
        self.table_bytes + allocated(own) + if heap == 0 { 0 } else { allocated(heap) }
    }
}

impl<V: CacheValue> Weighter<Digest, Entry<V>> for Weigher {
    fn weight(&self, _: &Digest, entry: &Entry<V>) -> u64 {
        self.weigh(entry)
    }
}

/// What the allocator takes for a block: a word of its own, rounded up to 16 bytes, as glibc's does it. Others round alike or less.
fn allocated(bytes: usize) -> u64 {
    ((bytes as u64 + 8).next_multiple_of(16)).max(32)
}

/// A digest is keyed and as good as random: half of it is a hash that nobody outside can aim at.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct DigestHasher(u64);

impl BuildHasher for DigestHasher {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        Self(0)
    }
}

impl Hasher for DigestHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, half: u64) {
        self.0 ^= half;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_weighs_what_the_allocator_takes() {
        assert_eq!(allocated(1), 32);
        assert_eq!(allocated(24), 32);
        assert_eq!(allocated(25), 48);
        assert_eq!(allocated(120), 128);
    }
}
