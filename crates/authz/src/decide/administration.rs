//! Stores, models, relationships and invalidations: what changes the answers.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use cache_core::{Clock, Identity, Revision, Standing};
use ulid::Ulid;

use super::error::CheckError;
use super::{CheckRequest, DecisionPoint, InvalidationReport, sink, validate};
use crate::condition::Context;
use crate::model::Model;
use crate::relation::{Object, Relationship, Tuple};
use crate::store::{
    ChangeFilter, ChangePlace, Committed, InvalidationScope, MAX_PAGE, MAX_WRITE_BATCH, ModelId, Page, PageRequest,
    StoreError, StoreId, StoreRecord, StoredTuple, TupleAnswer, TupleChange, TupleFilter, TupleRead, WriteBatch,
};

/// The most bytes of models on one page; the model that goes beyond is the page's last one.
const MAX_PAGE_BYTES: usize = 2 << 20;
/// Models that are asked of the origin at a time, so that what does not fit the page is not read either.
const MODELS_AT_A_TIME: usize = 8;

impl DecisionPoint {
    /// Creates a store.
    ///
    /// # Errors
    /// Where the origin fails.
    pub async fn create_store(&self, name: &str) -> Result<StoreRecord, CheckError> {
        Ok(self.commit_store(name).await?.0)
    }

    /// The same for whoever wants to know when it is in force elsewhere.
    ///
    /// # Errors
    /// As [`Self::create_store`].
    pub async fn commit_store(&self, name: &str) -> Result<(StoreRecord, Committed), CheckError> {
        Ok(self.origin.create_store(StoreId(self.next_id()), name).await?)
    }

    /// One store.
    ///
    /// # Errors
    /// Where there is none, or the origin fails.
    pub async fn store(&self, id: StoreId) -> Result<StoreRecord, CheckError> {
        Ok(self.origin.store(id).await?.ok_or(StoreError::UnknownStore(id))?)
    }

    /// Stores, by their ids.
    ///
    /// # Errors
    /// Where the origin fails.
    pub async fn stores(&self, page: PageRequest<StoreId>) -> Result<Page<StoreRecord, StoreId>, CheckError> {
        Ok(self.origin.stores(page).await?)
    }

    /// Deletes a store with all that it holds. Nothing of it is served any more when this returns.
    ///
    /// # Errors
    /// Where there is none, or the origin fails.
    pub async fn delete_store(&self, id: StoreId) -> Result<Committed, CheckError> {
        Ok(self.origin.delete_store(id).await?.ok_or(StoreError::UnknownStore(id))?)
    }

    /// Validates a model and makes it the store's latest one.
    ///
    /// # Errors
    /// Where it does not make sense, there is no such store, or the origin fails.
    pub async fn write_model(&self, store: StoreId, model: &Model) -> Result<ModelId, CheckError> {
        Ok(self.commit_model(store, model).await?.0)
    }

    /// The same for whoever wants to know when it is in force elsewhere.
    ///
    /// # Errors
    /// As [`Self::write_model`].
    pub async fn commit_model(&self, store: StoreId, model: &Model) -> Result<(ModelId, Committed), CheckError> {
        model.validate().map_err(|errors| CheckError::InvalidModel(Arc::new(errors)))?;
        let id = ModelId(self.next_id());
        let committed = self.origin.write_model(store, id, &model.to_json().to_string()).await?;
        Ok((id, committed))
    }

    /// A version of a store's model.
    ///
    /// # Errors
    /// Where there is no such store or version, or the origin fails.
    pub async fn model(&self, store: StoreId, id: ModelId) -> Result<Arc<Model>, CheckError> {
        Ok(Arc::clone(self.models.resolve(store, Some(id)).await?.plan.model()))
    }

    /// The latest version of a store's model, which decides where a question names none.
    ///
    /// # Errors
    /// Where there is no such store, it has no model yet, or the origin fails.
    pub async fn latest_model(&self, store: StoreId) -> Result<(ModelId, Arc<Model>), CheckError> {
        let version = self.models.resolve(store, None).await?;
        Ok((version.id, Arc::clone(version.plan.model())))
    }

