//! A tier of which a part can fail: a key that can't be asked for is an error, never absent, and says nothing of the others.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cache_core::sync::Std;
use cache_core::testing::{ALPHA, FakeLayer, TestKey, TestValue};
use cache_core::wrap::{Deadline, Switch};
use cache_core::{
    CacheLayer, Capabilities, Chain, Draft, Entry, Error, ErrorKind, Fill, Filled, Identity, InProcessLog, Key, Log,
    Lookup, Moment, Now, SystemClock, TypeSet, Usage,
};

/// A tier that can't be asked for every second key of a batch.
struct HalfGone(FakeLayer);

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl CacheLayer<TestValue> for HalfGone {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.0.capabilities()
    }

    fn bind(&self, identity: Identity) {
        self.0.bind(identity);
    }

    fn get_now(&self, key: &Key<'_>) -> Now<TestValue> {
        self.0.get_now(key)
    }

    async fn get_many(&self, keys: &[Key<'_>]) -> Result<Vec<Option<Entry<TestValue>>>, Error> {
        self.get_each(keys).await.into_iter().collect()
    }

    async fn get_each(&self, keys: &[Key<'_>]) -> Vec<Result<Option<Entry<TestValue>>, Error>> {
        let mut found = self.0.get_each(keys).await;
        for failed in found.iter_mut().skip(1).step_by(2) {
            *failed = Err(Error::new(ErrorKind::Unavailable, "remote", "get", "this part is gone"));
        }
        found
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

/// Also through the wrappers.
#[tokio::test]
async fn keys_that_can_not_be_asked_for_are_errors_and_the_others_are_answered() {
    let log: Arc<dyn Log> = Arc::new(InProcessLog::<Std>::new().expect("randomness"));
    let (tier, _) = Switch::new(HalfGone(FakeLayer::remote("remote")));
    let tier = Deadline::new(tier, Duration::from_secs(60), Arc::new(SystemClock));
    let chain = Chain::builder().tier(tier).log(log).build().expect("the parts fit");
    let sources = ["a", "b", "c", "d", "e"].map(|name| TestKey::new(ALPHA, name));
    for source in &sources[..2] {
        let ticket = chain.ticket();
        let draft = Draft {
            value: TestValue::new("1"),
            stamp: ticket.stamp(),
            read_set: [].into_iter().collect(),
            types: TypeSet::default(),
            hard_expiry: Moment::NEVER,
        };
        chain.fill(&ticket, source, draft).await;
    }
    let keys: Vec<_> = sources.iter().map(|source| chain.key(source)).collect();
    let found = chain.find_many(&keys).await;
    assert!(
        matches!(&found[..], [Lookup::Hit(_), Lookup::Error(_), Lookup::Miss, Lookup::Error(_), Lookup::Miss]),
        "{found:?}"
    );
}
