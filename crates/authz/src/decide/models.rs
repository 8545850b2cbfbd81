//! Versions of models, ready for evaluation; and which one is the latest.
//!
//! Both are cached values like any other: they have a stamp and a tag, and are judged by the horizon each time, or a revocation by a new model could be
//! passed by. A version is immutable through our API, but somebody may delete it, or its store, in the data file.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use cache_core::{
    CacheKey, CacheType, CacheValue, Clock, Draft, Entry, Horizon, KeyEncoder, Lease, Moment, ReadSet, Stamp, TypeSet,
    Verdict,
};

use super::DecisionChain;
use super::error::CheckError;
use super::types::GENERATION_RIGHTS;
use crate::evaluate::Plan;
use crate::evaluate::tags::{self, STORE_ENTITY};
use crate::model::Model;
use crate::store::{ModelId, Store, StoreError, StoreId};

/// The most versions that are kept ready.
const MAX_VERSIONS: usize = 1_000;
/// The bytes that they may take, but for a single larger one.
const MAX_BYTES: usize = 128 << 20;
/// What a compiled version takes for each byte of its JSON form: measured at 18 for models of many small relations, and rounded up.
const BYTES_PER_BODY_BYTE: usize = 20;
/// The most stores whose latest version is remembered.
const MAX_LATEST: usize = 10_000;

/// A version of a model.
#[derive(Debug)]
pub(super) struct Version {
    pub(super) id: ModelId,
    pub(super) plan: Plan,
}

/// The versions that this process has met.
pub(super) struct Models {
    origin: Arc<dyn Store>,
    horizon: Arc<Horizon>,
    /// How long the horizon may be trusted, by which clock.
    lease: Arc<Lease>,
    clock: Arc<dyn Clock>,
    latest: RwLock<HashMap<StoreId, Entry<Latest>>>,
    versions: Mutex<Versions>,
}

#[derive(Default)]
struct Versions {
    /// Each with the bytes that it counts for.
    by_id: HashMap<(StoreId, ModelId), (Entry<Latest>, usize)>,
    bytes: usize,
    order: VecDeque<(StoreId, ModelId)>,
}

#[derive(Clone)]
struct Latest(Arc<Version>);

impl CacheValue for Latest {
    fn heap_bytes(&self) -> usize {
        0
    }
}

struct LatestKey(StoreId);

impl CacheKey for LatestKey {
    fn cache_type(&self) -> CacheType {
        // Never stored in a tier: the type only matters for kills by type, which it takes no part in.
        GENERATION_RIGHTS
    }

    fn encode(&self, encoder: &mut KeyEncoder) {
        let Self(store) = self;
        encoder.u128(store.0.0);
    }

    fn entities(&self, visit: &mut dyn FnMut(&str, &str)) {
        let mut text = [0; ulid::ULID_LEN];
        visit(STORE_ENTITY, self.0.0.array_to_str(&mut text));
    }
}

impl Models {
    pub(super) fn new(origin: Arc<dyn Store>, chain: &DecisionChain) -> Self {
        Self {
            origin,
            horizon: Arc::clone(chain.horizon()),
            lease: Arc::clone(chain.lease()),
            clock: Arc::clone(chain.clock()),
            latest: RwLock::default(),
            versions: Mutex::default(),
        }
    }

    /// A version, if it can be told without waiting. `now` was read after the question was put.
    pub(super) fn resolve_now(&self, store: StoreId, model: Option<ModelId>, now: Moment) -> Option<Arc<Version>> {
        if !self.lease.holds(now) {
            return None;
        }
        // The latest one also where another was named: it stands for the store itself, which may have been deleted.
        let newest = {
            let latest = self.latest.read().unwrap_or_else(PoisonError::into_inner);
            let entry = latest.get(&store)?;
            let usable = self.horizon.check(entry, &LatestKey(store)) == Verdict::Usable;
            usable.then(|| Arc::clone(&entry.value().0))?
        };
        match model {
            Some(model) if model != newest.id => self.known(store, model),
            Some(_) | None => Some(newest),
        }
    }

