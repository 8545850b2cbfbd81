//! The world of the scenarios: an origin that changes, a chain in front of it, and callers that compare what they get with what was acknowledged
//! before they asked.
//!
//! The invariant of all scenarios is one: **an answer to a call that was invoked after a change was acknowledged contains the change.** A
//! writer commits to the origin, invalidates, and acknowledges, in this order. Versions of the origin only grow, so that "contains" is a comparison.

use std::sync::Arc;

use cache_core::testing::{ALPHA, FakeLayer, FixedEntropy, TestKey, TestValue};
use cache_core::{
    Answer, Chain, Draft, Error, HorizonConfig, Key, Kill, Lookup, MIN_HORIZON_BYTES, Moment, Policy, Tag, Ticket,
    TypeSet, tag,
};
use shuttle::future::block_on;
use shuttle::sync::atomic::{AtomicU64, Ordering};
use shuttle::thread;

use super::family::{ShuttleSync, Still};

/// What the message of a failure begins with when the invariant was broken.
pub(crate) const FOUND: &str = "an answer is older than what was acknowledged";

const FACTS: [usize; 2] = [0, 1];

/// One fact of the origin.
#[derive(Default)]
pub(crate) struct Fact {
    version: AtomicU64,
    pub(crate) acknowledged: AtomicU64,
}

pub(crate) struct World {
    pub(crate) chain: Chain<TestValue, ShuttleSync>,
    pub(crate) remote: Option<FakeLayer<ShuttleSync>>,
    pub(crate) facts: [Fact; 2],
}

/// Names the fact as an entity, too: patterns reach it by that.
pub(crate) fn key(fact: usize) -> TestKey {
    TestKey::new(ALPHA, fact.to_string()).naming("fact", &fact.to_string())
}

pub(crate) fn fact_tag(fact: usize) -> Tag {
    tag!("fact", fact)
}

/// Names the fact besides the version: a value that comes back under another key is found out.
pub(crate) fn value(fact: usize, version: u64) -> TestValue {
    TestValue::new(format!("{fact}:{version}"))
}

pub(crate) fn version(fact: usize, value: &TestValue) -> u64 {
    let (named, version) = value.text().split_once(':').expect("a value of this test");
    assert_eq!(named, fact.to_string(), "{FOUND}: it is another key's");
    version.parse().expect("a version")
}

impl World {
    pub(crate) fn new(with_remote: bool) -> Arc<Self> {
        Self::with(with_remote, Policy::default())
    }

    /// With lifetimes of its own; without jitter, whatever they are.
    pub(crate) fn with(with_remote: bool, policy: Policy) -> Arc<Self> {
        let mut builder = Chain::builder_with().tier(FakeLayer::<ShuttleSync>::local_with("local"));
        let remote = with_remote.then(|| FakeLayer::<ShuttleSync>::remote_with("remote"));
        if let Some(remote) = &remote {
            builder = builder.tier(remote.clone());
        }
        let chain = builder
            .clock(Arc::new(Still))
            .entropy(Arc::new(FixedEntropy(0)))
            .policy(policy.jitter_percent(0))
            .horizon(HorizonConfig { budget_bytes: MIN_HORIZON_BYTES, max_rules: 2 })
            .build()
            .expect("the parts fit");
        Arc::new(Self { chain, remote, facts: Default::default() })
    }

    pub(crate) fn read(&self, fact: usize) -> u64 {
        self.facts[fact].version.load(Ordering::SeqCst)
    }

    /// Commits a change of the origin, and says which version that made.
    pub(crate) fn commit(&self, fact: usize) -> u64 {
        self.facts[fact].version.fetch_add(1, Ordering::SeqCst) + 1
    }

    pub(crate) fn acknowledge(&self, fact: usize, version: u64) {
        self.facts[fact].acknowledged.fetch_max(version, Ordering::SeqCst);
    }

