//! What a law is about: values and keys that are easy to tell apart, a tier to be judged, and a chain around it.

use std::future::Future;
use std::sync::Arc;

use super::{FixedEntropy, SharedLayer, TestClock};
use crate::{
    CacheKey, CacheType, CacheValue, Chain, ChainBuilder, Draft, FillOutcome, Identity, InProcessLog, Key, KeyBytes,
    KeyEncoder, Keyer, Log, Moment, Policy, ReadSet, RowKey, RowValue, Stamp, StoredValue, Tag, TypeSet,
};

/// A cache type of the laws.
pub const ALPHA: CacheType = CacheType::new(1, "alpha");
/// Another one.
pub const BETA: CacheType = CacheType::new(2, "beta");
/// All of them.
pub const TYPES: [CacheType; 2] = [ALPHA, BETA];

/// The view that answers the keys of the laws, for a tier that mirrors an origin. Its key has one column.
pub const VIEW: &str = "laws";

/// A value of the laws: text, or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestValue(Option<String>);

impl TestValue {
    /// A value that says something.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(Some(text.into()))
    }

    /// A value that says that there is nothing.
    #[must_use]
    pub const fn nothing() -> Self {
        Self(None)
    }

    /// What it says.
    #[must_use]
    pub fn text(&self) -> &str {
        self.0.as_deref().unwrap_or("(nothing)")
    }

    /// For tiers that store bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        self.0.iter().flat_map(|text| std::iter::once(1).chain(text.bytes())).collect()
    }

    /// The opposite of [`TestValue::to_bytes`].
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("only to_bytes writes these bytes");
        Self(bytes.split_first().map(|(_, rest)| text(rest)))
    }
}

impl CacheValue for TestValue {
    fn heap_bytes(&self) -> usize {
        self.0.as_ref().map_or(0, String::capacity)
    }

    fn is_negative(&self) -> bool {
        self.0.is_none()
    }
}

impl StoredValue for TestValue {
    const SCHEMA: u16 = 1;

    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend(self.to_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        match bytes.split_first() {
            None => Some(Self::nothing()),
            Some((1, text)) => String::from_utf8(text.to_vec()).ok().map(Self::new),
            Some(_) => None,
        }
    }
}

impl TestValue {
    /// The text of the row that says this value, with the tags of what it was computed from. Every text can be stored everywhere.
    #[must_use]
    pub fn to_row(&self, tags: &[Tag]) -> String {
        let tags: Vec<String> = tags.iter().map(|tag| format!("{:x}", tag.hash())).collect();
        format!("{} {}", hex(&self.to_bytes()), tags.join(","))
    }
}

/// The opposite of [`TestValue::to_row`]. That there is no row says nothing in the laws: a tier is empty before it is filled.
impl RowValue for TestValue {
    fn from_row(_: &RowKey, row: Option<&str>) -> Option<(Self, ReadSet)> {
        let (value, tags) = row?.split_once(' ')?;
        let bytes: Option<Vec<u8>> =
            (0..value.len()).step_by(2).map(|at| u8::from_str_radix(value.get(at..at + 2)?, 16).ok()).collect();
        let tags: Option<Vec<Tag>> = tags
            .split(',')
            .filter(|tag| !tag.is_empty())
            .map(|tag| u64::from_str_radix(tag, 16).ok().map(Tag::from_hash))
            .collect();
        Some((Self::read(&bytes?)?, tags?.into_iter().collect()))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A key of the laws.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestKey {
    cache_type: CacheType,
    name: String,
    entities: Vec<(String, String)>,
}

impl TestKey {
    /// A key that names no entity.
    #[must_use]
    pub fn new(cache_type: CacheType, name: impl Into<String>) -> Self {
        Self { cache_type, name: name.into(), entities: Vec::new() }
    }

    /// Names an entity.
    #[must_use]
    pub fn naming(mut self, kind: &str, id: &str) -> Self {
        self.entities.push((kind.to_owned(), id.to_owned()));
        self
    }
}

impl CacheKey for TestKey {
    fn cache_type(&self) -> CacheType {
        self.cache_type
    }

    fn encode(&self, encoder: &mut KeyEncoder) {
        // The type is encoded by whoever calls this.
        let Self { cache_type: _, name, entities } = self;
        encoder.text(name).list(entities.len());
        for (kind, id) in entities {
            encoder.text(kind).text(id);
        }
    }

    fn entities(&self, visit: &mut dyn FnMut(&str, &str)) {
        for (kind, id) in &self.entities {
            visit(kind, id);
        }
    }

    fn row(&self) -> Option<RowKey> {
        let mut encoder = KeyEncoder::default();
        self.encode(encoder.text(self.cache_type.name()));
        let bytes: KeyBytes = encoder.finish();
        Some(RowKey { view: VIEW, columns: [hex(&bytes).into()].into_iter().collect(), asked: Default::default() })
    }
}

/// What a tier is made for: the time that it lives in, and the log that its content belongs to.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The time. A tier that keeps ends as times of day, or leaves them to its backend, converts from this.
    pub clock: Arc<TestClock>,
    /// The log's identity: a tier that outlives the process names its content by it.
    pub identity: Identity,
}

impl Default for Setting {
    fn default() -> Self {
        Self { clock: Arc::default(), identity: Identity::random().expect("the system has randomness") }
    }
}

/// Makes the tier that the laws are about.
pub trait Fixture: Default + Send + Sync + 'static {
    /// The tier, empty. One that takes no fills is a [`SharedLayer::mirroring`].
    fn layer(&self, setting: &Setting) -> impl Future<Output = SharedLayer> + Send;

