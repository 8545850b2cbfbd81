//! Get or load: look-up, single flight, load from the origin, fill.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::{Chain, Event};
use crate::mistakes::planted;
use crate::single_flight::{Follower, Landed, Leader, Role};
use crate::sync::SyncFamily;
use crate::{
    CacheKey, CacheValue, Draft, Entry, Error, ErrorKind, Key, LoadError, Lookup, Mistake, Moment, ReadSet, Stamp, Tag,
    Ticket, TypeSet, Verdict,
};

/// A value with where it came from.
#[derive(Debug, Clone)]
pub struct Answer<V> {
    /// The value with its stamp, its read set and its end.
    pub entry: Entry<V>,
    /// Who had it.
    pub source: Source,
}

/// Who had an answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Source {
    /// A tier, by its name.
    Tier(&'static str),
    /// The origin.
    Origin,
    /// Another caller, whose load this one waited for.
    Shared,
}

impl<V: CacheValue> Answer<V> {
    /// The value.
    #[must_use]
    pub fn value(&self) -> &V {
        self.entry.value()
    }
}

/// The end of a flight, as its leader publishes it.
pub(crate) type Landing<V> = Result<Published<V>, Ended>;

/// Why a flight has no value.
#[derive(Debug, Clone)]
pub(crate) enum Ended {
    /// The load failed, for everybody who waited.
    Failed(Error),
    /// Its leader was not let through to the origin, after no tier had the answer. That concerns nobody else.
    TurnedAway,
}

#[derive(Debug, Clone)]
pub(crate) struct Published<V> {
    pub(super) entry: Entry<V>,
    /// Whether the value may be judged like a cached one. A result that must not be cached can't be.
    pub(super) cacheable: bool,
}

/// What a loader tells of its load: what it reads, how new that is, what it is made of.
///
/// Clones speak of the same load.
#[derive(Clone)]
pub struct Load {
    ticket: Ticket,
    order: u64,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    read_set: ReadSet,
    stamp: Option<Stamp>,
    types: TypeSet,
    hard_expiry: Option<Moment>,
    uncacheable: bool,
}

impl Load {
    fn new(ticket: Ticket, order: u64) -> Self {
        Self { ticket, order, state: Arc::default() }
    }

