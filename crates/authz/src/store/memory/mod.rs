//! The origin in memory: the same semantics, nothing on a disk. For tests and for trying things out.
//!
//! Invariant: as everywhere, a change is applied before its writer gets its answer and before a snapshot contains it. Here that is
//! one lock, under which a write changes the state and the sink applies it; nothing in it waits, so nothing can be dropped in between.

mod world;

use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use cache_core::{Identity, Lease, Position, Revision, Stamp, Standing};
use ulid::Ulid;

use self::world::{Content, Key, Row, World};
use super::batch::{check_assertions, check_properties};
use super::dense;
use super::{
    CLOCK_SLACK, Change, ChangeFilter, ChangePlace, ChangeSink, Committed, InvalidationScope, LoggedChange,
    MAX_CHANGES_LOOKED_AT, ModelId, OnConflict, Page, PageRequest, Past, Snapshot, Store, StoreError, StoreId,
    StoreRecord, StoredTuple, SystemWallClock, TupleAnswer, TupleChange, TupleFilter, TupleRead, UnixMillis, WallClock,
    WriteBatch, WriteConflict,
};
use crate::condition::Context;
use crate::relation::{Object, Relationship, RelationshipCondition, Tuple};

/// An origin that is gone with its process. Cheap to create; a snapshot costs one reference count.
pub struct MemoryStore {
    clock: Arc<dyn WallClock>,
    identity: Identity,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    world: Arc<World>,
    head: u64,
    log: Vec<LogRow>,
    sink: Option<Arc<dyn ChangeSink>>,
    closed: bool,
}

/// A change with what only readers of changes want to know.
struct LogRow {
    logged: LoggedChange,
    condition: Option<Arc<RelationshipCondition>>,
    at: UnixMillis,
}

impl MemoryStore {
    /// An empty origin.
    #[must_use]
    pub fn new(clock: Arc<dyn WallClock>) -> Self {
        Self { clock, identity: Identity(Ulid::generate().to_bytes()), state: Mutex::default() }
    }

    fn state(&self) -> Result<MutexGuard<'_, State>, StoreError> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.closed { Err(StoreError::Closed) } else { Ok(state) }
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new(Arc::new(SystemWallClock))
    }
}

impl State {
    fn content(&self, store: StoreId) -> Result<&Arc<Content>, StoreError> {
        self.world.stores.get(&store).ok_or(StoreError::UnknownStore(store))
    }

    /// The content for writing: copied first where a snapshot holds it.
    fn content_mut(&mut self, store: StoreId) -> Result<&mut Content, StoreError> {
        let world = Arc::make_mut(&mut self.world);
        world.stores.get_mut(&store).map(Arc::make_mut).ok_or(StoreError::UnknownStore(store))
    }

    /// Numbers the changes of one transaction, logs and applies them.
    fn commit(&mut self, changes: Vec<Change>, at: UnixMillis) -> Committed {
        let conditions = vec![None; changes.len()];
        self.commit_with(changes, conditions, at)
    }

    /// As [`Self::commit`], with the condition of each relationship that was added.
    fn commit_with(
        &mut self,
        changes: Vec<Change>,
        conditions: Vec<Option<Arc<RelationshipCondition>>>,
        at: UnixMillis,
    ) -> Committed {
        let begin = self.log.len();
        for (change, condition) in changes.into_iter().zip(conditions) {
            self.head += 1;
            let logged = LoggedChange { revision: Revision::new(self.head), change };
            self.log.push(LogRow { logged, condition, at });
        }
        if let Some(sink) = &self.sink
            && begin < self.log.len()
        {
            let new: Vec<LoggedChange> = self.log[begin..].iter().map(|row| row.logged.clone()).collect();
            sink.apply(&new);
            sink.advance(Revision::new(self.head).stamp_after());
        }
        Committed { revision: Revision::new(self.head) }
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn attach(&self, sink: Arc<dyn ChangeSink>) -> Result<(), StoreError> {
        let mut state = self.state()?;
        if state.sink.is_some() {
            return Err(StoreError::Unusable(Arc::from("this origin has a sink already; attach once")));
        }
        let past: Vec<LoggedChange> = state.log.iter().map(|row| row.logged.clone()).collect();
        sink.joined(Past {
            identity: self.identity,
            floor: Revision::ZERO,
            changes: &past,
            stamp: Revision::new(state.head).stamp_after(),
        });
        state.sink = Some(sink);
        Ok(())
    }

    async fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        let state = self.state()?;
        let stamp = Revision::new(state.head).stamp_after();
        Ok(Box::new(MemorySnapshot { world: Arc::clone(&state.world), stamp }))
    }

