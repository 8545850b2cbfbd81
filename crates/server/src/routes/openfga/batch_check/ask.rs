//! Answers to many questions: what memory holds at once, without any waiting; the rest side by side, the same question only once.

use std::collections::HashMap;
use std::hash::{Hash, Hasher};

use authz::decide::{CheckError, CheckRequest};
use authz::store::StoreError;
use futures_util::{StreamExt, stream};

use super::Scope;
use crate::app::App;
use crate::error::Fault;
use crate::limits::Meter;
use crate::routes::AT_ONCE;

/// An answer, or why there is none.
pub(super) type Answer = Result<bool, Fault>;

/// The answers in the order of the questions.
///
/// # Errors
/// What would be wrong with every question: the store, or the version of its model.
pub(super) async fn ask(
    app: &App,
    Scope { store, model, .. }: Scope,
    questions: Vec<Result<CheckRequest, Fault>>,
    meter: &Meter,
) -> Result<Vec<Answer>, Fault> {
    let known = app.decisions.check_now_all(store, model, questions.iter().map(|question| question.as_ref().ok()));
    let mut waiting = Waiting::default();
    let mut answers: Vec<Answer> = Vec::with_capacity(questions.len());
    for (at, (question, known)) in questions.iter().zip(known).enumerate() {
        answers.push(match (question, known) {
            (Ok(_), Some(decision)) => Ok(decision.allowed),
            (Ok(request), None) => {
                waiting.add(request, at);
                // Replaced below.
                Err(Fault::internal())
            }
            (Err(fault), _) => Err(fault.clone()),
        });
    }
    if questions.iter().all(Result::is_err) {
        app.decisions.store(store).await?;
    }
    let asked: Vec<_> = waiting
        .questions
        .into_iter()
        .map(|(request, places)| async move { (app.decisions.check_admitted(request, meter).await, places) })
        .collect();
    let mut asked = stream::iter(asked).buffer_unordered(AT_ONCE);
    while let Some((result, places)) = asked.next().await {
        let answer = match result {
            Ok(decision) => Ok(decision.allowed),
            Err(error) if concerns_all(&error) => return Err(Fault::from(error)),
            Err(error) => Err(Fault::from(error)),
        };
        for place in places {
            answers[place] = answer.clone();
        }
    }
    for (request, allowed) in questions.iter().zip(&answers) {
        if let (Ok(request), Ok(allowed)) = (request, allowed) {
            app.access_log.note(request, *allowed);
        }
    }
    Ok(answers)
}

fn concerns_all(error: &CheckError) -> bool {
    matches!(
        error,
        CheckError::NoModel(_) | CheckError::UnknownModel { .. } | CheckError::Store(StoreError::UnknownStore(_))
    )
}

/// Questions that must be waited for, with the places of their answers.
#[derive(Default)]
struct Waiting<'a> {
    questions: Vec<(&'a CheckRequest, Vec<usize>)>,
    known: HashMap<Same<'a>, usize>,
}

impl<'a> Waiting<'a> {
    fn add(&mut self, request: &'a CheckRequest, at: usize) {
        let new = self.questions.len();
        let known = *self.known.entry(Same(request)).or_insert(new);
        match self.questions.get_mut(known) {
            Some((_, places)) => places.push(at),
            None => self.questions.push((request, vec![at])),
        }
    }
}

/// A question among those of one request, which have their store, model and consistency in common.
#[derive(PartialEq, Eq)]
struct Same<'a>(&'a CheckRequest);

impl Hash for Same<'_> {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        let Self(CheckRequest { subject, relation, object, contextual_tuples, context, .. }) = self;
        (subject, relation, object, contextual_tuples.len()).hash(hasher);
        for relationship in contextual_tuples {
            relationship.tuple.hash(hasher);
        }
        for (name, value) in context.iter() {
            name.hash(hasher);
            value.hash(hasher);
        }
    }
}
