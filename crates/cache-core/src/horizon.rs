//! The horizon: what this process knows of kills, and the one comparison that keeps invalidated values from being used.
//!
//! A value is usable when, for each tag of its read set and of its key, the latest kill of that tag has a lower revision than the value's
//! stamp, no type, rule or floor with an equal or higher revision covers it, and its time is not over. Nothing has to be deleted anywhere for this to
//! be safe, and a kill costs the same however many values it kills.
//!
//! **Order.** [`Horizon::apply`] writes the map first and moves `head` last. A check loads `head` first and looks up the tags last, and
//! notes the head that it loaded. So an entry that is marked with the current head was compared with everything that the head stands for, and
//! the next look-up needs that one comparison only.
//!
//! **Head.** It counts applications and is no revision: two writers may commit in the order of their revisions or against it. Its values are
//! drawn from one counter for the whole process, so that an entry that was checked against one horizon never passes for checked against
//! another.
//!
//! **Forgetting.** The memory is bounded. What is forgotten, oldest application first, raises the floor to its revision: values that may
//! have been killed by it become misses.

use std::collections::{HashMap, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::key::MAX_CACHE_TYPES;
use crate::mistakes::planted;
use crate::sync::{Counter, Shared, Std, SyncFamily};
use crate::{CacheKey, CacheValue, Entry, Kill, Mistake, Revision, Rule, Stamp, Tag, TypeSet, entity_tag};

/// The default of [`HorizonConfig::budget_bytes`]: about 460,000 tags.
pub const DEFAULT_HORIZON_BYTES: usize = 16 << 20;
/// The default of [`HorizonConfig::max_rules`].
pub const DEFAULT_MAX_RULES: usize = 64;
/// The fewest bytes that a horizon is given.
pub const MIN_HORIZON_BYTES: usize = 4 << 10;

/// Bytes of one tag in the map (17 at a load of 7/8, doubled by the rounding of its table to a power of two) and in the order of forgetting.
const BYTES_PER_TAG: usize = 36;

/// The bounds of a horizon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HorizonConfig {
    /// The bytes that tags may take. They are reserved at once.
    pub budget_bytes: usize,
    /// The most rules; each costs every check a comparison.
    pub max_rules: usize,
}

impl Default for HorizonConfig {
    fn default() -> Self {
        Self { budget_bytes: DEFAULT_HORIZON_BYTES, max_rules: DEFAULT_MAX_RULES }
    }
}

/// Whether an entry may be used, and if not, why not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Verdict {
    /// Nothing that is known here forbids it.
    Usable,
    /// One of its tags was killed.
    Killed,
    /// Its cache type, or that of a part, was killed.
    TypeKilled,
    /// A rule matches it.
    RuleMatched,
    /// It is older than what the horizon remembers.
    BelowFloor,
}

/// What one process knows of kills.
pub struct Horizon<S: SyncFamily = Std> {
    head: S::Counter,
    known: S::Shared<Known>,
}

/// A map whose keys are hashes already.
type TagMap = HashMap<Tag, Revision, BuildHasherDefault<TagHasher>>;

struct Known {
    tags: TagMap,
    order: VecDeque<(Tag, Revision)>,
    max_tags: usize,
    types: [Revision; MAX_CACHE_TYPES],
    rules: VecDeque<(Rule, Revision)>,
    max_rules: usize,
    floor: Revision,
}

/// What a horizon holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HorizonUsage {
    /// Tags with a known kill.
    pub tags: usize,
    /// Rules in force.
    pub rules: usize,
    /// Bytes reserved.
    pub bytes: usize,
    /// Values that don't contain this revision are misses.
    pub floor: Revision,
}

/// Whether a planted mistake has nothing compared with a horizon.
#[inline]
pub(crate) fn is_out_of_play() -> bool {
    planted(Mistake::NoHorizonCheck) || planted(Mistake::DeletionOnly)
}

fn next_head() -> u64 {
    // One counter for all horizons of the process; 0 is never drawn, it marks entries that nobody has checked.
    static DRAWN: AtomicU64 = AtomicU64::new(1);
    DRAWN.fetch_add(1, Ordering::Relaxed)
}

impl<S: SyncFamily> Horizon<S> {
    /// A horizon that knows of nothing: right where nothing was cached before.
    #[must_use]
    pub fn new(config: HorizonConfig) -> Self {
        let max_tags = config.budget_bytes.max(MIN_HORIZON_BYTES) / BYTES_PER_TAG;
        // The planted mistake takes revisions for heads: it starts where no revision was applied.
        let head = if planted(Mistake::HeadFromRevision) { 0 } else { next_head() };
        Self {
            head: S::Counter::new(head),
            known: S::Shared::new(Known {
                tags: TagMap::with_capacity_and_hasher(max_tags, BuildHasherDefault::default()),
                order: VecDeque::with_capacity(max_tags),
                max_tags,
                types: [Revision::ZERO; MAX_CACHE_TYPES],
                rules: VecDeque::new(),
                max_rules: config.max_rules,
                floor: Revision::ZERO,
            }),
        }
    }

    /// How often kills were applied, as a number that means nothing but "the same as before" or "another one".
    #[must_use]
    #[inline]
    pub fn head(&self) -> u64 {
        self.head.load()
    }

    /// Applies what one change kills. Idempotent; changes may come in any order and more than once.
    pub fn apply(&self, revision: Revision, kills: &[Kill]) {
        self.apply_all(std::iter::once((revision, kills)));
    }

