//! What the decision point's errors mean to a caller.

use authz::decide::{CheckError, Refused};
use authz::model::ModelErrors;
use authz::store::{StoreError, WriteConflict};

use super::{Fault, FaultKind};
use crate::limits::seconds;

/// What is told to whoever wants to change something where nobody can tell what became of it.
pub(crate) const CHANGE_NOT_KNOWN: &str =
    "whether the change is stored is not known; read it back, or send it again and ask to ignore what is there already";

/// The same where it is stored for sure, and only its acknowledgement is missing.
pub(crate) const CHANGE_STORED: &str =
    "the change is stored, and whether it is in force everywhere is not known; don't repeat it, read it back";
/// The code of a change that is stored and was not acknowledged.
pub(crate) const NOT_IN_FORCE_YET: &str = "not_in_force_yet";
/// The code of a change that may be stored, or not.
pub(crate) const FATE_NOT_KNOWN: &str = "fate_not_known";

impl From<CheckError> for Fault {
    fn from(error: CheckError) -> Self {
        let code = match &error {
            CheckError::Store(_) => return store_fault(&error),
            CheckError::InvalidModel(_) => return model_fault(&error),
            CheckError::Timeout(_) => {
                return Self::new(FaultKind::Unavailable, "deadline_exceeded", error.to_string());
            }
            CheckError::Overloaded => {
                return Self::new(FaultKind::Unavailable, "resource_exhausted", error.to_string());
            }
            CheckError::RateLimited(refused) => return rate_fault(refused),
            CheckError::NoModel(_) => "latest_authorization_model_not_found",
            CheckError::UnknownModel { .. } => "authorization_model_not_found",
            CheckError::TooMany { .. } => "exceeded_entity_limit",
            CheckError::TooComplex { .. } => "authorization_model_resolution_too_complex",
            CheckError::FaultyCondition { .. } => "invalid_authorization_model",
            // A value that is missing or of another type: the question's, or the relationship's.
            CheckError::Condition(_)
            | CheckError::UnknownType { .. }
            | CheckError::UnknownRelation { .. }
            | CheckError::InvalidTuple { .. }
            | CheckError::InvalidScope(_)
            | CheckError::Repeated { .. } => "validation_error",
            // A kind of error that is newer than this match.
            _ => return internal(&error),
        };
        Self::new(FaultKind::Invalid, code, error.to_string())
    }
}

impl From<ModelErrors> for Fault {
    fn from(faults: ModelErrors) -> Self {
        model_fault(&faults)
    }
}

fn model_fault(error: &dyn std::fmt::Display) -> Fault {
    Fault::new(FaultKind::Invalid, "invalid_authorization_model", error.to_string())
}

fn store_fault(error: &CheckError) -> Fault {
    let CheckError::Store(store) = error else { return internal(error) };
    match store {
        StoreError::Conflict(WriteConflict::Repeated(_)) => {
            Fault::new(FaultKind::Invalid, "cannot_allow_duplicate_tuples_in_one_request", error.to_string())
        }
        StoreError::Conflict(
            WriteConflict::TooMany { .. }
            | WriteConflict::TooManyObjects { .. }
            | WriteConflict::ContextTooLarge { .. }
            | WriteConflict::PropertiesTooLarge { .. }
            | WriteConflict::AssertionsTooLarge { .. },
        ) => Fault::new(FaultKind::Invalid, "exceeded_entity_limit", error.to_string()),
        // Whatever else of a write does not fit what is stored: it is final, and must not look like a fault that passes.
        StoreError::Conflict(_) => {
            Fault::new(FaultKind::Invalid, "write_failed_due_to_invalid_input", error.to_string())
        }
        StoreError::UnknownStore(_) => Fault::not_found(error.to_string()),
        StoreError::UnknownPlace => Fault::new(FaultKind::Invalid, "invalid_continuation_token", error.to_string()),
        StoreError::Expired | StoreError::UnknownPosition => {
            Fault::new(FaultKind::Invalid, "invalid_token", error.to_string())
        }
        StoreError::FateUnknown { .. } => {
            tracing::error!(%error, "the origin was lost while it committed");
            Fault::uncertain(FATE_NOT_KNOWN, CHANGE_NOT_KNOWN)
        }
        StoreError::NotApplied { .. } => {
            tracing::error!(%error, "a change was committed and could not be applied here");
            Fault::uncertain(NOT_IN_FORCE_YET, CHANGE_STORED)
        }
        StoreError::Busy { .. } => Fault::unavailable(error.to_string()),
        StoreError::Closed => Fault::unavailable("the server is stopping; try again"),
        // The cause and the remedy name files of ours: they are for the operator. Trying again does not help before somebody has acted.
        StoreError::Unusable(_) => {
            tracing::error!(%error, "the origin can't be used until the server was restarted");
            Fault::unavailable("the origin can't be used until its operator has looked after it")
        }
        other => {
            tracing::error!(error = %other, "the origin failed");
            Fault::unavailable("the origin can't be used at the moment; try again")
        }
    }
}

/// In whole seconds, as `Retry-After` says it.
fn rate_fault(refused: &Refused) -> Fault {
    let retry_after_seconds = u32::try_from(seconds(refused.retry_after).max(1)).unwrap_or(u32::MAX);
    Fault::new(FaultKind::RateLimited { retry_after_seconds }, "rate_limit_exceeded", refused.to_string())
}

fn internal(error: &CheckError) -> Fault {
    tracing::error!(%error, "an error without a place in the interface");
    Fault::internal()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::error::{OpenFga, Shape as _};

    #[test]
    fn whoever_has_changed_something_is_never_told_to_try_again() {
        let (operation, cause) = ("writing relationships", Arc::from("the line was cut"));
        let known = StoreError::NotApplied { operation, cause: Arc::clone(&cause) };
        let not_known = StoreError::FateUnknown { operation, cause };
        for (error, code, says) in
            [(known, NOT_IN_FORCE_YET, CHANGE_STORED), (not_known, FATE_NOT_KNOWN, CHANGE_NOT_KNOWN)]
        {
            let fault = Fault::from(CheckError::Store(error));
            assert_eq!((fault.kind, fault.code, &*fault.message), (FaultKind::Uncertain, code, says));
            assert!(!fault.message.contains("try again"), "{}", fault.message);
            let response = OpenFga::response(&fault);
            assert_eq!(response.status(), 503);
            assert!(response.headers().get("retry-after").is_none(), "that is how machines are told to");
        }
    }
}
