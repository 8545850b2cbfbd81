//! Explanations: what a decision rests on, who had it, and why the others did not.
//!
//! The tiers are inspected before the question is asked, and nothing of that is counted. The decision is what any caller would get, from wherever it comes. The
//! path is worked out anew from one snapshot of the origin, without caches: where a change came in between, it may be newer than the decision, and
//! its stamp says so.

use std::time::Duration;

use cache_core::{CacheKey as _, CacheType, Entry, Holding, Inspection, Moment, Stamp, Tag, Verdict};

use super::driver::Evaluated;
use super::error::CheckError;
use super::{CachedValue, CheckRequest, Consistency, Decision, DecisionPoint, validate};
use crate::evaluate::PathStep;
use crate::relation::Relationship;

/// Why a decision is what it is.
#[derive(Debug)]
pub struct Explanation {
    /// What a caller gets.
    pub decision: Result<Decision, CheckError>,
    /// The cache type that the decision belongs to.
    pub cache_type: CacheType,
    /// What the tiers had when the question came, fastest first.
    pub tiers: Vec<TierExplanation>,
    /// The path to the answer; none where the origin could not be read.
    pub path: Option<PathStep>,
    /// What the path was worked out from: every change with a lower revision is in it.
    pub path_stamp: Option<Stamp>,
    /// The tags of what the answer rests on: a change that kills one of them makes it be worked out anew.
    pub tags: Vec<Tag>,
    /// For how long the answer holds by itself, because conditions read the time; none where time plays no part.
    pub holds_for: Option<Duration>,
    /// Why the answer is not kept, where it is not.
    pub not_kept: Option<&'static str>,
}

/// What one tier had.
#[derive(Debug)]
pub struct TierExplanation {
    /// The tier.
    pub tier: &'static str,
    /// Why it did or did not answer.
    pub reason: TierReason,
    /// What it had.
    pub held: Option<Held>,
}

/// A value that a tier had.
#[derive(Clone, Debug)]
pub struct Held {
    /// What it says.
    pub allowed: Option<bool>,
    /// What it contains.
    pub stamp: Stamp,
    /// How long it would have lived on.
    pub expires_in: Duration,
    /// The tags of its read set.
    pub tags: Vec<Tag>,
}

/// Why a tier did or did not answer.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum TierReason {
    /// It had a usable value.
    Usable,
    /// It had a usable value that is due to be loaded anew.
    Stale,
    /// It had nothing.
    Absent,
    /// The time of its value was over.
    Expired,
    /// A change, or an administrator, has invalidated its value.
    Invalidated,
    /// Its value is older than what is still known of changes.
    TooOld,
    /// It is switched off.
    Off,
    /// It was not asked: the caller wants a new snapshot.
    NotAsked,
    /// It could not say.
    Error(String),
}

impl DecisionPoint {
    /// Answers, and says why.
    ///
    /// # Errors
    /// Where the question makes no sense under the model. What a sensible question runs into is part of the explanation.
    pub async fn explain(&self, request: &CheckRequest) -> Result<Explanation, CheckError> {
        let version = self.models.resolve(request.store, request.model).await?;
        validate::request(request, &version.plan)?;
        let contextual = sorted(&request.contextual_tuples);
        let evaluation = self.evaluation(request, &version, &contextual);
        let source = evaluation.decision_key(&request.object, &request.relation);
        let now = self.chain.clock().now();
        let mut tiers: Vec<TierExplanation> = Vec::new();
        for inspection in self.chain.inspect(&self.chain.key(&source)).await {
            tiers.push(TierExplanation::of(inspection, now));
        }
        if request.consistency == Consistency::Full {
            for tier in &mut tiers {
                tier.reason = TierReason::NotAsked;
            }
        }
        let decision = self.check(request).await;
        let worked_out = tokio::time::timeout(self.timeout, Box::pin(evaluation.told())).await;
        let (result, path) = match worked_out {
            Ok((result, path)) => (result, Some(path)),
            Err(_) => (Err(CheckError::Timeout(u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX))), None),
        };
        let cache_type = source.cache_type();
        let mut explanation = Explanation {
            decision,
            cache_type,
            tiers,
            path,
            path_stamp: None,
            tags: Vec::new(),
            holds_for: None,
            not_kept: None,
        };
        match result {
            Ok(Evaluated { draft, cacheable, .. }) => {
                explanation.path_stamp = Some(draft.stamp);
                explanation.tags = draft.read_set.tags().to_vec();
                explanation.holds_for = (draft.hard_expiry != Moment::NEVER).then(|| draft.hard_expiry.since(now));
                explanation.not_kept = (!cacheable).then_some("a circle of relationships left it open");
            }
            Err(_) => explanation.not_kept = Some("there is no answer"),
        }
        Ok(explanation)
    }
}

/// Relationships of a question in the order that keys and look-ups want, each once.
pub(super) fn sorted(contextual: &[Relationship]) -> Vec<Relationship> {
    let mut contextual = contextual.to_vec();
    contextual.sort_by(|left, right| left.tuple.cmp(&right.tuple));
    contextual.dedup();
    contextual
}

impl TierExplanation {
    fn of(Inspection { tier, holding }: Inspection<CachedValue>, now: Moment) -> Self {
        let (reason, entry) = match holding {
            Holding::Off => (TierReason::Off, None),
            Holding::Absent => (TierReason::Absent, None),
            Holding::Usable(entry) => (TierReason::Usable, Some(entry)),
            Holding::Stale(entry) => (TierReason::Stale, Some(entry)),
            Holding::Expired(entry) => (TierReason::Expired, Some(entry)),
            Holding::Rejected(entry, Verdict::BelowFloor) => (TierReason::TooOld, Some(entry)),
            Holding::Rejected(entry, _) => (TierReason::Invalidated, Some(entry)),
            Holding::Error(error) => (TierReason::Error(error.to_string()), None),
            other => (TierReason::Error(format!("{other:?}")), None),
        };
        Self { tier, reason, held: entry.map(|entry| Held::of(&entry, now)) }
    }
}

impl Held {
    fn of(entry: &Entry<CachedValue>, now: Moment) -> Self {
        let allowed = match entry.value() {
            CachedValue::Decision(allowed) => Some(*allowed),
            _ => None,
        };
        let expires_in = entry.hard_expiry().since(now);
        Self { allowed, stamp: entry.stamp(), expires_in, tags: entry.tags().to_vec() }
    }
}