    /// The versions of a store's model, newest first, in their JSON form without the id. A page ends early, but never without an item, where its
    /// models would have too many bytes to be held at once.
    ///
    /// # Errors
    /// Where there is no such store, or the origin fails.
    pub async fn models(
        &self,
        store: StoreId,
        page: PageRequest<ModelId>,
    ) -> Result<Page<(ModelId, String), ModelId>, CheckError> {
        self.store(store).await?;
        let limit = page.limit.clamp(1, MAX_PAGE);
        let (mut items, mut bytes, mut after) = (Vec::new(), 0, page.after);
        loop {
            let step = PageRequest { after, limit: MODELS_AT_A_TIME.min(limit - items.len()) };
            let Page { items: read, next } = self.origin.models(store, step).await?;
            let last = read.len().saturating_sub(1);
            for (at, (id, body)) in read.into_iter().enumerate() {
                bytes += body.len();
                items.push((id, body));
                if bytes >= MAX_PAGE_BYTES {
                    let more = at < last || next.is_some();
                    return Ok(Page { items, next: more.then_some(id) });
                }
            }
            if next.is_none() || items.len() >= limit {
                return Ok(Page { items, next });
            }
            after = next;
        }
    }

    /// Whether a question makes sense under its model. It is not answered.
    ///
    /// # Errors
    /// As [`Self::check`], where the question itself is at fault.
    pub async fn validate(&self, request: &CheckRequest) -> Result<(), CheckError> {
        let version = self.models.resolve(request.store, request.model).await?;
        validate::request(request, &version.plan)
    }

    /// Keeps assertions about a version of a model, in place of those before. `body` is their JSON form, which whoever reads them gets back.
    ///
    /// # Errors
    /// Where there is no such store or version, or the origin fails.
    pub async fn write_assertions(&self, store: StoreId, model: ModelId, body: &str) -> Result<(), CheckError> {
        self.models.resolve(store, Some(model)).await?;
        Ok(self.origin.write_assertions(store, model, body).await?)
    }

    /// The assertions about a version of a model, as they were written; none where none ever were.
    ///
    /// # Errors
    /// Where there is no such store or version, or the origin fails.
    pub async fn assertions(&self, store: StoreId, model: ModelId) -> Result<Option<String>, CheckError> {
        self.models.resolve(store, Some(model)).await?;
        Ok(self.origin.assertions(store, model).await?)
    }

    /// Checks a batch against the model (the latest one without `model`) and writes it, all or nothing. In force when it returns.
    ///
    /// # Errors
    /// Where a relationship does not fit the model or what is stored, there is no such store or model, or the origin fails.
    pub async fn write(
        &self,
        store: StoreId,
        model: Option<ModelId>,
        batch: WriteBatch,
    ) -> Result<Committed, CheckError> {
        let version = self.models.resolve(store, model).await?;
        for write in &batch.writes {
            validate::planned_relationship(write, &version.plan)?;
        }
        Ok(self.origin.write(store, batch).await?)
    }

    /// The relationships that a write would refuse by the store's latest model, each with its place and the reason. Nothing is written, and nothing
    /// is asked about what is stored.
    ///
    /// # Errors
    /// Where there is no such store or model, or the origin fails.
    pub async fn refused_by_model(
        &self,
        store: StoreId,
        relationships: &[Relationship],
    ) -> Result<Vec<(usize, CheckError)>, CheckError> {
        let version = self.models.resolve(store, None).await?;
        let refused = relationships.iter().enumerate().filter_map(|(at, relationship)| {
            validate::planned_relationship(relationship, &version.plan).err().map(|error| (at, error))
        });
        Ok(refused.collect())
    }

    /// Relationships that match a filter.
    ///
    /// # Errors
    /// Where there is no such store, or the origin fails.
    pub async fn read_tuples(
        &self,
        store: StoreId,
        filter: TupleFilter,
        page: PageRequest<Tuple>,
    ) -> Result<Page<StoredTuple, Tuple>, CheckError> {
        self.store(store).await?;
        Ok(self.origin.read_tuples(store, filter, page).await?)
    }

    /// Changes of relationships.
    ///
    /// # Errors
    /// Where there is no such store, or the origin fails.
    pub async fn changes(
        &self,
        store: StoreId,
        filter: ChangeFilter,
        page: PageRequest<ChangePlace>,
    ) -> Result<Page<TupleChange, ChangePlace>, CheckError> {
        self.store(store).await?;
        Ok(self.origin.changes(store, filter, page).await?)
    }