    fn lease(&self) -> Arc<Lease> {
        Arc::new(Lease::unlimited())
    }

    async fn catch_up(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn write(&self, store: StoreId, batch: WriteBatch) -> Result<Committed, StoreError> {
        batch.check()?;
        let now = self.clock.unix_millis();
        let mut state = self.state()?;
        let content = state.content(store)?;
        // No tuple stands twice in a batch, so everything can be checked against the state before.
        let (mut deletes, mut writes) = (Vec::new(), Vec::new());
        for tuple in batch.deletes {
            match (content.row(&tuple).is_some(), batch.on_missing) {
                (true, _) => deletes.push(tuple),
                (false, OnConflict::Ignore) => {}
                (false, OnConflict::Error) => return Err(WriteConflict::Missing(tuple).into()),
            }
        }
        for write in batch.writes {
            match content.row(&write.tuple) {
                None => writes.push(write),
                Some(_) if batch.on_duplicate == OnConflict::Error => {
                    return Err(WriteConflict::Duplicate(write.tuple).into());
                }
                Some(row) if row.condition != write.condition => return Err(WriteConflict::Differs(write.tuple).into()),
                Some(_) => {}
            }
        }
        let content = state.content_mut(store)?;
        let mut changes = Vec::with_capacity(deletes.len() + writes.len());
        for tuple in deletes {
            content.tuples.remove(&Key(tuple.clone()));
            changes.push(Change::Deleted(store, tuple));
        }
        let mut conditions = vec![None; changes.len()];
        for Relationship { tuple, condition } in writes {
            content.tuples.insert(Key(tuple.clone()), Row { written_at: now, condition: condition.clone() });
            changes.push(Change::Inserted(store, tuple));
            conditions.push(condition);
        }
        Ok(state.commit_with(changes, conditions, now))
    }

    async fn create_store(&self, id: StoreId, name: &str) -> Result<(StoreRecord, Committed), StoreError> {
        let record = StoreRecord { id, name: name.to_owned(), created_at: self.clock.unix_millis() };
        let mut state = self.state()?;
        if state.world.stores.contains_key(&id) {
            return Err(WriteConflict::StoreExists(id).into());
        }
        Arc::make_mut(&mut state.world).stores.insert(id, Arc::new(Content::new(record.clone())));
        let committed = state.commit(vec![Change::StoreReplaced(id)], record.created_at);
        Ok((record, committed))
    }

    async fn store(&self, id: StoreId) -> Result<Option<StoreRecord>, StoreError> {
        Ok(self.state()?.world.stores.get(&id).map(|content| content.record.clone()))
    }

    async fn stores(&self, page: PageRequest<StoreId>) -> Result<Page<StoreRecord, StoreId>, StoreError> {
        let state = self.state()?;
        let from = page.after.map_or(Bound::Unbounded, Bound::Excluded);
        let rest = state.world.stores.range((from, Bound::Unbounded)).map(|(_, content)| content.record.clone());
        Ok(Page::cut(rest, page.bounded(), |record| record.id))
    }

    async fn delete_store(&self, id: StoreId) -> Result<Option<Committed>, StoreError> {
        let now = self.clock.unix_millis();
        let mut state = self.state()?;
        if !state.world.stores.contains_key(&id) {
            return Ok(None);
        }
        Arc::make_mut(&mut state.world).stores.remove(&id);
        state.log.retain(|row| store_of(&row.logged.change) != Some(id));
        Ok(Some(state.commit(vec![Change::StoreReplaced(id)], now)))
    }

    async fn write_model(&self, store: StoreId, id: ModelId, body: &str) -> Result<Committed, StoreError> {
        let now = self.clock.unix_millis();
        let mut state = self.state()?;
        if state.content(store)?.models.iter().any(|(known, _)| *known == id) {
            return Err(WriteConflict::ModelExists(id).into());
        }
        state.content_mut(store)?.models.push((id, Arc::from(body)));
        Ok(state.commit(vec![Change::ModelWritten(store)], now))
    }

    async fn model(&self, store: StoreId, id: ModelId) -> Result<Option<String>, StoreError> {
        let state = self.state()?;
        let models = &state.content(store)?.models;
        Ok(models.iter().find(|(known, _)| *known == id).map(|(_, body)| body.to_string()))
    }

    async fn models(
        &self,
        store: StoreId,
        page: PageRequest<ModelId>,
    ) -> Result<Page<(ModelId, String), ModelId>, StoreError> {
        let state = self.state()?;
        let models = &state.content(store)?.models;
        let end = match page.after {
            None => models.len(),
            Some(after) => models.iter().position(|(id, _)| *id == after).unwrap_or(0),
        };
        let rest = models[..end].iter().rev().map(|(id, body)| (*id, body.to_string()));
        Ok(Page::cut(rest, page.bounded(), |(id, _): &(ModelId, String)| *id))
    }

    async fn read_tuples(
        &self,
        store: StoreId,
        filter: TupleFilter,
        page: PageRequest<Tuple>,
    ) -> Result<Page<StoredTuple, Tuple>, StoreError> {
        let state = self.state()?;
        let limit = page.bounded();
        let from = page.after.map_or(Bound::Unbounded, |after| Bound::Excluded(Key(after)));
        let rest =
            state.content(store)?.tuples.range((from, Bound::Unbounded)).filter(|(key, _)| filter.matches(&key.0)).map(
                |(key, row)| StoredTuple {
                    tuple: key.0.clone(),
                    condition: row.condition.clone(),
                    written_at: row.written_at,
                },
            );
        Ok(Page::cut(rest, limit, |stored| stored.tuple.clone()))
    }

    async fn changes(
        &self,
        store: StoreId,
        filter: ChangeFilter,
        page: PageRequest<ChangePlace>,
    ) -> Result<Page<TupleChange, ChangePlace>, StoreError> {
        let state = self.state()?;
        state.content(store)?;
        let after = ChangePlace::revision(page.after.as_ref())?;
        let not_before = filter.since.map_or(0, |since| since.saturating_sub(CLOCK_SLACK));
        let begin = state
            .log
            .partition_point(|row| row.logged.revision <= after)
            .max(state.log.partition_point(|row| row.at < not_before));
        let (mut items, mut looked_at) = (Vec::new(), 0);
        for LogRow { logged, condition, at } in &state.log[begin..] {
            if store_of(&logged.change) != Some(store) {
                continue;
            }
            looked_at += 1;
            let relationship = match &logged.change {
                Change::Inserted(_, tuple) => Some((true, tuple.clone())),
                Change::Deleted(_, tuple) => Some((false, tuple.clone())),
                _ => None,
            };
            if let Some((inserted, tuple)) = relationship {
                let condition = condition.clone();
                let change = TupleChange { inserted, tuple, condition, at: *at, place: logged.revision.into() };
                if filter.matches(&change) {
                    items.push(change);
                }
            }
            if items.len() == page.bounded() || looked_at == MAX_CHANGES_LOOKED_AT {
                return Ok(Page { items, next: Some(logged.revision.into()) });
            }
        }
        let next = items.last().map(|change| change.place.clone()).or(page.after);
        Ok(Page { items, next })
    }

    async fn write_assertions(&self, store: StoreId, model: ModelId, body: &str) -> Result<(), StoreError> {
        check_assertions(body)?;
        let mut state = self.state()?;
        let content = state.content_mut(store)?;
        if !content.models.iter().any(|(known, _)| *known == model) {
            return Err(StoreError::UnknownModel(model));
        }
        content.assertions.insert(model, Arc::from(body));
        Ok(())
    }

    async fn assertions(&self, store: StoreId, model: ModelId) -> Result<Option<String>, StoreError> {
        Ok(self.state()?.content(store)?.assertions.get(&model).map(ToString::to_string))
    }

    async fn write_properties(
        &self,
        store: StoreId,
        properties: Vec<(Object, Context)>,
    ) -> Result<Committed, StoreError> {
        check_properties(&properties)?;
        let now = self.clock.unix_millis();
        let mut state = self.state()?;
        let content = state.content_mut(store)?;
        let mut changes = Vec::with_capacity(properties.len());
        for (object, given) in properties {
            let before = if given.is_empty() {
                content.properties.remove(&object)
            } else {
                content.properties.insert(object.clone(), given.clone())
            };
            if before.unwrap_or_default() != given {
                changes.push(Change::PropertiesChanged(store, object));
            }
        }
        Ok(state.commit(changes, now))
    }

    async fn properties(
        &self,
        store: StoreId,
        page: PageRequest<Object>,
    ) -> Result<Page<(Object, Context), Object>, StoreError> {
        let state = self.state()?;
        let limit = page.bounded();
        let from = page.after.map_or(Bound::Unbounded, Bound::Excluded);
        let rest = state
            .content(store)?
            .properties
            .range((from, Bound::Unbounded))
            .map(|(object, properties)| (object.clone(), properties.clone()));
        Ok(Page::cut(rest, limit, |(object, _)| object.clone()))
    }

    async fn append(&self, scope: InvalidationScope) -> Result<Committed, StoreError> {
        let now = self.clock.unix_millis();
        Ok(self.state()?.commit(vec![Change::Invalidated(scope)], now))
    }

    async fn in_force(&self, _: Revision, _: Duration) -> Result<Standing, StoreError> {
        Ok(Standing::alone())
    }

    async fn apply_through(&self, _: Revision) -> Result<(), StoreError> {
        Ok(())
    }

    fn applied_number(&self, _: u64) -> Option<u64> {
        self.state().ok().map(|state| state.head)
    }

    fn applied(&self, number: u64) -> Option<Position> {
        Some(dense::position(number))
    }

    async fn apply_position(&self, position: &Position) -> Result<(), StoreError> {
        dense::applied(position, self.state()?.head)
    }

    async fn health(&self) -> Result<(), StoreError> {
        self.state().map(drop)
    }

    async fn close(&self) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
    }
}

