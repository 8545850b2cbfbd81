//! Connections that everybody uses at once, for single statements: requests are pipelined, so that a few connections carry what a pool needs
//! dozens for. A transaction has no place here.

use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio_postgres::{Client, Statement};

use super::link::{Link, lock};
use super::open::Opener;
use crate::{PgConfig, PgError};

/// The shared connections of one PostgreSQL.
pub(crate) struct Sharer {
    slots: Box<[Slot]>,
    next: AtomicUsize,
}

#[derive(Default)]
struct Slot {
    link: Mutex<Option<Arc<Link>>>,
    /// Held by whoever opens it: the others wait for that one.
    opening: tokio::sync::Mutex<()>,
}

impl Slot {
    fn live(&self) -> Option<Arc<Link>> {
        lock(&self.link).as_ref().filter(|link| !link.client.is_closed()).cloned()
    }
}

impl Sharer {
    pub(crate) fn new(settings: &PgConfig) -> Self {
        Self {
            slots: (0..settings.shared_connections.max(1)).map(|_| Slot::default()).collect(),
            next: AtomicUsize::new(0),
        }
    }

    pub(crate) async fn share(&self, opener: &Opener) -> Result<Shared, PgError> {
        let first = self.next.fetch_add(1, Ordering::Relaxed) % self.slots.len();
        let slot = &self.slots[first];
        if let Some(link) = slot.live() {
            return Ok(Shared { link });
        }
        let _opening = slot.opening.lock().await;
        if let Some(link) = slot.live() {
            return Ok(Shared { link });
        }
        match opener.open(None).await {
            Ok(link) => {
                let link = Arc::new(link);
                *lock(&slot.link) = Some(Arc::clone(&link));
                Ok(Shared { link })
            }
            // Another one may still be there, where only the number of connections is used up.
            Err(error) => self.slots.iter().find_map(Slot::live).map(|link| Shared { link }).ok_or(error),
        }
    }
}

/// A connection that many use at once, for single statements.
#[derive(Clone)]
pub struct Shared {
    link: Arc<Link>,
}

impl Shared {
    /// A statement that is prepared once for each connection.
    ///
    /// # Errors
    /// Where PostgreSQL refuses it, or can't be reached.
    pub async fn prepared(&self, sql: &str) -> Result<Statement, PgError> {
        self.link.prepared(sql).await
    }

    /// Ends the connection for everybody: where it no longer answers, all who wait on it are better off with an error and another one.
    pub fn discard(self) {
        self.link.close();
    }

    /// Which session it is: a number that no other one of this process has.
    #[must_use]
    pub fn session(&self) -> u64 {
        self.link.number
    }

    /// How many round trips this connection has made so far: requests that were sent while an answer was due count as one.
    #[must_use]
    pub fn round_trips(&self) -> u64 {
        self.link.wire.trips()
    }
}

impl Deref for Shared {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.link.client
    }
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}
