//! What the conditions of one question are evaluated with: the values that the relationship brings, those of the question, the entities with their
//! properties, and the time.
//!
//! A value is looked for in that order, and the first one counts. The time of this process only stands in for a parameter that nobody gave, and what
//! rests on it ends where it could be otherwise.

use std::time::Duration;

use cache_core::{Clock, Moment};
use serde_json::{Map, Value};

use super::RequestProperties;
use super::error::CheckError;
use crate::condition::{Budget, Context, ParameterType};
use crate::evaluate::{Judge, Judged, Judgement, Plan};
use crate::relation::{Object, Presence, RelationshipCondition, Subject, Text};
use crate::store::{TupleAnswer, TupleRead, UnixMillis, WallClock};

/// The parameter that stands for the subject: `{type, id, properties}`.
pub(super) const SUBJECT: &str = "subject";
/// The parameter that stands for the resource: `{type, id, properties}`.
pub(super) const RESOURCE: &str = "resource";
/// The parameter that stands for the action: `{name, properties}`.
pub(super) const ACTION: &str = "action";

/// What an entry that rests on the time ends too early: the clock of lifetimes may lag by its resolution, and both clocks are cut to milliseconds.
const CLOCK_GRAIN_MS: u64 = 15;

/// What a question brings for conditions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Given<'a> {
    pub(super) context: &'a Context,
    pub(super) properties: &'a RequestProperties,
    pub(super) subject: &'a Subject,
    pub(super) action: &'a str,
    pub(super) resource: &'a Object,
    /// The parameter that the time of this process stands for where nobody gives it; none where the time must be given.
    pub(super) clock: Option<&'a Text>,
}

/// The time at which a question is answered, by both clocks.
#[derive(Clone, Copy, Debug)]
struct Now {
    /// By the clock of lifetimes. Taken before the other one, so that what is computed from both ends too early and never too late.
    moment: Moment,
    unix_millis: UnixMillis,
}

/// Evaluates the conditions of one question.
pub(super) struct Circumstances<'a> {
    plan: &'a Plan,
    given: Given<'a>,
    now: Now,
    budget: Budget,
    entities: Entities,
    error: Option<CheckError>,
}

/// The entities as conditions see them.
#[derive(Default)]
struct Entities {
    subject: Option<Value>,
    resource: Option<Value>,
    action: Option<Value>,
}

impl<'a> Given<'a> {
    /// The subject, where it is one object.
    pub(super) fn subject_object(&self) -> Option<&'a Object> {
        match self.subject {
            Subject::Object(object) => Some(object),
            Subject::Userset { .. } | Subject::Wildcard { .. } => None,
        }
    }

    /// The entities whose stored properties conditions may read, among the names that they read.
    pub(super) fn stored(&self, reads: &[Text]) -> Vec<&'a Object> {
        let wanted = |name: &str| self.context.get(name).is_none() && reads.iter().any(|read| **read == *name);
        let subject = self.subject_object().filter(|_| wanted(SUBJECT));
        subject.into_iter().chain(wanted(RESOURCE).then_some(self.resource)).collect()
    }
}

impl<'a> Circumstances<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        given: Given<'a>,
        wall: &dyn WallClock,
        clock: &dyn Clock,
        max_steps: u64,
    ) -> Self {
        let moment = clock.now();
        let now = Now { moment, unix_millis: wall.unix_millis() };
        Self::at(plan, given, now, max_steps)
    }

    /// For another question of the same moment.
    pub(super) fn of_another(&self, given: Given<'a>, max_steps: u64) -> Self {
        Self::at(self.plan, given, self.now, max_steps)
    }

    fn at(plan: &'a Plan, given: Given<'a>, now: Now, max_steps: u64) -> Self {
        let mut circumstances =
            Self { plan, given, now, budget: Budget::new(max_steps), entities: Entities::default(), error: None };
        if plan.has_conditions() {
            circumstances.entities = Entities::of(&given);
        }
        circumstances
    }

    /// Adds stored properties of the subject or of the resource. Those of the question stay.
    pub(super) fn add_stored(&mut self, object: &Object, stored: &Context) {
        let is_subject = matches!(self.given.subject, Subject::Object(subject) if subject == object);
        let slots = [
            is_subject.then_some(&mut self.entities.subject),
            (self.given.resource == object).then_some(&mut self.entities.resource),
        ];
        for entity in slots.into_iter().flatten().flatten() {
            let Some(properties) = entity.get_mut("properties").and_then(Value::as_object_mut) else { continue };
            for (name, value) in stored.iter() {
                if !properties.contains_key(&**name) {
                    properties.insert(name.to_string(), value.clone());
                }
            }
        }
    }

    /// What was read, as far as the model allows it, with its conditions judged. A relationship of an older version of the model may be under a condition that
    /// this version does not have there, or under none where it must have one: it does not count.
    pub(super) fn judged(&mut self, read: &TupleRead, answer: TupleAnswer) -> Judged {
        let answer = self.allowed(read, answer);
        Judged::of(answer, self)
    }

    /// What was read, as far as the model allows it.
    pub(super) fn allowed(&self, read: &TupleRead, mut answer: TupleAnswer) -> TupleAnswer {
        let plan = self.plan;
        let allows = |condition: Option<&RelationshipCondition>| plan.allows(read, condition.map(|it| &*it.name));
        match &mut answer {
            TupleAnswer::Found(presence) => {
                let condition = match presence {
                    Presence::Conditional(condition) => Some(&**condition),
                    Presence::Present | Presence::Absent => None,
                };
                if !allows(condition) {
                    *presence = Presence::Absent;
                }
            }
            TupleAnswer::Members(members) => members.retain(|member| allows(member.condition.as_deref())),
            TupleAnswer::TooMany | TupleAnswer::Properties(_) => {}
        }
        answer
    }

    /// The steps that conditions took so far.
    pub(super) fn spent(&self) -> u64 {
        self.budget.spent()
    }

    /// The first error of a condition.
    pub(super) fn error(&self) -> Option<&CheckError> {
        self.error.as_ref()
    }
}

