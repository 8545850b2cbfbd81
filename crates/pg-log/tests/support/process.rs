//! A process with a chain whose log lies in PostgreSQL: what its callers see of the log.

use std::sync::Arc;

use cache_core::testing::{ALPHA, FakeLayer, TYPES, TestKey, TestValue};
use cache_core::{Chain, Clock, Kill, Log, Lookup, SystemClock, Tag, tag};
use pg_log::{LogReader, LogRow, Pg, PgLog};

use super::{SOON, until};

pub(crate) struct Process {
    pub(crate) chain: Chain<TestValue>,
    pub(crate) log: Arc<PgLog>,
}

/// What a change of a thing kills.
pub(crate) fn thing(row: &LogRow) -> Vec<Kill> {
    let name = row.fields.first().and_then(Option::as_deref).unwrap_or_default();
    vec![Kill::Tag(tag!("thing", name))]
}

impl Process {
    /// One that holds a lease, with a memory alone.
    pub(crate) async fn start(pg: Pg) -> Self {
        Self::start_with(pg, |_| (), None).await
    }

    /// The same; `listen` may listen to the log before the chain does, and `lower` is a tier below the memory.
    pub(crate) async fn start_with(pg: Pg, listen: impl FnOnce(&PgLog), lower: Option<&FakeLayer>) -> Self {
        let log = PgLog::start_with(pg, TYPES.to_vec(), thing);
        listen(&log);
        let mut builder = Chain::builder().tier(FakeLayer::local("memory"));
        if let Some(lower) = lower {
            builder = builder.tier(lower.clone());
        }
        let chain = builder.log(Arc::clone(&log) as Arc<dyn Log>).build().unwrap();
        tokio::time::timeout(SOON, log.reader().leased()).await.unwrap();
        Self { chain, log }
    }

    pub(crate) fn reader(&self) -> &LogReader {
        self.log.reader()
    }

    /// Whether it may use what it has cached.
    pub(crate) fn is_trusted(&self) -> bool {
        self.reader().lease().holds(SystemClock.now())
    }

    /// Caches a value that was computed from a tag.
    pub(crate) async fn cache(&self, name: &str, tag: Tag) -> TestKey {
        let key = TestKey::new(ALPHA, name);
        // Writers that are old enough may still hold the stamp back: until they have ended and the log was read again.
        until("cached", async || {
            let load = |load: cache_core::Load| async move {
                load.read(tag);
                Ok::<_, std::io::Error>(TestValue::new("cached"))
            };
            self.chain.get_or_load(&key, load).await.unwrap();
            let held = self.holds(&key);
            if !held {
                self.reader().wake();
            }
            held
        })
        .await;
        key
    }

    /// Whether it would answer from what it has cached.
    pub(crate) fn holds(&self, key: &TestKey) -> bool {
        matches!(self.chain.get_now(key), Lookup::Hit(_))
    }
}