    fn with<R>(&self, f: impl FnOnce(&mut State) -> R) -> R {
        f(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Notes a predicate. Call it before the query is sent, found or not: the absence of a row is a thing that was read, too.
    pub fn read(&self, tag: Tag) {
        self.with(|state| {
            state.read_set.insert(tag);
        });
    }

    /// Notes the stamp of the snapshot that the load reads. The lowest one counts. Without any, the load has the stamp of its ticket.
    pub fn stamp(&self, stamp: Stamp) {
        self.with(|state| state.stamp = Some(state.stamp.map_or(stamp, |known| known.meet(stamp))));
    }

    /// Notes when the value stops being true by itself. The earliest end counts.
    pub fn ends_at(&self, end: Moment) {
        self.with(|state| state.hard_expiry = Some(state.hard_expiry.map_or(end, |known| known.min(end))));
    }

    /// Notes a cached value that the load is composed of. It must have been looked up within this load. The composed value gets the lowest stamp,
    /// the earliest end and all tags of its parts, those of the entities that the part's key names included.
    pub fn part<V: CacheValue>(&self, key: &impl CacheKey, part: &Entry<V>) {
        if !planted(Mistake::ComposedStampedNow) {
            self.stamp(part.stamp());
        }
        self.ends_at(part.hard_expiry());
        self.with(|state| {
            state.read_set.extend(part.tags().iter().copied());
            key.entities(&mut |kind, id| {
                state.read_set.insert(crate::entity_tag(kind, id));
            });
            state.types = state.types.union(part.types()).union(TypeSet::composed());
        });
    }

    /// Takes over a whole provenance: of a load that keeps its own account.
    pub fn provenance<V>(&self, draft: &Draft<V>) {
        self.stamp(draft.stamp);
        self.ends_at(draft.hard_expiry);
        self.with(|state| {
            state.read_set.extend(draft.read_set.tags().iter().copied());
            state.types = state.types.union(draft.types);
        });
    }

    /// Says that the value holds for this call only: it was cut short, or rests on something that no tag stands for.
    pub fn uncacheable(&self) {
        self.with(|state| state.uncacheable = true);
    }

    /// The ticket of this load.
    #[must_use]
    pub fn ticket(&self) -> Ticket {
        self.ticket
    }

    /// The age of the load among those in the air; lower is older. See [`Chain::join_part`].
    #[must_use]
    pub fn order(&self) -> u64 {
        self.order
    }

    fn draft<V>(&self, value: V, ticket: &Ticket) -> (Draft<V>, bool) {
        self.with(|state| {
            let draft = Draft {
                value,
                stamp: state.stamp.unwrap_or(ticket.stamp()),
                read_set: std::mem::take(&mut state.read_set),
                types: state.types,
                hard_expiry: state.hard_expiry.unwrap_or(Moment::NEVER),
            };
            (draft, !state.uncacheable)
        })
    }
}

impl fmt::Debug for Load {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Load").field("ticket", &self.ticket).finish_non_exhaustive()
    }
}

impl<V: CacheValue, S: SyncFamily> Chain<V, S> {
    /// The value under a key: from a tier, or from `load`, which is called once however many callers miss at the same time.
    ///
    /// # Errors
    /// What the load failed with, for its caller and for all who waited for it; or that too many loads are in the air. A tier's failure is
    /// no error here: the next tier or the origin answers.
    pub async fn get_or_load<F, L, E>(&self, key: &impl CacheKey, load: F) -> Result<Answer<V>, Error>
    where
        F: FnOnce(Load) -> L,
        L: Future<Output = Result<V, E>>,
        E: Into<LoadError>,
    {
        let key = self.key(key);
        match self.find_now(&key) {
            Lookup::Hit(hit) | Lookup::NegativeHit(hit) => {
                Ok(Answer { source: Source::Tier(hit.tier), entry: hit.entry })
            }
            Lookup::StaleHit(_) | Lookup::Miss | Lookup::Error(_) => self.load(&key, load).await,
        }
    }