impl Judge for Circumstances<'_> {
    fn judge(&mut self, condition: &RelationshipCondition) -> Judgement {
        let unknown = Judgement { met: None, until: Moment::NEVER, read_properties: false };
        let Some(program) = self.plan.condition(&condition.name) else {
            // It was faulty when the model was stored, by somebody else than this server.
            self.error.get_or_insert(CheckError::FaultyCondition { name: condition.name.to_string() });
            return unknown;
        };
        let values = Layers { condition, given: &self.given, entities: &self.entities, plan: self.plan };
        let clock = self.given.clock.map(|name| (&**name, self.now.unix_millis));
        match program.evaluate(&|name| values.value(name), clock, &mut self.budget) {
            Ok(outcome) => Judgement {
                met: Some(outcome.met),
                until: outcome.until.map_or(Moment::NEVER, |until| {
                    let rest = until.saturating_sub(self.now.unix_millis).saturating_sub(CLOCK_GRAIN_MS);
                    self.now.moment.after(Duration::from_millis(rest))
                }),
                read_properties: program.reads().iter().any(|name| matches!(&**name, SUBJECT | RESOURCE)),
            },
            Err(error) => {
                self.error.get_or_insert(CheckError::Condition(error));
                unknown
            }
        }
    }
}

/// The values of one condition, the nearest first.
struct Layers<'v> {
    condition: &'v RelationshipCondition,
    given: &'v Given<'v>,
    entities: &'v Entities,
    plan: &'v Plan,
}

impl<'v> Layers<'v> {
    fn value(&self, name: &str) -> Option<&'v Value> {
        let given = self.condition.context.get(name).or_else(|| self.given.context.get(name));
        given.or_else(|| {
            let entity = match name {
                SUBJECT => self.entities.subject.as_ref(),
                RESOURCE => self.entities.resource.as_ref(),
                ACTION => self.entities.action.as_ref(),
                _ => None,
            }?;
            // A parameter of another type only happens to be called so.
            let definition = self.plan.model().condition(&self.condition.name)?;
            let parameter = definition.parameters.iter().find(|parameter| &*parameter.name == name)?;
            matches!(parameter.kind, ParameterType::Any | ParameterType::Map(_)).then_some(entity)
        })
    }
}

impl Entities {
    fn of(given: &Given<'_>) -> Self {
        let Given { context: _, properties, subject, action, resource, clock: _ } = given;
        let subject = match subject {
            Subject::Object(object) => Some(entity(object, &properties.subject)),
            Subject::Userset { .. } | Subject::Wildcard { .. } => None,
        };
        let mut named = Map::new();
        named.insert("name".to_owned(), Value::from(*action));
        named.insert("properties".to_owned(), object_of(&properties.action));
        Self { subject, resource: Some(entity(resource, &properties.resource)), action: Some(Value::Object(named)) }
    }
}

fn entity(object: &Object, properties: &Context) -> Value {
    let mut entity = Map::new();
    entity.insert("type".to_owned(), Value::from(&*object.type_name));
    entity.insert("id".to_owned(), Value::from(&*object.id));
    entity.insert("properties".to_owned(), object_of(properties));
    Value::Object(entity)
}

fn object_of(context: &Context) -> Value {
    Value::Object(context.iter().map(|(name, value)| (name.to_string(), value.clone())).collect())
}
