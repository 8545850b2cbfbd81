//! The tier behind the contract.
//!
//! Invariants:
//! - The age of a view and whose history that is come from the statement that reads the row, or from an earlier one of the same session: no row is ever
//!   given a stamp that is newer than what is in it.
//! - What is not known to be an answer is a miss: a key that no view answers, a view that was never refreshed, one of another history, a row without a
//!   value. What can't be asked is an error.
//! - It takes no fills: what it has comes from the tables, and a change of them is in it after the next refresh. Until then the stamp says
//!   that it isn't, and whoever judges passes it over.

use std::marker::PhantomData;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use cache_core::{
    CacheLayer, Capabilities, Clock, Draft, Entry, Error, ErrorKind, Fill, Filled, Identity, Key, Moment, Now, RowKey,
    RowValue, TypeSet, Usage,
};
use futures_util::future::try_join_all;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::core::{Age, Answer, Asked, Group, Patience, READ, age_in};
use crate::statistics::Counts;
use crate::views::{Known, Version, Views};
use crate::{ConfigError, MAX_KEYS_PER_STATEMENT, ViewConfig, ViewHandle};
use pg_log::{PgContext, PgError, Shared};

/// The tier's name.
pub const DEFAULT_NAME: &str = "l3";
const GET: &str = "get";

/// The PostgreSQL tier.
pub struct ViewLayer<V> {
    views: Views,
    config: ViewConfig,
    clock: Arc<dyn Clock>,
    identity: RwLock<Option<Identity>>,
    turns: Semaphore,
    patience: Patience,
    /// For each view: until when one that was not refreshed yet is not looked for again.
    resting: Box<[AtomicU64]>,
    counts: ViewHandle,
    values: PhantomData<fn() -> V>,
}