    /// Applies many changes and moves the head once.
    pub fn apply_all<'a>(&self, changes: impl Iterator<Item = (Revision, &'a [Kill])>) {
        if planted(Mistake::HeadBeforeMap) {
            self.head.store(next_head());
        }
        self.known.write(|known| {
            let mut changed = false;
            let mut highest = Revision::ZERO;
            for (revision, kills) in changes {
                highest = highest.max(revision);
                for kill in kills {
                    changed |= known.apply(revision, kill);
                }
            }
            if changed && !planted(Mistake::HeadBeforeMap) {
                if planted(Mistake::HeadFromRevision) {
                    self.head.fetch_max(highest.get());
                } else {
                    // Inside the lock, after the map: who sees the new head and then takes the lock sees the kills.
                    self.head.store(next_head());
                }
            }
        });
    }

    /// Makes every value a miss that does not contain `revision`: after a gap in the log, or at a start whose past is unknown.
    pub fn raise_floor(&self, revision: Revision) {
        self.known.write(|known| {
            if revision > known.floor {
                known.floor = revision;
                self.head.store(next_head());
            }
        });
    }

    /// Whether an entry under `key` may be used. Does not look at its time.
    #[inline]
    pub fn check<V: CacheValue>(&self, entry: &Entry<V>, key: &dyn CacheKey) -> Verdict {
        if entry.checked_at() == self.head.load() || is_out_of_play() {
            return Verdict::Usable;
        }
        self.check_slowly(entry, key)
    }

    #[cold]
    #[inline(never)]
    fn check_slowly<V: CacheValue>(&self, entry: &Entry<V>, key: &dyn CacheKey) -> Verdict {
        let head = self.head.load();
        let verdict = self.verdict(entry.stamp(), entry.tags(), entry.types(), key);
        let head = if planted(Mistake::HeadAfterLookup) { self.head.load() } else { head };
        if verdict == Verdict::Usable {
            entry.set_checked_at(head);
        }
        verdict
    }

    /// The same for a value that is no entry yet.
    #[must_use]
    pub fn verdict(&self, stamp: Stamp, tags: &[Tag], types: TypeSet, key: &dyn CacheKey) -> Verdict {
        self.known.read(|known| known.verdict(stamp, tags, types, key))
    }

    /// What it holds.
    #[must_use]
    pub fn usage(&self) -> HorizonUsage {
        self.known.read(|known| HorizonUsage {
            tags: known.tags.len(),
            rules: known.rules.len(),
            bytes: known.max_tags * BYTES_PER_TAG,
            floor: known.floor,
        })
    }
}

impl<S: SyncFamily> std::fmt::Debug for Horizon<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Horizon").field("head", &self.head()).field("usage", &self.usage()).finish()
    }
}

impl Known {
    /// Whether anything changed.
    fn apply(&mut self, revision: Revision, kill: &Kill) -> bool {
        if revision <= self.floor {
            // Whatever this could kill is below the floor already.
            return false;
        }
        match kill {
            Kill::Tag(tag) => self.kill_tag(*tag, revision),
            Kill::Type(cache_type) => {
                let latest = &mut self.types[cache_type.index()];
                let newer = revision > *latest;
                *latest = revision.max(*latest);
                newer
            }
            Kill::Rule(rule) => {
                self.add_rule(rule, revision);
                true
            }
            Kill::All => {
                self.floor = revision;
                true
            }
        }
    }

    fn kill_tag(&mut self, tag: Tag, revision: Revision) -> bool {
        if self.tags.get(&tag).is_some_and(|latest| *latest >= revision) {
            return false;
        }
        while self.order.len() >= self.max_tags {
            self.forget_oldest();
        }
        self.tags.insert(tag, revision);
        self.order.push_back((tag, revision));
        true
    }

    /// A tag that was killed again since stands further back in the order too: only its last place counts.
    fn forget_oldest(&mut self) {
        if let Some((tag, revision)) = self.order.pop_front()
            && self.tags.get(&tag) == Some(&revision)
        {
            self.tags.remove(&tag);
            if !planted(Mistake::ForgetWithoutFloor) {
                self.floor = self.floor.max(revision);
            }
        }
    }

    fn add_rule(&mut self, rule: &Rule, revision: Revision) {
        if let Some((_, latest)) = self.rules.iter_mut().find(|(known, _)| known == rule) {
            *latest = revision.max(*latest);
            return;
        }
        while self.rules.len() >= self.max_rules.max(1) {
            if let Some((_, forgotten)) = self.rules.pop_front() {
                self.floor = self.floor.max(forgotten);
            }
        }
        self.rules.push_back((rule.clone(), revision));
    }

    fn verdict(&self, stamp: Stamp, tags: &[Tag], types: TypeSet, key: &dyn CacheKey) -> Verdict {
        if !stamp.contains(self.floor) {
            return Verdict::BelowFloor;
        }
        if types.indices().any(|index| !self.survives(stamp, Some(&self.types[index]))) {
            return Verdict::TypeKilled;
        }
        if !self.tags.is_empty() {
            if tags.iter().any(|tag| !self.survives(stamp, self.tags.get(tag))) {
                return Verdict::Killed;
            }
            let mut killed = false;
            key.entities(&mut |kind, id| killed |= !self.survives(stamp, self.tags.get(&entity_tag(kind, id))));
            if killed {
                return Verdict::Killed;
            }
        }
        let matched = |(rule, revision): &(Rule, Revision)| !stamp.contains(*revision) && rule.matches(key, types);
        if self.rules.iter().any(matched) {
            return Verdict::RuleMatched;
        }
        Verdict::Usable
    }

    /// A value outlives a kill that it contains. The revision zero stands for "never killed".
    fn survives(&self, stamp: Stamp, killed_at: Option<&Revision>) -> bool {
        killed_at.is_none_or(|revision| *revision == Revision::ZERO || stamp.contains(*revision))
    }
}

/// A tag is a hash: hashing it once more would only take time.
#[derive(Default, Clone, Copy)]
struct TagHasher(u64);

impl Hasher for TagHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