    /// A version: the given one, or the latest.
    pub(super) async fn resolve(&self, store: StoreId, model: Option<ModelId>) -> Result<Arc<Version>, CheckError> {
        if let Some(version) = self.resolve_now(store, model, self.clock.now()) {
            return Ok(version);
        }
        let newest = self.latest(store).await?;
        match model {
            Some(model) if model != newest.id => self.version(store, model).await,
            Some(_) | None => Ok(newest),
        }
    }

    async fn latest(&self, store: StoreId) -> Result<Arc<Version>, CheckError> {
        let (stamp, found) = {
            let mut snapshot = self.origin.snapshot().await?;
            let found = snapshot.latest_model(store).await?;
            (snapshot.stamp(), found)
        };
        let id = found.ok_or(StoreError::UnknownStore(store))?.ok_or(CheckError::NoModel(store))?;
        let version = self.version(store, id).await?;
        let entry = entry(store, Arc::clone(&version), stamp);
        let mut latest = self.latest.write().unwrap_or_else(PoisonError::into_inner);
        if latest.len() >= MAX_LATEST
            && let Some(any) = latest.keys().next().copied()
        {
            latest.remove(&any);
        }
        latest.insert(store, entry);
        Ok(version)
    }

    /// A version that lies here. Ask first whether the lease holds.
    fn known(&self, store: StoreId, model: ModelId) -> Option<Arc<Version>> {
        let versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        let (entry, _) = versions.by_id.get(&(store, model))?;
        let usable = self.horizon.check(entry, &LatestKey(store)) == Verdict::Usable;
        usable.then(|| Arc::clone(&entry.value().0))
    }

    async fn version(&self, store: StoreId, id: ModelId) -> Result<Arc<Version>, CheckError> {
        if self.lease.holds(self.clock.now())
            && let Some(known) = self.known(store, id)
        {
            return Ok(known);
        }
        let (stamp, body) = {
            let mut snapshot = self.origin.snapshot().await?;
            let body = snapshot.model(store, id).await?;
            (snapshot.stamp(), body)
        };
        let body = body.ok_or(CheckError::UnknownModel { store, model: id })?;
        let bytes = body.len() * BYTES_PER_BODY_BYTE;
        // Reading and compiling a large model takes its time, and nobody else should wait for it.
        let compiled = tokio::task::spawn_blocking(move || {
            let model = Model::from_json(&body).map_err(|errors| CheckError::InvalidModel(Arc::new(errors)))?;
            Ok::<_, CheckError>(Arc::new(Version { id, plan: Plan::new(Arc::new(model)) }))
        });
        let version = compiled.await.map_err(|_| CheckError::Overloaded)??;
        let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        versions.insert((store, id), entry(store, Arc::clone(&version), stamp), bytes);
        Ok(version)
    }
}

impl Versions {
    /// Adds a version, and forgets the oldest ones that there is no room for.
    fn insert(&mut self, id: (StoreId, ModelId), entry: Entry<Latest>, bytes: usize) {
        match self.by_id.insert(id, (entry, bytes)) {
            Some((_, before)) => self.bytes -= before,
            None => self.order.push_back(id),
        }
        self.bytes += bytes;
        while self.order.len() > MAX_VERSIONS || (self.bytes > MAX_BYTES && self.order.len() > 1) {
            let Some(oldest) = self.order.pop_front() else { return };
            if let Some((_, bytes)) = self.by_id.remove(&oldest) {
                self.bytes -= bytes;
            }
        }
    }
}

/// A version as a cached value: whoever changes the models of its store, or the store, kills it.
fn entry(store: StoreId, version: Arc<Version>, stamp: Stamp) -> Entry<Latest> {
    let draft = Draft {
        value: Latest(version),
        stamp,
        read_set: [tags::latest_model(store)].into_iter().collect::<ReadSet>(),
        types: TypeSet::default(),
        hard_expiry: Moment::NEVER,
    };
    Entry::decoded(draft, Moment::NEVER)
}
