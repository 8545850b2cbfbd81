//! Lists of worlds: what a decision point with caches lists is what one without does, and what the model means.

use std::collections::BTreeSet;

use authz::decide::{CheckError, Consistency, DecisionPoint, ListObjectsRequest, ListUsersRequest, Listed};
use authz::relation::{Object, Subject, Text};
use authz::store::StoreId;
use cache_core::Source;

use super::coverage::Coverage;
use super::generator::{Question, State};
use super::reference::{Answer, Reference};

/// What a decision point said.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Said<T> {
    Items(Vec<T>),
    TooComplex,
    /// A condition lacks something, and it matters for something that came into question.
    Unknown,
    Refused(String),
}

impl<T: Clone> Said<T> {
    fn of(result: &Result<Listed<T>, CheckError>) -> Self {
        match result {
            Ok(listed) => Self::Items(listed.items.to_vec()),
            Err(CheckError::TooComplex { .. }) => Self::TooComplex,
            Err(CheckError::Condition(_)) => Self::Unknown,
            Err(error) => Self::Refused(error.to_string()),
        }
    }
}

/// Both decision points, and the store that they are asked about.
#[derive(Clone, Copy)]
pub(crate) struct Points<'a> {
    pub(crate) cached: &'a DecisionPoint,
    pub(crate) uncached: &'a DecisionPoint,
    pub(crate) store: StoreId,
}

impl Points<'_> {
    /// Both lists of a question: of the objects of its object's type, and of the subjects of its subject's kind. Each is asked twice of the
    /// cached decision point.
    pub(crate) async fn compare(
        &self,
        question: &Question,
        reference: &Reference<'_>,
        state: &State,
        coverage: &mut Coverage,
    ) -> Result<(), String> {
        let (latency, full) = (Consistency::MinimizeLatency, Consistency::Full);
        let first = self.cached.list_objects(&self.objects(question, latency)).await;
        let again = self.cached.list_objects(&self.objects(question, latency)).await;
        let plain = self.uncached.list_objects(&self.objects(question, full)).await;
        let objects = are_equal("objects", [&first, &again, &plain], coverage)?;
        is_meant(&objects, question, reference, state, coverage)?;

        let first = self.cached.list_users(&self.users(question, latency)).await;
        let again = self.cached.list_users(&self.users(question, latency)).await;
        let plain = self.uncached.list_users(&self.users(question, full)).await;
        are_equal("subjects", [&first, &again, &plain], coverage).map(|_| ())
    }

    fn objects(&self, question: &Question, consistency: Consistency) -> ListObjectsRequest {
        let Question { subject, relation, object, context } = question.clone();
        ListObjectsRequest {
            store: self.store,
            model: None,
            subject,
            relation,
            object_type: object.type_name,
            contextual_tuples: Vec::new(),
            context,
            properties: Default::default(),
            consistency,
        }
    }

    fn users(&self, question: &Question, consistency: Consistency) -> ListUsersRequest {
        let Question { subject, relation, object, context } = question.clone();
        ListUsersRequest {
            store: self.store,
            model: None,
            object,
            relation,
            filters: vec![subject.kind()],
            contextual_tuples: Vec::new(),
            context,
            properties: Default::default(),
            consistency,
        }
    }
}

fn are_equal<T: Clone + Eq + std::fmt::Debug>(
    what: &str,
    [first, again, plain]: [&Result<Listed<T>, CheckError>; 3],
    coverage: &mut Coverage,
) -> Result<Said<T>, String> {
    let (first_said, again_said, plain_said) = (Said::of(first), Said::of(again), Said::of(plain));
    if first_said != plain_said || again_said != plain_said {
        return Err(format!("{what}: cached {first_said:?}, then {again_said:?}; uncached {plain_said:?}"));
    }
    coverage.lists += 1;
    if let Said::Items(items) = &plain_said {
        coverage.lists_with_items += usize::from(!items.is_empty());
        coverage.lists_answered += 1;
        coverage.lists_first_from_cache += usize::from(is_from_tier(first));
        coverage.lists_again_from_cache += usize::from(is_from_tier(again));
    }
    Ok(plain_said)
}

fn is_from_tier<T>(result: &Result<Listed<T>, CheckError>) -> bool {
    matches!(result, Ok(Listed { source: Source::Tier(_), .. }))
}

/// Whether a list holds what the reference allows, of all objects that there are.
fn is_meant(
    said: &Said<Text>,
    question: &Question,
    reference: &Reference<'_>,
    state: &State,
    coverage: &mut Coverage,
) -> Result<(), String> {
    if matches!(said, Said::TooComplex | Said::Refused(_)) {
        return Ok(());
    }
    let objects = objects_of(state, question);
    let meant: Vec<(&Object, Answer)> = objects
        .iter()
        .map(|object| (object, reference.answer(&Question { object: object.clone(), ..question.clone() })))
        .collect();
    let told = || meant.iter().map(|(object, answer)| format!("{object}: {:?}", answer.value)).collect::<Vec<_>>();
    let Said::Items(items) = said else {
        let is_unknown = meant.iter().any(|(_, answer)| answer.value.is_none() && answer.lacks);
        return if is_unknown {
            Ok(())
        } else {
            Err(format!("objects: {said:?}; by the model's meaning {:?}", told()))
        };
    };
    // What a circle leaves open is no allow.
    let allowed: Vec<&Text> =
        meant.iter().filter(|(_, answer)| answer.allowed()).map(|(object, _)| &object.id).collect();
    if !items.iter().eq(allowed) {
        return Err(format!("objects: {items:?}; by the model's meaning {:?}", told()));
    }
    coverage.lists_by_reference += 1;
    Ok(())
}

/// Every object of the question's type that anything names, in order.
fn objects_of(state: &State, question: &Question) -> BTreeSet<Object> {
    let mut objects = BTreeSet::from([question.object.clone()]);
    let mut add = |object: &Object| {
        if object.type_name == question.object.type_name {
            objects.insert(object.clone());
        }
    };
    for subject in state.tuples.keys().map(|tuple| &tuple.subject).chain([&question.subject]) {
        match subject {
            Subject::Object(object) | Subject::Userset { object, .. } => add(object),
            Subject::Wildcard { .. } => {}
        }
    }
    state.tuples.keys().for_each(|tuple| add(&tuple.object));
    objects
}