    /// The part of [`Chain::get_or_load`] behind the local tiers, for callers that have asked those.
    ///
    /// # Errors
    /// As [`Chain::get_or_load`].
    pub fn load<F, L, E>(&self, key: &Key<'_>, load: F) -> impl Future<Output = Result<Answer<V>, Error>>
    where
        F: FnOnce(Load) -> L,
        L: Future<Output = Result<V, E>>,
        E: Into<LoadError>,
    {
        // Handed on as it is: another future around it would only be moved about.
        self.load_admitted(key, || std::future::ready(Ok(())), load)
    }

    /// [`Chain::load`] for callers that may be kept from the origin. `admit` is asked where no tier has the answer and before the origin is
    /// read, once at most for each caller, and never for one whose answer another caller's load brings. One that is turned away takes nobody with
    /// it: whoever waited for its load asks for itself.
    ///
    /// # Errors
    /// What `admit` said; else as [`Chain::load`].
    pub async fn load_admitted<A, P, F, L, E>(&self, key: &Key<'_>, admit: A, load: F) -> Result<Answer<V>, Error>
    where
        A: Fn() -> P,
        P: Future<Output = Result<(), E>>,
        F: FnOnce(Load) -> L,
        L: Future<Output = Result<V, E>>,
        E: Into<LoadError>,
    {
        let invocation = self.flights.invoked();
        let mut role = self.role(key, invocation);
        let mut admitted = false;
        loop {
            match role {
                Role::Leader(leader) => return self.lead(key, leader, (!admitted).then_some(admit), load).await,
                Role::Full => {
                    return Err(Error::new(
                        ErrorKind::Overloaded,
                        "chain",
                        "load",
                        "too many loads are in the air; try again later",
                    ));
                }
                Role::Follower(follower) => {
                    role = match self.follow(key, &follower, self.flight_patience).await {
                        Followed::Answer(result) => return result,
                        Followed::Again => self.role(key, invocation),
                        // The tiers were asked while this caller waited. Asked for here, before the next flight, many that are turned away
                        // need not lead a flight one after another.
                        Followed::TurnedAway => {
                            if !admitted {
                                admit().await.map_err(|refused| refused.into().into_error())?;
                                admitted = true;
                            }
                            self.role(key, invocation)
                        }
                        Followed::OutOfPatience => self.flights.take_over(&follower),
                    };
                }
            }
        }
    }

    async fn lead<A, P, F, L, E>(
        &self,
        key: &Key<'_>,
        leader: Leader<Landing<V>, S>,
        admit: Option<A>,
        load: F,
    ) -> Result<Answer<V>, Error>
    where
        A: Fn() -> P,
        P: Future<Output = Result<(), E>>,
        F: FnOnce(Load) -> L,
        L: Future<Output = Result<V, E>>,
        E: Into<LoadError>,
    {
        leader.begin_reads();
        // Between this caller's look-up and its place as the leader another flight may have landed. That one filled before it ended, so that a
        // second look finds its value.
        if let Some(hit) = self.second_look(key) {
            self.count(Event::Shared);
            leader.finish(Ok(Published { entry: hit.entry.clone(), cacheable: true }));
            return Ok(Answer { source: Source::Tier(hit.tier), entry: hit.entry });
        }
        if self.has_remote()
            && let Some(Lookup::Hit(hit) | Lookup::NegativeHit(hit)) =
                self.find_remote(std::slice::from_ref(key)).await.pop()
        {
            leader.finish(Ok(Published { entry: hit.entry.clone(), cacheable: true }));
            return Ok(Answer { source: Source::Tier(hit.tier), entry: hit.entry });
        }
        if let Some(admit) = admit
            && let Err(refused) = admit().await
        {
            leader.finish(Err(Ended::TurnedAway));
            return Err(refused.into().into_error());
        }
        let mut ticket = self.ticket();
        let account = Load::new(ticket, leader.order());
        let loaded = load(account.clone()).await;
        self.count(Event::Load);
        if let Some(telemetry) = &self.telemetry {
            telemetry.loaded(key.cache_type(), loaded.is_ok());
        }
        let value = match loaded {
            Ok(value) => value,
            Err(error) => {
                let error = error.into().into_error();
                self.count(Event::LoadFailed);
                leader.finish(Err(Ended::Failed(error.clone())));
                return Err(error);
            }
        };
        if planted(Mistake::StampAfterRead) {
            ticket = self.ticket();
        }
        let (draft, cacheable) = account.draft(value, &ticket);
        let entry = Self::entry(key, draft.clone());
        if cacheable {
            self.fill_many(&ticket, vec![(*key, draft)]).await;
        } else {
            self.count(Event::Uncacheable);
        }
        leader.finish(Ok(Published { entry: entry.clone(), cacheable }));
        Ok(Answer { entry, source: Source::Origin })
    }

    pub(super) async fn follow(
        &self,
        key: &Key<'_>,
        follower: &Follower<Landing<V>, S>,
        patience: Duration,
    ) -> Followed<V> {
        let landed = tokio::select! {
            biased;
            landed = follower.landed() => landed,
            () = self.clock.sleep(patience) => return Followed::OutOfPatience,
        };
        match landed {
            // The leader was cancelled or panicked.
            None => Followed::Again,
            Some(Landed { result: Err(Ended::TurnedAway), .. }) => Followed::TurnedAway,
            Some(Landed { result: Err(Ended::Failed(error)), .. }) => {
                self.count(Event::Shared);
                Followed::Answer(Err(error))
            }
            Some(Landed { result: Ok(Published { entry, cacheable }), fresh }) => {
                if fresh || (cacheable && self.is_usable(key, &entry)) {
                    self.count(Event::Shared);
                    Followed::Answer(Ok(Answer { entry, source: Source::Shared }))
                } else {
                    Followed::Again
                }
            }
        }
    }

    pub(super) fn is_usable(&self, key: &Key<'_>, entry: &Entry<V>) -> bool {
        let now = self.clock.now();
        self.is_trusted(now) && entry.hard_expiry() > now && self.horizon.check(entry, key.source()) == Verdict::Usable
    }
}

/// What a follower got.
pub(super) enum Followed<V> {
    Answer(Result<Answer<V>, Error>),
    /// There is no answer for this caller in that flight.
    Again,
    /// The leader was not let through to the origin.
    TurnedAway,
    OutOfPatience,
}