    /// Replaces the stored properties of entities, all or none; of one that is given none, they are removed. At most [`MAX_WRITE_BATCH`] entities, each
    /// once, with at most [`MAX_PROPERTIES_BYTES`](crate::store::MAX_PROPERTIES_BYTES) each. In force when it returns.
    ///
    /// # Errors
    /// Where a bound is broken, there is no such store, or the origin fails.
    pub async fn write_properties(
        &self,
        store: StoreId,
        properties: Vec<(Object, Context)>,
    ) -> Result<Committed, CheckError> {
        let count = properties.len();
        if count > MAX_WRITE_BATCH {
            return Err(CheckError::TooMany { what: "the list of entities", count, max: MAX_WRITE_BATCH });
        }
        let mut seen = HashSet::with_capacity(count);
        for (entity, _) in &properties {
            if !seen.insert(entity) {
                return Err(CheckError::Repeated { entity: entity.to_string() });
            }
        }
        self.store(store).await?;
        Ok(self.origin.write_properties(store, properties).await?)
    }

    /// Entities with their stored properties, in the order of type and id.
    ///
    /// # Errors
    /// Where there is no such store, or the origin fails.
    pub async fn properties(
        &self,
        store: StoreId,
        page: PageRequest<Object>,
    ) -> Result<Page<(Object, Context), Object>, CheckError> {
        self.store(store).await?;
        Ok(self.origin.properties(store, page).await?)
    }

    /// The stored properties of one entity; empty where there are none.
    ///
    /// # Errors
    /// Where there is no such store, or the origin fails.
    pub async fn properties_of(&self, store: StoreId, entity: &Object) -> Result<Context, CheckError> {
        self.store(store).await?;
        let read = vec![TupleRead::Properties(entity.clone())];
        let answers = self.origin.snapshot().await?.read(store, read).await?;
        Ok(match answers.into_iter().next() {
            Some(TupleAnswer::Properties(stored)) => stored,
            _ => Context::default(),
        })
    }

    /// Invalidates by an administrator's word. In force when it returns.
    ///
    /// # Errors
    /// Where the scope can't be read, or the origin fails.
    pub async fn invalidate(&self, scope: InvalidationScope) -> Result<InvalidationReport, CheckError> {
        sink::scope_kills(&scope).map_err(CheckError::InvalidScope)?;
        let everything = scope == InvalidationScope::All;
        let Committed { revision } = self.origin.append(scope).await?;
        self.chain.count_invalidation();
        let errors = if everything { self.chain.clear_tiers().await } else { Vec::new() };
        let errors = errors.iter().map(ToString::to_string).collect();
        Ok(InvalidationReport { revision, errors })
    }

    /// Waits until a committed change is in force wherever anybody answers from what was cached, or `patience` is over: then the answer says who
    /// lags.
    ///
    /// # Errors
    /// Where the origin fails. The change is committed nevertheless.
    pub async fn in_force(&self, revision: Revision, patience: Duration) -> Result<Standing, CheckError> {
        Ok(self.origin.in_force(revision, patience).await?)
    }

    /// Which history revisions are of; none before the origin has joined its log.
    #[must_use]
    pub fn history(&self) -> Option<Identity> {
        self.chain.log().identity()
    }

    /// Whether others answer from what they have cached over the same origin.
    #[must_use]
    pub fn has_peers(&self) -> bool {
        !self.chain.lease().is_unlimited()
    }

    /// A new id, above all that were given out before: the newest model is the one with the highest id, also where two are written
    /// within one millisecond or the clock was set back.
    fn next_id(&self) -> Ulid {
        // 64 random bits at the upper end of an ULID's 80: enough to tell apart what is made within one millisecond.
        let drawn = Ulid::from_parts(self.clock.unix_millis(), u128::from(self.entropy.next()) << 16);
        let mut last = self.last_id.lock().unwrap_or_else(PoisonError::into_inner);
        *last = drawn.0.max(last.saturating_add(1));
        Ulid(*last)
    }

    /// The clock of lifetimes.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        self.chain.clock()
    }
}