    /// Tiers before it, in a suite about a chain of several. They have other names.
    fn above(&self, setting: &Setting) -> Vec<SharedLayer> {
        let _ = setting;
        Vec::new()
    }

    /// Tiers behind it.
    fn below(&self, setting: &Setting) -> Vec<SharedLayer> {
        let _ = setting;
        Vec::new()
    }

    /// The heap of a value, in bytes, that the tier must refuse; none where it takes any.
    fn too_large(&self) -> Option<usize> {
        None
    }

    /// A tier of this kind whose backend can't be reached; none where there is no such thing.
    fn unreachable(&self, setting: &Setting) -> impl Future<Output = Option<SharedLayer>> + Send {
        let _ = setting;
        std::future::ready(None)
    }
}

/// A chain around the tier, with a handle for everything in it.
#[derive(Debug)]
pub struct World {
    /// The chain.
    pub chain: Chain<TestValue>,
    /// The tier that the law is about.
    pub tier: SharedLayer,
    /// All tiers, fastest first.
    pub tiers: Vec<SharedLayer>,
    /// The time.
    pub clock: Arc<TestClock>,
    /// The secret of the chain's keys, for another chain over the same tiers.
    pub keyer: Keyer,
}

impl World {
    /// The tier with its companions, and lifetimes without jitter.
    pub async fn of<F: Fixture>(fixture: &F) -> Self {
        Self::with(fixture, Policy::default().jitter_percent(0), Vec::new(), Vec::new()).await
    }

    /// The tier with its companions, and others before and behind them all.
    pub async fn between<F: Fixture>(fixture: &F, first: Vec<SharedLayer>, last: Vec<SharedLayer>) -> Self {
        Self::with(fixture, Policy::default().jitter_percent(0), first, last).await
    }

    /// All that can be chosen.
    pub async fn with<F: Fixture>(
        fixture: &F,
        policy: Policy,
        first: Vec<SharedLayer>,
        last: Vec<SharedLayer>,
    ) -> Self {
        let setting = Setting::default();
        let tier = fixture.layer(&setting).await;
        let mut tiers = first;
        tiers.extend(fixture.above(&setting));
        tiers.push(tier.clone());
        tiers.extend(fixture.below(&setting));
        tiers.extend(last);
        Self::build(tier, tiers, policy, setting)
    }

    /// The tier alone, for what its companions would hide.
    pub async fn alone<F: Fixture>(fixture: &F) -> Self {
        let setting = Setting::default();
        let tier = fixture.layer(&setting).await;
        Self::build(tier.clone(), vec![tier], Policy::default().jitter_percent(0), setting)
    }

    fn build(tier: SharedLayer, tiers: Vec<SharedLayer>, policy: Policy, setting: Setting) -> Self {
        let log: Arc<dyn Log> = Arc::new(InProcessLog::<crate::sync::Std>::with_identity(setting.identity));
        let builder: ChainBuilder<TestValue, _> = tiers.iter().cloned().fold(Chain::builder(), ChainBuilder::tier);
        let clock = Arc::clone(&setting.clock);
        let keyer = Keyer::random().expect("the system has randomness");
        let chain = builder
            .log(log)
            .keyer(keyer.clone())
            .policy(policy)
            .clock(setting.clock)
            .entropy(Arc::new(FixedEntropy(0)))
            .build()
            .expect("the tiers of a law have different names");
        Self { chain, tier, tiers, clock, keyer }
    }

    /// A draft as a load of now would bring it, without an end of its own.
    #[must_use]
    pub fn draft(&self, value: TestValue, tags: &[Tag]) -> Draft<TestValue> {
        Draft {
            value,
            stamp: self.stamp(),
            read_set: tags.iter().copied().collect(),
            types: TypeSet::default(),
            hard_expiry: Moment::NEVER,
        }
    }

    /// Brings a value into every tier: by a fill of the chain, and into tiers that take none by way of what they mirror.
    pub async fn fill(&self, source: &TestKey, draft: Draft<TestValue>) -> FillOutcome {
        self.fill_many(vec![(self.chain.key(source), draft)]).await.pop().expect("one outcome for each draft")
    }

    /// The same for many values.
    pub async fn fill_many(&self, drafts: Vec<(Key<'_>, Draft<TestValue>)>) -> Vec<FillOutcome> {
        for tier in &self.tiers {
            tier.mirror(&drafts).await;
        }
        self.chain.fill_many(&self.chain.ticket(), drafts).await
    }

    /// The stamp of a read of now.
    #[must_use]
    pub fn stamp(&self) -> Stamp {
        self.chain.ticket().stamp()
    }
}