impl<V: RowValue> ViewLayer<V> {
    pub(crate) fn new(views: Views, config: ViewConfig, clock: Arc<dyn Clock>) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self {
            resting: views.all().iter().map(|_| AtomicU64::new(0)).collect(),
            views,
            config,
            patience: Patience::new(config.timeout(), Arc::clone(&clock)),
            clock,
            identity: RwLock::default(),
            turns: Semaphore::new(config.max_in_flight),
            counts: ViewHandle::default(),
            values: PhantomData,
        })
    }

    /// Reaches the tier after a chain has taken it: what look-ups met.
    #[must_use]
    pub fn handle(&self) -> ViewHandle {
        self.counts.clone()
    }

    fn counts(&self) -> &Counts {
        &self.counts.0
    }

    /// Which keys are asked of which view; the others are misses.
    fn sorted(&self, keys: &[Key<'_>]) -> Vec<(usize, Vec<Asked>)> {
        let mut by_view: Vec<(usize, Vec<Asked>)> = Vec::new();
        for (at, key) in keys.iter().enumerate() {
            let Some(key) = key.source().row() else { continue };
            let view = self.views.position(key.view).filter(|view| {
                // PostgreSQL's text holds no NUL, so that no row has such a key: asking for one would fail all others with it.
                let speakable = !key.columns.iter().any(|column| column.contains('\0'));
                speakable && self.views.all()[*view].view.keys.len() == key.columns.len()
            });
            let Some(view) = view else {
                self.counts().unready.add(1);
                continue;
            };
            match by_view.iter_mut().find(|(known, _)| *known == view) {
                Some((_, asked)) => asked.push(Asked { at, key }),
                None => by_view.push((view, vec![Asked { at, key }])),
            }
        }
        by_view
    }

    /// A turn, first come first served.
    async fn turn(&self) -> Result<SemaphorePermit<'_>, Error> {
        if let Ok(turn) = self.turns.try_acquire() {
            return Ok(turn);
        }
        let refused = || {
            self.counts().refused.add(1);
            let message = format!(
                "{} look-ups are under way and none ended within {} ms; raise max_in_flight, or give PostgreSQL more room",
                self.config.max_in_flight, self.config.wait_ms
            );
            Error::new(ErrorKind::Overloaded, DEFAULT_NAME, GET, message)
        };
        tokio::select! {
            biased;
            turn = self.turns.acquire() => turn.map_err(|_| refused()),
            () = self.clock.sleep(self.config.wait()) => Err(refused()),
        }
    }

    async fn look_up(
        &self,
        identity: Identity,
        keys: &[Key<'_>],
        by_view: Vec<(usize, Vec<Asked>)>,
        client: &mut Option<Shared>,
        found: &mut [Option<Entry<V>>],
    ) -> Result<(), PgError> {
        let mut groups = Vec::with_capacity(by_view.len());
        for (view, mut asked) in by_view {
            let known = &self.views.all()[view];
            let Some(version) = self.version(view, known, client).await? else {
                self.counts().unready.add(asked.len());
                continue;
            };
            while asked.len() > MAX_KEYS_PER_STATEMENT {
                let rest = asked.split_off(MAX_KEYS_PER_STATEMENT);
                groups.push(Group { known, version: Arc::clone(&version), asked });
                asked = rest;
            }
            groups.push(Group { known, version, asked });
        }
        if groups.is_empty() {
            return Ok(());
        }
        let client = match client {
            Some(client) => client,
            none => none.insert(self.views.pg().shared().await?),
        };
        self.counts().round_trips.add(1);
        // All statements are sent before the first answer is awaited.
        let now = self.clock.now();
        let answers = try_join_all(groups.iter().map(|group| group.ask(client, now))).await?;
        for (group, answer) in groups.iter().zip(answers) {
            self.take(identity, keys, group, &answer, found)?;
        }
        Ok(())
    }

    /// The version that may be asked; none where there is none yet, which is not looked for too often.
    async fn version(
        &self,
        view: usize,
        known: &Known,
        client: &mut Option<Shared>,
    ) -> Result<Option<Arc<Version>>, PgError> {
        if let Some(version) = known.version() {
            return Ok(Some(version));
        }
        let now = self.clock.now();
        if Moment::from_millis(self.resting[view].load(Ordering::Relaxed)) > now {
            return Ok(None);
        }
        let client = match client {
            Some(client) => client,
            none => none.insert(self.views.pg().shared().await?),
        };
        match self.views.find(known, client).await? {
            Some(found) if found.is_filled => {
                known.set_version(Some(Arc::clone(&found.version)));
                Ok(Some(found.version))
            }
            _ => {
                self.resting[view].store(now.after(self.config.recheck()).as_millis(), Ordering::Relaxed);
                Ok(None)
            }
        }
    }

    /// Makes entries of an answer.
    fn take(
        &self,
        identity: Identity,
        keys: &[Key<'_>],
        group: &Group<'_>,
        answer: &Answer,
        found: &mut [Option<Entry<V>>],
    ) -> Result<(), PgError> {
        let rows = match answer {
            Answer::Rows(rows) => rows,
            Answer::Value(age, row) => {
                let value = row.as_ref().map(|row| row.try_get(0).during(READ)).transpose()?;
                if let [Asked { at, key }] = group.asked.as_slice() {
                    found[*at] = self.entry(identity, &keys[*at], key, Some(*age), value);
                }
                return Ok(());
            }
        };
        if rows.is_empty() {
            // This version is gone.
            group.known.set_version(None);
            self.counts().unready.add(group.asked.len());
        }
        for row in rows {
            let place: usize = match group.asked.len() {
                1 => 0,
                _ => usize::try_from(row.try_get::<_, i64>(4).during(READ)? - 1).unwrap_or(usize::MAX),
            };
            let Some(Asked { at, key }) = group.asked.get(place) else { continue };
            let (is_there, value): (bool, Option<&str>) = (row.try_get(2).during(READ)?, row.try_get(3).during(READ)?);
            found[*at] = self.entry(identity, &keys[*at], key, age_in(row)?, is_there.then_some(value));
        }
        Ok(())
    }

    /// What one key finds in a version of this age, where its row has this value; none of both where there is no row.
    fn entry(
        &self,
        identity: Identity,
        key: &Key<'_>,
        asked: &RowKey,
        age: Option<Age>,
        row: Option<Option<&str>>,
    ) -> Option<Entry<V>> {
        let Some(age) = age else {
            self.counts().unready.add(1);
            return None;
        };
        if age.identity != identity {
            self.counts().foreign.add(1);
            return None;
        }
        let answer = match row {
            Some(None) => None,
            row => V::from_row(asked, row.flatten()),
        };
        let Some((value, read_set)) = answer else {
            self.counts().unanswered.add(1);
            return None;
        };
        let count = if row.is_some() { &self.counts().rows } else { &self.counts().absent };
        count.add(1);
        let draft = Draft {
            value,
            stamp: age.as_of,
            read_set,
            types: V::types(asked).union(TypeSet::of(key.cache_type())),
            hard_expiry: Moment::NEVER,
        };
        Some(Entry::decoded(draft, Moment::NEVER))
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<V: RowValue> CacheLayer<V> for ViewLayer<V> {
    fn name(&self) -> &'static str {
        DEFAULT_NAME
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { local: false, durable: true, fallible: true, fillable: false }
    }

    fn bind(&self, identity: Identity) {
        *self.identity.write().unwrap_or_else(PoisonError::into_inner) = Some(identity);
    }

    #[inline]
    fn get_now(&self, _: &Key<'_>) -> Now<V> {
        Now::NotLocal
    }

    async fn get_many(&self, keys: &[Key<'_>]) -> Result<Vec<Option<Entry<V>>>, Error> {
        let mut found: Vec<Option<Entry<V>>> = keys.iter().map(|_| None).collect();
        let by_view = self.sorted(keys);
        if by_view.is_empty() {
            return Ok(found);
        }
        let identity = *self.identity.read().unwrap_or_else(PoisonError::into_inner);
        let Some(identity) = identity else {
            self.counts().foreign.add(by_view.iter().map(|(_, asked)| asked.len()).sum());
            return Ok(found);
        };
        let _turn = self.turn().await?;
        let waiting = self.patience.begin();
        let mut client = None;
        tokio::select! {
            biased;
            result = self.look_up(identity, keys, by_view, &mut client, &mut found) => {
                result.map_err(|error| error.into_cache(DEFAULT_NAME))?;
            }
            () = waiting.is_over() => {
                self.counts().timeouts.add(1);
                // Whatever is sent on this connection from now on would stand behind the statement that is not answered.
                if let Some(client) = client {
                    client.discard();
                }
                let message = format!(
                    "no answer within {} ms; look at PostgreSQL, or raise timeout_ms",
                    self.config.timeout_ms
                );
                return Err(Error::new(ErrorKind::Timeout, DEFAULT_NAME, GET, message));
            }
        }
        Ok(found)
    }

    async fn get_each(&self, keys: &[Key<'_>]) -> Vec<Result<Option<Entry<V>>, Error>> {
        // One statement answers all keys or none.
        match self.get_many(keys).await {
            Ok(entries) => entries.into_iter().map(Ok).collect(),
            Err(error) => keys.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    /// Nothing is taken: what is here comes from the tables.
    async fn fill_many(&self, _: &[Fill<'_, V>]) -> Result<Filled, Error> {
        Ok(Filled::default())
    }

    /// Nothing is removed: a row mirrors the tables. What was invalidated is passed over by its stamp.
    async fn remove_many(&self, _: &[Key<'_>]) -> Result<(), Error> {
        Ok(())
    }

    /// As with single keys.
    async fn clear(&self) -> Result<(), Error> {
        Ok(())
    }

    /// It can't tell without waiting.
    fn usage(&self) -> Usage {
        Usage::default()
    }
}

impl<V> std::fmt::Debug for ViewLayer<V> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ViewLayer").field("views", &self.views).field("config", &self.config).finish_non_exhaustive()
    }
}
