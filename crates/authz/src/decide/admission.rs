//! Who may go on to the origin.
//!
//! Invariants: what any tier holds is given to everybody; each caller is asked about for itself, and who only waits for what another caller loads is
//! not asked about; who asks is no input of a decision, and so part of no key.

use std::time::Duration;

use async_trait::async_trait;

use super::error::CheckError;
use super::{CheckRequest, Decision, DecisionPoint};
use crate::relation::{Subject, Text};
use crate::store::StoreId;

/// Decides who may go on to the origin, for one caller: whoever it is, it knows.
#[async_trait]
pub trait Admission: Send + Sync {
    /// Asked where no tier has the answer, before the origin is read; at most once for each question.
    ///
    /// # Errors
    /// Where the caller may not now. The question then has no answer, which is never an allow.
    async fn admit(&self, asked: &Asked<'_>) -> Result<(), Refused>;
}

/// What somebody wants of the origin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Asked<'a> {
    /// In which store.
    pub store: StoreId,
    /// About whom; none where the subjects are what is asked for.
    pub subject: Option<&'a Subject>,
    /// The relation, which an API may call the action.
    pub action: &'a Text,
    /// What has to be done for it.
    pub work: Work,
}

/// What has to be done for a question, by how much of the origin it may read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Work {
    /// One decision.
    Check,
    /// A search, with the decisions that it leaves open.
    List,
    /// One level of a relation.
    Expand,
}

/// Not now.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("too many questions that no cache could answer; try again in {} ms", .retry_after.as_millis())]
pub struct Refused {
    /// When asking again makes sense.
    pub retry_after: Duration,
}

/// Lets everybody through.
#[derive(Clone, Copy, Debug, Default)]
pub struct Everybody;

#[async_trait]
impl Admission for Everybody {
    async fn admit(&self, _: &Asked<'_>) -> Result<(), Refused> {
        Ok(())
    }
}

impl DecisionPoint {
    /// As [`Self::check`], for a caller that may be kept from the origin.
    ///
    /// # Errors
    /// As [`Self::check`], and where no tier has the answer and the caller may not go on.
    pub async fn check_admitted(
        &self,
        request: &CheckRequest,
        admission: &dyn Admission,
    ) -> Result<Decision, CheckError> {
        match self.check_now(request) {
            Some(decision) => Ok(decision),
            // Boxed, so that a hit does not move the evaluation's room about.
            None => match tokio::time::timeout(self.timeout, Box::pin(self.check_slowly(request, admission))).await {
                Ok(result) => result,
                Err(_) => Err(CheckError::Timeout(u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX))),
            },
        }
    }
}

impl From<Refused> for CheckError {
    fn from(refused: Refused) -> Self {
        Self::RateLimited(refused)
    }
}
