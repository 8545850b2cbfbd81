//! The cached decision point: may this subject do this action on this resource?
//!
//! The way of a question: the latest model (a cached value with a tag of its own), the whole decision from the local tiers, then under a single
//! flight the other tiers, then whether the caller may go on to the origin, and at last an evaluation, which composes cached parts and reads of one snapshot. Every answer was compared
//! with the horizon after the question came; every change is applied to the horizon before its writer gets an answer.

mod administration;
mod admission;
mod builder;
mod circumstances;
mod driver;
mod error;
mod explain;
#[cfg(test)]
mod inputs;
mod key;
mod list;
mod models;
mod sink;
mod state;
mod stored;
mod types;
mod validate;
mod value;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use cache_core::{
    Chain, Draft, Entropy, Error, ErrorKind, Hit, Key, Lookup, Moment, Revision, Source, Stamp, Statistics,
};

pub use admission::{Admission, Asked, Everybody, Refused, Work};
pub use builder::{BuildError, DecisionPointBuilder};
pub use error::CheckError;
pub use explain::{Explanation, Held, TierExplanation, TierReason};
pub use list::{
    ExpandRequest, ListObjectsRequest, ListUsersRequest, Listed, MAX_CACHED_ITEMS, MAX_USER_FILTERS, Userset,
    UsersetTree,
};
pub use types::{
    Assignment, CACHE_TYPES, GENERATION_RIGHTS, MEDIA_ACCESS_TOKENS, PROJECT_VISIBILITY, RATE_LIMIT_STATUS,
    TEAM_ACCESS, USER_PERMISSIONS, cache_type, default_l1_ttl,
};
pub use validate::relationship as validate_relationship;
pub use value::CachedValue;

use crate::condition::Context;
use crate::evaluate::Limits;
use crate::relation::{Object, Relationship, Subject, Text};
use crate::store::{ModelId, Store, StoreError, StoreId, WallClock};
use circumstances::Given;
use driver::{Evaluated, Evaluation, Flight};
use models::{Models, Version};
use sink::OriginLog;

/// The chain of a decision point.
pub type DecisionChain = Chain<CachedValue>;

/// The most relationships that may come with a question.
pub const MAX_CONTEXTUAL_TUPLES: usize = 100;
/// The parameter of conditions that stands for the time of the server by default, where neither a relationship nor a question gives it.
pub const DEFAULT_CLOCK_PARAMETER: &str = "current_time";
/// The most bytes of the values that a question brings for conditions, by the texts and numbers in them.
pub const MAX_QUESTION_CONTEXT_BYTES: usize = 64 << 10;
/// The default time limit of a question.
pub const DEFAULT_CHECK_TIMEOUT: Duration = Duration::from_secs(3);

/// One question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CheckRequest {
    /// In which store.
    pub store: StoreId,
    /// By which version of its model; by the latest one without.
    pub model: Option<ModelId>,
    /// Who asks: one object, a userset, or a wildcard.
    pub subject: Subject,
    /// The relation, which an API may call the action.
    pub relation: Text,
    /// To what.
    pub object: Object,
    /// Relationships that hold for this question only, at most [`MAX_CONTEXTUAL_TUPLES`].
    pub contextual_tuples: Vec<Relationship>,
    /// Values for the parameters of conditions. Those of a relationship come before these.
    pub context: Context,
    /// Properties that the question brings for its entities. They come before those that are stored.
    pub properties: RequestProperties,
    /// How fresh the answer must be.
    pub consistency: Consistency,
}

impl CheckRequest {
    /// A question by the latest version of the model, with nothing but its names.
    #[must_use]
    pub fn new(store: StoreId, subject: Subject, relation: impl Into<Text>, object: Object) -> Self {
        Self {
            store,
            model: None,
            subject,
            relation: relation.into(),
            object,
            contextual_tuples: Vec::new(),
            context: Context::default(),
            properties: RequestProperties::default(),
            consistency: Consistency::MinimizeLatency,
        }
    }
}

/// Properties of the entities of a question, as conditions read them: parameters called `subject`, `resource` and `action`, each an object with
/// `type` and `id` (for an action `name`) and `properties`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct RequestProperties {
    /// Of the subject.
    pub subject: Context,
    /// Of the resource.
    pub resource: Context,
    /// Of the action.
    pub action: Context,
}

/// How fresh an answer must be.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Consistency {
    /// From a cache where possible. A revocation that was acknowledged before the question is honoured all the same.
    #[default]
    MinimizeLatency,
    /// From a new snapshot of the origin, with no cached part.
    Full,
}

/// The answer to a [`CheckRequest`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Decision {
    /// Whether the subject may.
    pub allowed: bool,
    /// The tier that had the answer, or the origin.
    pub source: Source,
    /// Every change with a lower revision is contained in the answer.
    pub stamp: Stamp,
    /// The version of the model that decided.
    pub model: ModelId,
}

