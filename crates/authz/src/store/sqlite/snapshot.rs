//! One state of the file, for the length of an evaluation.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use cache_core::Stamp;

use super::super::{ModelId, Snapshot, StoreError, StoreId, TupleAnswer, TupleRead};
use super::failure::{broken, running};
use super::queries::{answer, latest_model, model, store_exists};
use super::reader::{Lease, hop};
use super::row::{IdText, model_id};

/// A read transaction. Dropped at any point, its connection goes back to the pool clean; a read that is under way ends early.
pub(super) struct SqliteSnapshot {
    /// None while a read has it, and forever after a read that was abandoned.
    lease: Option<Lease>,
    stamp: Stamp,
}

impl SqliteSnapshot {
    pub(super) fn new(lease: Lease, stamp: Stamp) -> Self {
        Self { lease: Some(lease), stamp }
    }

    async fn with<T, F>(&mut self, read: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Lease, &AtomicBool) -> Result<T, StoreError> + Send + 'static,
    {
        let Some(mut lease) = self.lease.take() else {
            return Err(broken("reading", "an earlier read of this snapshot was abandoned"));
        };
        let abandoned = Arc::new(AtomicBool::new(false));
        let _guard = Abandon(Arc::clone(&abandoned));
        let (lease, result) = hop(move || {
            let result = read(&mut lease, &abandoned);
            let result = lease.note(result);
            (lease, result)
        })
        .await?;
        self.lease = Some(lease);
        result
    }
}

#[async_trait]
impl Snapshot for SqliteSnapshot {
    fn stamp(&self) -> Stamp {
        self.stamp
    }

    async fn read(&mut self, store: StoreId, reads: Vec<TupleRead>) -> Result<Vec<TupleAnswer>, StoreError> {
        self.with(move |lease, abandoned| {
            let connection = lease.connection()?;
            let id = IdText::of(store.0);
            let mut answers = Vec::with_capacity(reads.len());
            for read in &reads {
                if abandoned.load(Ordering::Relaxed) {
                    return Err(StoreError::Closed);
                }
                let answer = answer(connection, id.as_str(), read);
                answers.push(answer.map_err(|error| running("reading relationships", &error))?);
            }
            Ok(answers)
        })
        .await
    }

    async fn latest_model(&mut self, store: StoreId) -> Result<Option<Option<ModelId>>, StoreError> {
        self.with(move |lease, _| {
            let connection = lease.connection()?;
            let id = IdText::of(store.0);
            let failed = |error: diesel::result::Error| running("reading the latest model", &error);
            if !store_exists(connection, id.as_str()).map_err(failed)? {
                return Ok(None);
            }
            let latest = latest_model(connection, id.as_str()).map_err(failed)?;
            Ok(Some(latest.as_deref().map(model_id)))
        })
        .await
    }

    async fn model(&mut self, store: StoreId, id: ModelId) -> Result<Option<String>, StoreError> {
        self.with(move |lease, _| {
            let connection = lease.connection()?;
            let found = model(connection, IdText::of(store.0).as_str(), IdText::of(id.0).as_str());
            found.map_err(|error| running("reading a model", &error))
        })
        .await
    }
}

/// Tells the reading thread that nobody waits any more.
struct Abandon(Arc<AtomicBool>);

impl Drop for Abandon {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