struct MemorySnapshot {
    world: Arc<World>,
    stamp: Stamp,
}

#[async_trait]
impl Snapshot for MemorySnapshot {
    fn stamp(&self) -> Stamp {
        self.stamp
    }

    async fn read(&mut self, store: StoreId, reads: Vec<TupleRead>) -> Result<Vec<TupleAnswer>, StoreError> {
        Ok(reads.iter().map(|read| self.world.answer(store, read)).collect())
    }

    async fn latest_model(&mut self, store: StoreId) -> Result<Option<Option<ModelId>>, StoreError> {
        Ok(self.world.stores.get(&store).map(|content| content.models.last().map(|(id, _)| *id)))
    }

    async fn model(&mut self, store: StoreId, id: ModelId) -> Result<Option<String>, StoreError> {
        let models = self.world.stores.get(&store).map(|content| content.models.as_slice()).unwrap_or_default();
        Ok(models.iter().find(|(known, _)| *known == id).map(|(_, body)| body.to_string()))
    }
}

fn store_of(change: &Change) -> Option<StoreId> {
    match change {
        Change::Inserted(store, _)
        | Change::Deleted(store, _)
        | Change::PropertiesChanged(store, _)
        | Change::ModelWritten(store)
        | Change::StoreReplaced(store) => Some(*store),
        Change::Invalidated(_) => None,
    }
}