/// An invalidation that is in force.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InvalidationReport {
    /// Its revision.
    pub revision: Revision,
    /// What tiers could not clean up; nothing of theirs is served all the same.
    pub errors: Vec<String>,
}

/// The decision point. Shared behind an `Arc`.
pub struct DecisionPoint {
    origin: Arc<dyn Store>,
    log: Arc<OriginLog>,
    chain: DecisionChain,
    models: Models,
    assignment: Assignment,
    limits: Limits,
    timeout: Duration,
    clock: Arc<dyn WallClock>,
    /// The parameter of conditions that stands for the time of `clock` where nobody gives it.
    clock_parameter: Option<Text>,
    entropy: Arc<dyn Entropy>,
    /// The last id that was given out, so that ids never run backwards.
    last_id: Mutex<u128>,
}

impl DecisionPoint {
    /// Begins a decision point over an origin.
    #[must_use]
    pub fn builder(origin: Arc<dyn Store>) -> DecisionPointBuilder {
        DecisionPointBuilder::new(origin)
    }

    /// Answers at once where a local tier has the answer; none where it must be waited for.
    #[inline]
    #[must_use]
    pub fn check_now(&self, request: &CheckRequest) -> Option<Decision> {
        let (version, hit) = self.hit(request)?;
        Self::decided(&version, &hit)
    }

