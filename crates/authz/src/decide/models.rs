//! Versions of models, ready for evaluation; and which one is the latest.
//!
//! A version is immutable, so that it may be kept under its id for as long as there is room. Which one is the latest is a cached value like any
//! other: it has a stamp and a tag, and is judged by the horizon each time, or a revocation by a new model could be passed by.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use cache_core::{
    CacheKey, CacheType, CacheValue, Draft, Entry, Horizon, KeyEncoder, Moment, ReadSet, TypeSet, Verdict,
};

use super::error::CheckError;
use super::types::GENERATION_RIGHTS;
use crate::evaluate::Plan;
use crate::evaluate::tags::{self, STORE_ENTITY};
use crate::model::Model;
use crate::store::{ModelId, Store, StoreError, StoreId};

/// The most versions that are kept ready.
const MAX_VERSIONS: usize = 1_000;
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
    latest: RwLock<HashMap<StoreId, Entry<Latest>>>,
    versions: Mutex<Versions>,
}

#[derive(Default)]
struct Versions {
    by_id: HashMap<(StoreId, ModelId), Arc<Version>>,
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
    pub(super) fn new(origin: Arc<dyn Store>, horizon: Arc<Horizon>) -> Self {
        Self { origin, horizon, latest: RwLock::default(), versions: Mutex::default() }
    }

    /// A version, if it can be told without waiting.
    pub(super) fn resolve_now(&self, store: StoreId, model: Option<ModelId>) -> Option<Arc<Version>> {
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
        if let Some(version) = self.resolve_now(store, model) {
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
            (snapshot.stamp(), snapshot.latest_model(store).await?)
        };
        let id = found.ok_or(StoreError::UnknownStore(store))?.ok_or(CheckError::NoModel(store))?;
        let version = self.version(store, id).await?;
        let draft = Draft {
            value: Latest(Arc::clone(&version)),
            stamp,
            read_set: [tags::latest_model(store)].into_iter().collect::<ReadSet>(),
            types: TypeSet::default(),
            hard_expiry: Moment::NEVER,
        };
        let mut latest = self.latest.write().unwrap_or_else(PoisonError::into_inner);
        if latest.len() >= MAX_LATEST {
            latest.clear();
        }
        latest.insert(store, Entry::decoded(draft, Moment::NEVER));
        Ok(version)
    }

    fn known(&self, store: StoreId, model: ModelId) -> Option<Arc<Version>> {
        self.versions.lock().unwrap_or_else(PoisonError::into_inner).by_id.get(&(store, model)).cloned()
    }

    async fn version(&self, store: StoreId, id: ModelId) -> Result<Arc<Version>, CheckError> {
        if let Some(known) = self.known(store, id) {
            return Ok(known);
        }
        let body = self.origin.model(store, id).await?.ok_or(CheckError::UnknownModel { store, model: id })?;
        let model = Model::from_json(&body).map_err(|errors| CheckError::InvalidModel(Arc::new(errors)))?;
        let version = Arc::new(Version { id, plan: Plan::new(Arc::new(model)) });
        let mut versions = self.versions.lock().unwrap_or_else(PoisonError::into_inner);
        if versions.by_id.insert((store, id), Arc::clone(&version)).is_none() {
            versions.order.push_back((store, id));
        }
        while versions.order.len() > MAX_VERSIONS {
            if let Some(oldest) = versions.order.pop_front() {
                versions.by_id.remove(&oldest);
            }
        }
        Ok(version)
    }
}
