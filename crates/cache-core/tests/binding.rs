//! Whose history the content of a tier belongs to: the chain tells its tiers when it is built, and the log whenever that changes.

use std::sync::{Arc, Mutex, Weak};

use async_trait::async_trait;
use cache_core::sync::Std;
use cache_core::testing::{FakeLayer, TestValue};
use cache_core::{
    CacheLayer, Capabilities, Chain, Delta, Entry, Error, Fill, Filled, Identity, InProcessLog, Key, Kill, KillSink,
    Log, Now, Position, Revision, Stamp, Usage,
};

/// A tier that notes what it is bound to.
struct Bound(FakeLayer, Arc<Mutex<Vec<Identity>>>);

#[async_trait]
impl CacheLayer<TestValue> for Bound {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    fn bind(&self, identity: Identity) {
        self.1.lock().expect("nobody panics with it").push(identity);
    }

    fn get_now(&self, key: &Key<'_>) -> Now<TestValue> {
        self.0.get_now(key)
    }

    async fn get_many(&self, keys: &[Key<'_>]) -> Result<Vec<Option<Entry<TestValue>>>, Error> {
        self.0.get_many(keys).await
    }

    async fn fill_many(&self, fills: &[Fill<'_, TestValue>]) -> Result<Filled, Error> {
        self.0.fill_many(fills).await
    }

    async fn remove_many(&self, keys: &[Key<'_>]) -> Result<(), Error> {
        self.0.remove_many(keys).await
    }

    async fn clear(&self) -> Result<(), Error> {
        self.0.clear().await
    }

    fn usage(&self) -> Usage {
        self.0.usage()
    }
}

/// A log that becomes another one when it is told to.
struct Changing {
    inner: InProcessLog<Std>,
    known: bool,
    sinks: Mutex<Vec<Weak<dyn KillSink>>>,
}

impl Changing {
    fn become_another(&self, identity: Identity) {
        let sinks = self.sinks.lock().expect("nobody panics with it");
        sinks.iter().filter_map(Weak::upgrade).for_each(|sink| sink.bind(identity));
    }
}

#[async_trait]
impl Log for Changing {
    fn identity(&self) -> Option<Identity> {
        self.inner.identity().filter(|_| self.known)
    }

    fn stamp(&self) -> Stamp {
        self.inner.stamp()
    }

    fn attach(&self, sink: Weak<dyn KillSink>) {
        self.sinks.lock().expect("nobody panics with it").push(Weak::clone(&sink));
        self.inner.attach(sink);
    }

    async fn append(&self, kills: Vec<Kill>) -> Result<Revision, Error> {
        self.inner.append(kills).await
    }

    async fn read(&self, after: Option<&Position>) -> Result<Delta, Error> {
        self.inner.read(after).await
    }

    fn covers(&self, position: &Position, revision: Revision) -> bool {
        self.inner.covers(position, revision)
    }
}

const FIRST: Identity = Identity([1; 16]);
const SECOND: Identity = Identity([2; 16]);

fn chain(known: bool) -> (Chain<TestValue>, Arc<Changing>, Arc<Mutex<Vec<Identity>>>) {
    let log = Arc::new(Changing { inner: InProcessLog::with_identity(FIRST), known, sinks: Mutex::default() });
    let bound = Arc::default();
    let tier = Bound(FakeLayer::remote("remote").durable(), Arc::clone(&bound));
    let chain = Chain::builder().tier(tier).log(Arc::clone(&log) as Arc<dyn Log>).build().expect("the parts fit");
    (chain, log, bound)
}

#[test]
fn tiers_are_bound_to_the_log_when_the_chain_is_built_and_whenever_it_becomes_another_one() {
    let (chain, log, bound) = chain(true);
    assert_eq!(*bound.lock().expect("it is there"), [FIRST]);
    log.become_another(SECOND);
    assert_eq!(*bound.lock().expect("it is there"), [FIRST, SECOND]);
    drop(chain);
    log.become_another(FIRST);
    assert_eq!(bound.lock().expect("it is there").len(), 2, "a chain that is gone is told nothing");
}

#[test]
fn tiers_of_a_log_that_has_not_said_which_one_it_is_are_bound_when_it_does() {
    let (_chain, log, bound) = chain(false);
    assert!(bound.lock().expect("it is there").is_empty());
    log.become_another(SECOND);
    assert_eq!(*bound.lock().expect("it is there"), [SECOND]);
}

#[tokio::test]
async fn kills_reach_the_horizon_for_as_long_as_the_chain_lives() {
    let (chain, log, _) = chain(true);
    let revision = log.append(vec![Kill::All]).await.expect("it appends");
    assert_eq!(chain.horizon().usage().floor, revision);
}