    /// As [`Self::check_now`] for questions to one store under one version of its model, which is looked up once.
    #[must_use]
    pub fn check_now_all<'r>(
        &self,
        store: StoreId,
        model: Option<ModelId>,
        requests: impl Iterator<Item = Option<&'r CheckRequest>>,
    ) -> Vec<Option<Decision>> {
        let now = self.chain.clock().now();
        let version = self.models.resolve_now(store, model, now);
        let answer = |request: &CheckRequest| {
            let version = version.as_ref().filter(|_| request.store == store && request.model == model)?;
            Self::decided(version, &self.hit_under(request, version, now)?)
        };
        requests.map(|request| answer(request?)).collect()
    }

    #[inline]
    fn decided(version: &Version, hit: &Hit<CachedValue>) -> Option<Decision> {
        match hit.entry.value() {
            CachedValue::Decision(allowed) => Some(Decision {
                allowed: *allowed,
                source: Source::Tier(hit.tier),
                stamp: hit.entry.stamp(),
                model: version.id,
            }),
            CachedValue::Exists(_) | CachedValue::Subjects(_) | CachedValue::Objects(_) | CachedValue::Users(_) => None,
        }
    }

    /// What a local tier holds for a question, with its provenance: for whoever explains or measures.
    #[must_use]
    pub fn cached(&self, request: &CheckRequest) -> Option<Hit<CachedValue>> {
        self.hit(request).map(|(_, hit)| hit)
    }

    #[inline]
    fn hit(&self, request: &CheckRequest) -> Option<(Arc<Version>, Hit<CachedValue>)> {
        if request.consistency == Consistency::Full || !request.contextual_tuples.is_empty() {
            return None;
        }
        let now = self.chain.clock().now();
        let version = self.models.resolve_now(request.store, request.model, now)?;
        let hit = self.hit_under(request, &version, now)?;
        Some((version, hit))
    }

    #[inline]
    fn hit_under(&self, request: &CheckRequest, version: &Version, now: Moment) -> Option<Hit<CachedValue>> {
        if request.consistency == Consistency::Full || !request.contextual_tuples.is_empty() {
            return None;
        }
        // What is not read is in no key, and bounded all the same.
        validate::bounded(&request.context, &request.properties).ok()?;
        let evaluation = self.evaluation(request, version, &[]);
        let source = evaluation.decision_key(&request.object, &request.relation);
        match self.chain.find_now_at(&self.chain.key(&source), now) {
            Lookup::Hit(hit) | Lookup::NegativeHit(hit) => Some(hit),
            Lookup::StaleHit(_) | Lookup::Miss | Lookup::Error(_) => None,
        }
    }

    /// Answers.
    ///
    /// # Errors
    /// Where the question makes no sense under the model, is too complex, takes too long, or the origin fails. None of these is an allow.
    pub async fn check(&self, request: &CheckRequest) -> Result<Decision, CheckError> {
        self.check_admitted(request, &Everybody).await
    }

    async fn check_slowly(&self, request: &CheckRequest, admission: &dyn Admission) -> Result<Decision, CheckError> {
        let version = self.models.resolve(request.store, request.model).await?;
        validate::request(request, &version.plan)?;
        let contextual = explain::sorted(&request.contextual_tuples);
        let evaluation = self.evaluation(request, &version, &contextual);
        let source = evaluation.decision_key(&request.object, &request.relation);
        let key = self.chain.key(&source);
        let asked = Asked {
            store: request.store,
            subject: Some(&request.subject),
            action: &request.relation,
            work: Work::Check,
        };
        if request.consistency == Consistency::Full {
            admission.admit(&asked).await?;
            return self.check_fully(&evaluation, &key, version.id).await;
        }
        let admit = || async { admission.admit(&asked).await.map_err(CheckError::from) };
        // The local tiers were asked by `check_now`, or will be once more by whoever leads the load.
        let invocation = self.chain.invoked();
        let answer = self
            .chain
            .load_admitted(&key, admit, |load| async move {
                let flight = Flight { ticket: load.ticket(), order: load.order(), invocation };
                let Evaluated { draft, allowed, cacheable } = evaluation.run(Some(flight)).await?;
                load.provenance(&draft);
                if !cacheable {
                    load.uncacheable();
                }
                Ok::<_, CheckError>(CachedValue::Decision(allowed))
            })
            .await
            .map_err(|error| from_chain(&error))?;
        Ok(Decision {
            // Whatever else may lie under a key, only an allow allows.
            allowed: *answer.value() == CachedValue::Decision(true),
            source: answer.source,
            stamp: answer.entry.stamp(),
            model: version.id,
        })
    }

    /// From one new snapshot. The answer may serve others all the same.
    async fn check_fully(
        &self,
        evaluation: &Evaluation<'_>,
        key: &Key<'_>,
        model: ModelId,
    ) -> Result<Decision, CheckError> {
        let ticket = self.chain.ticket();
        let Evaluated { draft, allowed, cacheable } = evaluation.run(None).await?;
        let Draft { stamp, .. } = draft;
        if cacheable {
            self.chain.fill_many(&ticket, vec![(*key, draft)]).await;
        }
        Ok(Decision { allowed, source: Source::Origin, stamp, model })
    }

    fn evaluation<'a>(
        &'a self,
        request: &'a CheckRequest,
        version: &'a Version,
        contextual: &'a [Relationship],
    ) -> Evaluation<'a> {
        Evaluation {
            chain: &self.chain,
            origin: self.origin.as_ref(),
            assignment: &self.assignment,
            limits: self.limits,
            version,
            store: request.store,
            subject: &request.subject,
            relation: &request.relation,
            object: &request.object,
            contextual,
            given: Given {
                context: &request.context,
                properties: &request.properties,
                subject: &request.subject,
                action: &request.relation,
                resource: &request.object,
                clock: self.clock_parameter.as_ref(),
            },
            wall: self.clock.as_ref(),
        }
    }

    /// What the caches have counted.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.chain.statistics()
    }

    /// Whether there is such a tier and it is switched on.
    #[must_use]
    pub fn is_tier_on(&self, name: &str) -> bool {
        self.chain.is_tier_on(name)
    }

    /// Switches a tier on or off. False where no tier has that name.
    pub fn switch_tier(&self, name: &str, on: bool) -> bool {
        self.chain.switch_tier(name, on)
    }

    /// The names of the tiers, fastest first.
    #[must_use]
    pub fn tier_names(&self) -> Vec<&'static str> {
        self.chain.tier_names().collect()
    }

    /// The chain, for whoever measures it.
    #[must_use]
    pub fn chain(&self) -> &DecisionChain {
        &self.chain
    }

    /// Whether the origin answers.
    ///
    /// # Errors
    /// What the origin says for itself.
    pub async fn health(&self) -> Result<(), StoreError> {
        self.origin.health().await
    }

    /// Waits until the log of the origin is lost to this process: nothing is answered any more, and a process that is started anew would answer. Says
    /// why. It comes after every promotion of a replica of PostgreSQL, and after `new_epoch()`; it never comes with an origin that cannot lose its
    /// log. Whoever runs a decision point should wait for it beside what else ends the process, close, and be started again.
    pub async fn lost(&self) -> StoreError {
        self.origin.lost().await
    }

    /// Ends background work and closes the origin.
    pub async fn close(&self) {
        self.origin.close().await;
    }
}

impl std::fmt::Debug for DecisionPoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DecisionPoint").field("chain", &self.chain).finish_non_exhaustive()
    }
}

/// The error of a load is the evaluation's own; what the chain itself says is that there is too much at once.
fn from_chain(error: &Error) -> CheckError {
    match error.downcast_load::<CheckError>() {
        Some(check) => check.clone(),
        None => {
            debug_assert!(error.kind() == ErrorKind::Overloaded, "no other error comes from the chain: {error}");
            CheckError::Overloaded
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_check_can_move_between_threads() {
        fn sendable<T: Send>(_: impl Fn(&'static DecisionPoint, &'static CheckRequest) -> T) {}
        sendable(|point, request| point.check(request));
    }
}
