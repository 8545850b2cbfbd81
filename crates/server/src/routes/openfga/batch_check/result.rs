//! The answers of a batch as OpenFGA's clients read them: an object of ids, each with `allowed` or an `error`.

use std::borrow::Cow;

use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use super::ask::Answer;
use crate::error::{Fault, FaultKind};
use crate::wire::Word;

/// Answers under the ids of their questions, in the order of the request.
pub(super) struct Results<'a> {
    ids: &'a [Option<Word<'a>>],
    answers: Vec<One>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = BatchCheckResult)]
pub(super) enum One {
    Allowed(bool),
    Error(ItemError),
}

/// One of both codes says whose fault it was.
#[derive(Serialize, ToSchema)]
#[schema(as = BatchCheckError)]
pub(super) struct ItemError {
    #[serde(skip_serializing_if = "Option::is_none")]
    input_error: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    internal_error: Option<&'static str>,
    message: Cow<'static, str>,
}

impl<'a> Results<'a> {
    pub(super) fn new(ids: &'a [Option<Word<'a>>], answers: Vec<Answer>) -> Self {
        Self { ids, answers: answers.into_iter().map(One::from).collect() }
    }
}

impl From<Answer> for One {
    fn from(answer: Answer) -> Self {
        match answer {
            Ok(allowed) => Self::Allowed(allowed),
            Err(fault) => Self::Error(fault.into()),
        }
    }
}

impl From<Fault> for ItemError {
    fn from(Fault { kind, code, message }: Fault) -> Self {
        // Clients know the codes of both kinds, and of a quota only the one that gRPC has.
        let code = if matches!(kind, FaultKind::RateLimited { .. }) { "resource_exhausted" } else { code };
        let ours = matches!(
            kind,
            FaultKind::Unavailable | FaultKind::Uncertain | FaultKind::RateLimited { .. } | FaultKind::Internal
        );
        Self { input_error: (!ours).then_some(code), internal_error: ours.then_some(code), message }
    }
}

impl Serialize for Results<'_> {
    fn serialize<S: Serializer>(&self, writer: S) -> Result<S::Ok, S::Error> {
        let ids = self.ids.iter().map(|id| id.as_deref().unwrap_or_default());
        writer.collect_map(ids.zip(&self.answers))
    }
}
