//! Lists: whatever checks would allow, found by search instead of by asking for each.
//!
//! A list is computed from one snapshot, without cached parts, and is complete or an error. It is cached whole, with the account of everything that it
//! rests on, absent relationships and refused candidates included: so a revocation reaches it like a decision.

mod expand;
mod judging;
mod key;
mod objects;
mod origin;
mod request;
mod users;
mod verify;

use cache_core::{Draft, Key, Lookup, Source, Stamp, TypeSet};

use super::circumstances::{Circumstances, Given};
use super::error::CheckError;
use super::models::Version;
use super::value::CachedValue;
use super::{Admission, Asked, Consistency, DecisionPoint, Everybody, Work, from_chain, validate};
use crate::evaluate::Account;
use crate::relation::{Object, Relationship, Subject, Text};
use crate::store::{ModelId, StoreId};
pub use expand::{ExpandRequest, Userset, UsersetTree};
use key::{ListKey, What};
pub use request::{ListObjectsRequest, ListUsersRequest, Listed};

/// The most items of a list that is worth a place in the caches.
pub const MAX_CACHED_ITEMS: usize = 10_000;
/// The most kinds of subjects that one list may ask for.
pub const MAX_USER_FILTERS: usize = 50;

/// One list on its way.
#[derive(Clone, Copy)]
struct Listing<'a> {
    point: &'a DecisionPoint,
    version: &'a Version,
    store: StoreId,
    what: What<'a>,
    relation: &'a Text,
    contextual: &'a [Relationship],
    /// With nobody, or nothing, in the place of what is listed.
    given: Given<'a>,
}

/// A list with its provenance.
struct Drafted {
    draft: Draft<CachedValue>,
    /// Whether it may be kept: not where a cycle cut a check short, and not where it is too long.
    cacheable: bool,
}

/// A list as it is answered.
struct Answered {
    value: CachedValue,
    source: Source,
    stamp: Stamp,
    model: ModelId,
}

impl DecisionPoint {
    /// The objects of a type that a subject is in a relation to: all that a check would allow, by their ids.
    ///
    /// # Errors
    /// Where the question makes no sense under the model, is too complex, takes too long, or the origin fails; and where the check of one of the objects
    /// that came into question has an error. Never a part of the list.
    pub async fn list_objects(&self, request: &ListObjectsRequest) -> Result<Listed<Text>, CheckError> {
        self.list_objects_admitted(request, &Everybody).await
    }

    /// As [`Self::list_objects`], for a caller that may be kept from the origin.
    ///
    /// # Errors
    /// As [`Self::list_objects`], and where no tier has the list and the caller may not go on.
    pub async fn list_objects_admitted(
        &self,
        request: &ListObjectsRequest,
        admission: &dyn Admission,
    ) -> Result<Listed<Text>, CheckError> {
        let Answered { value, source, stamp, model } = self.in_time(Box::pin(self.objects(request, admission))).await?;
        match value {
            CachedValue::Objects(items) => Ok(Listed { items, source, stamp, model }),
            _ => Err(CheckError::Overloaded),
        }
    }

    /// The subjects of some kinds that are in a relation to an object: all that a check would allow and that a relationship mentions on a way that lets
    /// them in. Where everybody of a type is in, `type:*` stands for those whom nothing mentions.
    ///
    /// # Errors
    /// As [`Self::list_objects`].
    pub async fn list_users(&self, request: &ListUsersRequest) -> Result<Listed<Subject>, CheckError> {
        self.list_users_admitted(request, &Everybody).await
    }

    /// As [`Self::list_users`], for a caller that may be kept from the origin.
    ///
    /// # Errors
    /// As [`Self::list_users`], and where no tier has the list and the caller may not go on.
    pub async fn list_users_admitted(
        &self,
        request: &ListUsersRequest,
        admission: &dyn Admission,
    ) -> Result<Listed<Subject>, CheckError> {
        let Answered { value, source, stamp, model } = self.in_time(Box::pin(self.users(request, admission))).await?;
        match value {
            CachedValue::Users(items) => Ok(Listed { items, source, stamp, model }),
            _ => Err(CheckError::Overloaded),
        }
    }

    async fn in_time<T>(&self, list: impl Future<Output = Result<T, CheckError>>) -> Result<T, CheckError> {
        match tokio::time::timeout(self.timeout, list).await {
            Ok(result) => result,
            Err(_) => Err(CheckError::Timeout(u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX))),
        }
    }

    async fn objects(&self, request: &ListObjectsRequest, admission: &dyn Admission) -> Result<Answered, CheckError> {
        let version = self.models.resolve(request.store, request.model).await?;
        validate::list_objects(request, &version.plan)?;
        let contextual = sorted(&request.contextual_tuples);
        let nothing = nothing_of(&request.object_type);
        let listing = Listing {
            point: self,
            version: &version,
            store: request.store,
            what: What::Objects { subject: &request.subject, object_type: &request.object_type },
            relation: &request.relation,
            contextual: &contextual,
            given: Given {
                context: &request.context,
                properties: &request.properties,
                subject: &request.subject,
                action: &request.relation,
                resource: &nothing,
                clock: self.clock_parameter.as_ref(),
            },
        };
        listing.answer(request.consistency, admission).await
    }

    async fn users(&self, request: &ListUsersRequest, admission: &dyn Admission) -> Result<Answered, CheckError> {
        let version = self.models.resolve(request.store, request.model).await?;
        validate::list_users(request, &version.plan)?;
        let contextual = sorted(&request.contextual_tuples);
        let mut filters = request.filters.clone();
        filters.sort_unstable();
        filters.dedup();
        let nobody = Subject::Object(nothing_of(&request.object.type_name));
        let listing = Listing {
            point: self,
            version: &version,
            store: request.store,
            what: What::Users { object: &request.object, filters: &filters },
            relation: &request.relation,
            contextual: &contextual,
            given: Given {
                context: &request.context,
                properties: &request.properties,
                subject: &nobody,
                action: &request.relation,
                resource: &request.object,
                clock: self.clock_parameter.as_ref(),
            },
        };
        listing.answer(request.consistency, admission).await
    }
}