    /// Commit, invalidate, acknowledge.
    pub(crate) async fn change_with(&self, fact: usize, kills: Vec<Kill>) {
        let version = self.commit(fact);
        self.chain.invalidate_all_of(kills).await.expect("the log takes it");
        self.acknowledge(fact, version);
    }

    pub(crate) async fn change(&self, fact: usize) {
        self.change_with(fact, vec![Kill::Tag(fact_tag(fact))]).await;
    }

    pub(crate) async fn load(&self, fact: usize) -> Result<Answer<TestValue>, Error> {
        let load = |load: cache_core::Load| async move {
            load.read(fact_tag(fact));
            Ok::<_, std::io::Error>(value(fact, self.read(fact)))
        };
        self.chain.get_or_load(&key(fact), load).await
    }

    /// Asks by way of get-or-load, and judges.
    pub(crate) async fn ask(&self, fact: usize) {
        let acknowledged = self.facts[fact].acknowledged.load(Ordering::SeqCst);
        let answer = self.load(fact).await.expect("the origin answers");
        assert!(version(fact, answer.value()) >= acknowledged, "{FOUND}: {answer:?}, acknowledged {acknowledged}");
    }

    /// Asks the tiers alone, and judges. Whether they had something.
    pub(crate) async fn look(&self, fact: usize) -> bool {
        let acknowledged = self.facts[fact].acknowledged.load(Ordering::SeqCst);
        let found = self.chain.get(&key(fact)).await;
        judge(fact, found, acknowledged)
    }

    /// The same for all facts at once.
    pub(crate) async fn look_at_all(&self) {
        let acknowledged = FACTS.map(|fact| self.facts[fact].acknowledged.load(Ordering::SeqCst));
        let sources = FACTS.map(key);
        let keys: Vec<Key<'_>> = sources.iter().map(|source| self.chain.key(source)).collect();
        for (fact, found) in FACTS.into_iter().zip(self.chain.find_many(&keys).await) {
            judge(fact, found, acknowledged[fact]);
        }
    }

    /// What a load of now reads, with the stamp of a ticket.
    fn draft(&self, fact: usize, ticket: &Ticket) -> Draft<TestValue> {
        Draft {
            value: value(fact, self.read(fact)),
            stamp: ticket.stamp(),
            read_set: [fact_tag(fact)].into_iter().collect(),
            types: TypeSet::default(),
            hard_expiry: Moment::NEVER,
        }
    }

    /// Reads and fills without single flight, as a warm-up does.
    pub(crate) async fn warm(&self, fact: usize) {
        let ticket = self.chain.ticket();
        let draft = self.draft(fact, &ticket);
        self.chain.fill(&ticket, &key(fact), draft).await;
    }

    /// The same for all facts, filled together.
    pub(crate) async fn warm_all(&self) {
        let ticket = self.chain.ticket();
        let sources = FACTS.map(key);
        let drafts = FACTS.map(|fact| (self.chain.key(&sources[fact]), self.draft(fact, &ticket)));
        self.chain.fill_many(&ticket, drafts.into()).await;
    }
}

fn judge(fact: usize, found: Lookup<TestValue>, acknowledged: u64) -> bool {
    let Some(hit) = found.hit() else { return false };
    assert!(version(fact, hit.value()) >= acknowledged, "{FOUND}: {hit:?}, acknowledged {acknowledged}");
    true
}

/// Runs tasks side by side. They are boxed, so that a scenario can list tasks of different kinds.
pub(crate) fn together(world: &Arc<World>, tasks: Vec<Task>) {
    let handles: Vec<_> = tasks
        .into_iter()
        .map(|task| {
            let world = Arc::clone(world);
            thread::spawn(move || task(&world))
        })
        .collect();
    for handle in handles {
        handle.join().expect("a task panicked");
    }
}

pub(crate) type Task = Box<dyn FnOnce(&World) + Send>;

pub(crate) fn task(run: impl AsyncFnOnce(&World) + Send + 'static) -> Task {
    Box::new(move |world| block_on(run(world)))
}
