//! Appends, on a connection of their own that they share. A connection that broke is replaced, and the append is sent once more: a record that was
//! appended twice kills the same things twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cache_core::{Clock, Error};
use tokio::sync::{Mutex, Semaphore};

use super::PLACE;
use super::config::LogConfig;
use super::limit::limited;
use super::step::{Answer, Names, Step};
use crate::connect::{Connector, Link};
use crate::error::Failure;

/// How often an append is sent.
const TRIES: usize = 2;

/// Sends appends.
pub(super) struct Writer {
    connector: Arc<Connector>,
    clock: Arc<dyn Clock>,
    names: Names,
    config: LogConfig,
    link: Mutex<Option<Numbered>>,
    permits: Semaphore,
}

/// A connection, and which one it is: who finds it broken must not drop the one that has replaced it.
#[derive(Clone)]
struct Numbered {
    number: u64,
    link: Link,
}

impl Writer {
    pub(super) fn new(connector: Arc<Connector>, clock: Arc<dyn Clock>, names: Names, config: LogConfig) -> Self {
        let permits = Semaphore::new(config.max_appends);
        Self { connector, clock, names, config, link: Mutex::new(None), permits }
    }

    /// Takes a step.
    pub(super) async fn step(&self, step: Step<'_>) -> Result<Answer, Error> {
        self.with_link("append", |mut link| async move { step.take(&self.names, &mut link).await }).await
    }

    /// Does something with the connection, within the time for an answer and the bound on what may be under way.
    pub(super) async fn with_link<T, W: Future<Output = Result<T, Failure>>>(
        &self,
        operation: &'static str,
        work: impl Fn(Link) -> W,
    ) -> Result<T, Error> {
        let failed = |failure: Failure| failure.into_error(PLACE, operation, self.connector.address());
        let limit = self.config.answer_timeout();
        let Ok(_permit) = self.permits.try_acquire() else {
            return Err(failed(Failure::Busy(std::time::Duration::ZERO)));
        };
        let used = AtomicU64::new(0);
        let tries = async {
            let mut last = Failure::Timeout(limit);
            for _ in 0..TRIES {
                let Numbered { number, link } = self.link().await?;
                used.store(number, Ordering::Relaxed);
                match work(link).await {
                    Ok(done) => return Ok(done),
                    Err(failure) => {
                        if failure.breaks_connections() || failure == Failure::Protocol {
                            self.drop_link(number).await;
                        }
                        if !failure.deserves_a_retry() {
                            return Err(failure);
                        }
                        last = failure;
                    }
                }
            }
            Err(last)
        };
        let done = limited(&*self.clock, limit, tries).await;
        if let Err(Failure::Timeout(_)) = &done {
            // It may be dead without a word. Who still waits on it keeps it, and one that was made since is nobody's to drop.
            self.drop_link(used.load(Ordering::Relaxed)).await;
        }
        done.map_err(failed)
    }

    async fn link(&self) -> Result<Numbered, Failure> {
        let mut current = self.link.lock().await;
        if let Some(numbered) = &*current {
            return Ok(numbered.clone());
        }
        let link = self.connector.connect().await.map_err(|error| Failure::of(&error))?;
        let numbered = Numbered { number: next_number(), link };
        *current = Some(numbered.clone());
        Ok(numbered)
    }

    async fn drop_link(&self, number: u64) {
        let mut current = self.link.lock().await;
        if current.as_ref().is_some_and(|numbered| numbered.number == number) {
            *current = None;
        }
    }
}

/// Numbers begin with one: nought is no link.
fn next_number() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
