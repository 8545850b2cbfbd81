//! A time limit for each operation of a tier: a slow backend costs a bounded wait, and counts as an error.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::{
    CacheLayer, CacheValue, Capabilities, Clock, Entry, Error, ErrorKind, Fill, Filled, Identity, Key, Now, Usage,
};

/// A tier whose awaited operations end within a time limit.
pub struct Deadline<L> {
    inner: L,
    limit: Duration,
    clock: Arc<dyn Clock>,
}

impl<L> Deadline<L> {
    /// Gives `inner` `limit` for each operation.
    pub fn new(inner: L, limit: Duration, clock: Arc<dyn Clock>) -> Self {
        Self { inner, limit, clock }
    }

    async fn within<T>(
        &self,
        name: &'static str,
        operation: &'static str,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        tokio::select! {
            biased;
            result = work => result,
            () = self.clock.sleep(self.limit) => Err(Error::new(
                ErrorKind::Timeout,
                name,
                operation,
                format!("no answer within {} ms; look at the backend, or give it more time", self.limit.as_millis()),
            )),
        }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<V: CacheValue, L: CacheLayer<V>> CacheLayer<V> for Deadline<L> {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { fallible: true, ..self.inner.capabilities() }
    }

    fn bind(&self, identity: Identity) {
        self.inner.bind(identity);
    }

    #[inline]
    fn get_now(&self, key: &Key<'_>) -> Now<V> {
        self.inner.get_now(key)
    }

    async fn get_many(&self, keys: &[Key<'_>]) -> Result<Vec<Option<Entry<V>>>, Error> {
        self.within(self.inner.name(), "get", self.inner.get_many(keys)).await
    }

    async fn get_each(&self, keys: &[Key<'_>]) -> Vec<Result<Option<Entry<V>>, Error>> {
        let found = self.within(self.inner.name(), "get", async { Ok(self.inner.get_each(keys).await) }).await;
        found.unwrap_or_else(|error| keys.iter().map(|_| Err(error.clone())).collect())
    }

    async fn fill_many(&self, fills: &[Fill<'_, V>]) -> Result<Filled, Error> {
        self.within(self.inner.name(), "fill", self.inner.fill_many(fills)).await
    }

    async fn remove_many(&self, keys: &[Key<'_>]) -> Result<(), Error> {
        self.within(self.inner.name(), "remove", self.inner.remove_many(keys)).await
    }

    async fn clear(&self) -> Result<(), Error> {
        self.within(self.inner.name(), "clear", self.inner.clear()).await
    }

    fn usage(&self) -> Usage {
        self.inner.usage()
    }
}

impl<L: std::fmt::Debug> std::fmt::Debug for Deadline<L> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Deadline").field("inner", &self.inner).field("limit", &self.limit).finish_non_exhaustive()
    }
}
