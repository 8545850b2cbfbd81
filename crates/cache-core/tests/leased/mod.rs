//! A log under a lease that the test keeps.

use std::sync::{Arc, Weak};

use async_trait::async_trait;
use cache_core::sync::Std;
use cache_core::{Delta, Error, Identity, InProcessLog, Kill, KillSink, Lease, Log, Position, Revision, Stamp};

/// A log whose word holds for a while.
pub(crate) struct Leased {
    pub(crate) inner: InProcessLog<Std>,
    pub(crate) lease: Arc<Lease>,
}

#[async_trait]
impl Log for Leased {
    fn identity(&self) -> Option<Identity> {
        self.inner.identity()
    }

    fn stamp(&self) -> Stamp {
        self.inner.stamp()
    }

    fn attach(&self, sink: Weak<dyn KillSink>) {
        self.inner.attach(sink);
    }

    async fn append(&self, kills: Vec<Kill>) -> Result<Revision, Error> {
        self.inner.append(kills).await
    }

    async fn read(&self, after: Option<&Position>) -> Result<Delta, Error> {
        self.inner.read(after).await
    }

    fn lease(&self) -> Arc<Lease> {
        Arc::clone(&self.lease)
    }

    fn covers(&self, position: &Position, revision: Revision) -> bool {
        self.inner.covers(position, revision)
    }
}
