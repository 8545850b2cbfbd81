//! Keys like those of authorization, values like decisions, and draws as the real world makes them: a few keys often, most of them rarely.

use std::hash::{BuildHasher, Hasher};

use cache_core::{CacheKey, CacheType, CacheValue, KeyEncoder};

pub(crate) const DECISION: CacheType = CacheType::new(0, "decision");

/// May this subject do this to this object? About 60 bytes.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Question {
    subject_type: Box<str>,
    subject_id: Box<str>,
    relation: Box<str>,
    object_type: Box<str>,
    object_id: Box<str>,
}

impl Question {
    pub(crate) fn number(number: usize) -> Self {
        let mixed = mix(number as u64);
        Self {
            subject_type: "user".into(),
            subject_id: format!("{:016x}", mixed ^ 0x5555).into(),
            relation: "viewer".into(),
            object_type: "generation".into(),
            object_id: format!("{mixed:016x}{number:08}").into(),
        }
    }
}

impl CacheKey for Question {
    fn cache_type(&self) -> CacheType {
        DECISION
    }

    fn encode(&self, encoder: &mut KeyEncoder) {
        let Self { subject_type, subject_id, relation, object_type, object_id } = self;
        encoder.text(subject_type).text(subject_id).text(relation).text(object_type).text(object_id);
    }

    fn entities(&self, visit: &mut dyn FnMut(&str, &str)) {
        visit(&self.subject_type, &self.subject_id);
        visit(&self.object_type, &self.object_id);
    }
}

/// A decision with the time of its grant.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Decision {
    pub(crate) allowed: bool,
    pub(crate) granted_at_ms: u64,
}

impl CacheValue for Decision {
    fn heap_bytes(&self) -> usize {
        0
    }
}

/// One step of SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
pub(crate) fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// `draws` indices below `keys`, the k-th most frequent one in proportion to `k^-0.99`. Which keys are frequent has nothing to do with
/// their order in memory.
pub(crate) fn zipf(keys: usize, draws: usize, seed: u64) -> Vec<u32> {
    let mut cumulated = Vec::with_capacity(keys);
    let mut sum = 0.0;
    for rank in 1..=keys {
        sum += (rank as f64).powf(-0.99);
        cumulated.push(sum);
    }
    let mut places: Vec<u32> = (0..keys as u32).collect();
    for place in (1..keys).rev() {
        places.swap(place, (mix(seed ^ place as u64) % (place as u64 + 1)) as usize);
    }
    (0..draws)
        .map(|draw| {
            let point = (mix(seed.wrapping_add(draw as u64)) >> 11) as f64 / (1_u64 << 53) as f64 * sum;
            places[cumulated.partition_point(|upper| *upper < point).min(keys - 1)]
        })
        .collect()
}

/// The hasher of the memory tier: a digest is as good as random already.
#[derive(Clone, Copy, Default)]
pub(crate) struct Trivial(u64);

impl BuildHasher for Trivial {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        Self(0)
    }
}

impl Hasher for Trivial {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _: &[u8]) {
        unreachable!("a digest is hashed as one number");
    }

    fn write_u64(&mut self, half: u64) {
        self.0 ^= half;
    }
}