impl Listing<'_> {
    /// From a cache where possible.
    async fn answer(&self, consistency: Consistency, admission: &dyn Admission) -> Result<Answered, CheckError> {
        let chain = &self.point.chain;
        let source = self.key();
        let key = chain.key(&source);
        let asked = self.asked();
        if consistency == Consistency::Full {
            admission.admit(&asked).await?;
            return self.answer_fully(&key).await;
        }
        if let Lookup::Hit(hit) | Lookup::NegativeHit(hit) = chain.find_now(&key) {
            return Ok(Answered {
                value: hit.entry.value().clone(),
                source: Source::Tier(hit.tier),
                stamp: hit.entry.stamp(),
                model: self.version.id,
            });
        }
        let admit = || async { admission.admit(&asked).await.map_err(CheckError::from) };
        let answer = chain
            .load_admitted(&key, admit, |load| async move {
                let Drafted { draft, cacheable } = self.run().await?;
                load.provenance(&draft);
                if !cacheable {
                    load.uncacheable();
                }
                Ok::<_, CheckError>(draft.value)
            })
            .await
            .map_err(|error| from_chain(&error))?;
        Ok(Answered {
            value: answer.value().clone(),
            source: answer.source,
            stamp: answer.entry.stamp(),
            model: self.version.id,
        })
    }

    /// From one new snapshot. The answer may serve others all the same.
    async fn answer_fully(&self, key: &Key<'_>) -> Result<Answered, CheckError> {
        let ticket = self.point.chain.ticket();
        let Drafted { draft, cacheable } = self.run().await?;
        let (value, stamp) = (draft.value.clone(), draft.stamp);
        if cacheable {
            self.point.chain.fill_many(&ticket, vec![(*key, draft)]).await;
        }
        Ok(Answered { value, source: Source::Origin, stamp, model: self.version.id })
    }

    async fn run(&self) -> Result<Drafted, CheckError> {
        match self.what {
            What::Objects { subject, object_type } => self.run_objects(subject, object_type).await,
            What::Users { object, filters } => self.run_users(object, filters).await,
        }
    }

    fn asked(&self) -> Asked<'_> {
        let subject = match self.what {
            What::Objects { subject, .. } => Some(subject),
            What::Users { .. } => None,
        };
        Asked { store: self.store, subject, action: self.relation, work: Work::List }
    }

    /// The type of the objects that the question is about.
    fn object_type(&self) -> &str {
        match self.what {
            What::Objects { object_type, .. } => object_type,
            What::Users { object, .. } => &object.type_name,
        }
    }

    /// The names of what conditions can read on the way.
    fn reads(&self) -> &[Text] {
        self.version.plan.reads(self.object_type(), self.relation)
    }

    fn circumstances(&self) -> Circumstances<'_> {
        let Self { point, version, given, .. } = self;
        Circumstances::new(
            &version.plan,
            *given,
            point.clock.as_ref(),
            point.chain.clock().as_ref(),
            point.limits.max_condition_steps,
        )
    }

    fn key(&self) -> ListKey<'_> {
        ListKey {
            cache_type: self.point.assignment.of(self.object_type(), &self.version.plan),
            store: self.store,
            model: self.version.id,
            what: self.what,
            relation: self.relation,
            contextual: self.contextual,
            given: self.given,
            reads: self.reads(),
        }
    }

    /// The cache type of decisions about a type of objects.
    fn part_types(&self, type_name: &str) -> TypeSet {
        TypeSet::of(self.point.assignment.of(type_name, &self.version.plan))
    }

    fn drafted(&self, value: CachedValue, items: usize, stamp: Stamp, account: &Account, whole: bool) -> Drafted {
        let draft = Draft {
            value,
            stamp,
            read_set: account.read_set(),
            // Its key does not name what is in it.
            types: account.all_types().union(TypeSet::composed()),
            hard_expiry: account.hard_expiry(),
        };
        Drafted { draft, cacheable: whole && items <= MAX_CACHED_ITEMS }
    }
}

/// What stands for one side of a question while it is searched for. No object can be called this.
fn nothing_of(type_name: &Text) -> Object {
    Object { type_name: type_name.clone(), id: Text::from("") }
}

/// The relationships of a question in one order, each once.
fn sorted(contextual: &[Relationship]) -> Vec<Relationship> {
    let mut contextual = contextual.to_vec();
    contextual.sort_by(|left, right| left.tuple.cmp(&right.tuple));
    contextual.dedup();
    contextual
}
