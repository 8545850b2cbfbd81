//! `POST /admin/v1/explain`: a decision with the path to it, what each tier had, and what it rests on.

use std::sync::Arc;
use std::time::Duration;

use authz::condition::Context;
use authz::decide::{CheckRequest, Consistency, Explanation, Held, RequestProperties, TierExplanation, TierReason};
use authz::evaluate::{Operator, PathStep};
use authz::relation::{Object, Subject, Text, check_relation};
use authz::store::{ModelId, StoreId};
use axum::extract::State;
use cache_core::{Source, Tag};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::{Answered, Body};
use crate::app::App;
use crate::credentials::Caller;
use crate::error::Fault;
use crate::routes::path::ulid;
use crate::wire::ok;

/// Names of a context that stand for the entities themselves.
const ENTITIES: [&str; 3] = ["subject", "resource", "action"];

/// The question, as `tiergate check` asks it.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ExplainRequest)]
pub(super) struct Question {
    /// The default store without.
    store: Option<String>,
    /// The latest version without.
    model: Option<String>,
    subject: String,
    relation: String,
    object: String,
    #[serde(default)]
    context: Map<String, Value>,
    /// Properties that the question brings for its entities.
    #[serde(default)]
    properties: Properties,
    #[serde(default)]
    consistency: Wanted,
}

#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ExplainProperties)]
struct Properties {
    #[serde(default)]
    subject: Map<String, Value>,
    #[serde(default)]
    resource: Map<String, Value>,
    #[serde(default)]
    action: Map<String, Value>,
}

#[derive(Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = Consistency)]
enum Wanted {
    #[default]
    MinimizeLatency,
    Full,
}

#[derive(Serialize, ToSchema)]
#[schema(as = Explanation)]
pub(super) struct Answer {
    /// None where there is no decision.
    decision: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stamp: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<String>,
    cache_type: &'static str,
    tiers: Vec<Tier>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<Step>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path_stamp: Option<u64>,
    tags: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    holds_for_ms: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    not_kept: Option<&'static str>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ExplainedTier)]
struct Tier {
    tier: &'static str,
    reason: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    held: Option<HeldOut>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = HeldValue)]
struct HeldOut {
    decision: Option<bool>,
    stamp: u64,
    expires_in_ms: u64,
    tags: Vec<String>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ExplainedStep)]
struct Step {
    operator: &'static str,
    value: Option<bool>,
    text: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(no_recursion)]
    children: Vec<Step>,
}

/// Asks, and says why.
pub(crate) async fn explain(State(app): State<Arc<App>>, caller: Caller, body: Body) -> Answered {
    let question: Question = body.read()?;
    let request = question.request(&app, &caller).await?;
    let explanation = app.decisions.explain(&request).await?;
    Ok(ok(&Answer::of(explanation, &request.subject)))
}

impl Question {
    async fn request(self, app: &App, caller: &Caller) -> Result<CheckRequest, Fault> {
        let store = match &self.store {
            Some(store) => ulid(store, "store").map(StoreId)?,
            None => app.default_store(caller).await?,
        };
        caller.may_name(store)?;
        Ok(CheckRequest {
            store,
            model: self.model.as_deref().map(|model| ulid(model, "model").map(ModelId)).transpose()?,
            subject: Subject::parse(&self.subject)?,
            relation: check_relation(&self.relation)?,
            object: Object::parse(&self.object)?,
            contextual_tuples: Vec::new(),
            // As over AuthZEN: what a caller passes on takes no entity's place.
            context: Context::new(
                self.context
                    .into_iter()
                    .filter(|(name, _)| !ENTITIES.contains(&name.as_str()))
                    .map(|(name, value)| (Text::from(name), value)),
            ),
            properties: RequestProperties {
                subject: Context::from(self.properties.subject),
                resource: Context::from(self.properties.resource),
                action: Context::from(self.properties.action),
            },
            consistency: match self.consistency {
                Wanted::MinimizeLatency => Consistency::MinimizeLatency,
                Wanted::Full => Consistency::Full,
            },
        })
    }
}

impl Answer {
    fn of(explanation: Explanation, subject: &Subject) -> Self {
        let Explanation { decision, cache_type, tiers, path, path_stamp, tags, holds_for, not_kept } = explanation;
        let (decided, error) = match decision {
            Ok(decision) => (Some(decision), None),
            Err(error) => (None, Some(error.to_string())),
        };
        Self {
            decision: decided.as_ref().map(|decision| decision.allowed),
            error,
            source: decided.as_ref().map(|decision| match decision.source {
                Source::Tier(name) => name,
                Source::Origin => "origin",
                Source::Shared => "shared",
            }),
            stamp: decided.as_ref().map(|decision| decision.stamp.get()),
            model: decided.as_ref().map(|decision| decision.model.0.to_string()),
            cache_type: cache_type.name(),
            tiers: tiers.into_iter().map(Tier::from).collect(),
            path: path.map(|step| Step::of(step, subject)),
            path_stamp: path_stamp.map(cache_core::Stamp::get),
            tags: hex(&tags),
            holds_for_ms: holds_for.map(millis),
            not_kept,
        }
    }
}

impl From<TierExplanation> for Tier {
    fn from(TierExplanation { tier, reason, held }: TierExplanation) -> Self {
        let (reason, error) = match reason {
            TierReason::Usable => ("usable", None),
            TierReason::Stale => ("stale", None),
            TierReason::Absent => ("absent", None),
            TierReason::Expired => ("expired", None),
            TierReason::Invalidated => ("invalidated", None),
            TierReason::TooOld => ("too_old", None),
            TierReason::Off => ("off", None),
            TierReason::NotAsked => ("not_asked", None),
            TierReason::Error(error) => ("error", Some(error)),
            _ => ("other", None),
        };
        let held = held.map(|Held { allowed, stamp, expires_in, tags }| HeldOut {
            decision: allowed,
            stamp: stamp.get(),
            expires_in_ms: millis(expires_in),
            tags: hex(&tags),
        });
        Self { tier, reason, error, held }
    }
}

impl Step {
    fn of(step: PathStep, subject: &Subject) -> Self {
        let text = step.line(subject);
        let operator = match step.operator {
            Operator::Relation { .. } => "relation",
            Operator::Relationship { .. } => "relationship",
            Operator::Through { .. } => "through",
            Operator::Union => "union",
            Operator::Intersection => "intersection",
            Operator::Exclusion => "exclusion",
            Operator::Model => "model",
            Operator::Above { .. } => "above",
            Operator::NotAsked { .. } => "not_asked",
            Operator::More => "more",
        };
        let children = step.children.into_iter().map(|child| Self::of(child, subject)).collect();
        Self { operator, value: step.value, text, children }
    }
}

fn hex(tags: &[Tag]) -> Vec<String> {
    tags.iter().map(|tag| format!("{:016x}", tag.hash())).collect()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
