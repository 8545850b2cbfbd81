//! One question, answered.

use authz::decide::{CheckError, CheckRequest, Decision};
use cache_core::Source;
use ulid::Ulid;

use crate::app::App;
use crate::error::Fault;
use crate::ids::new_id;
use crate::limits::Meter;

/// What was decided.
pub(crate) struct Verdict {
    /// Names the decision, in the answer and in the log.
    pub(crate) id: Ulid,
    pub(crate) allowed: bool,
    /// Who had the answer; none where nobody was asked.
    pub(crate) source: Option<&'static str>,
    pub(crate) reason: Option<String>,
}

/// Asks the decision point.
///
/// # Errors
/// Where there is no answer. What the model doesn't know is an answer: a deny.
pub(crate) async fn decide(app: &App, request: &CheckRequest, meter: &Meter) -> Result<Verdict, Fault> {
    let verdict = match app.decisions.check_admitted(request, meter).await {
        Ok(decision) => {
            app.access_log.note(request, decision.allowed);
            Verdict::from(decision)
        }
        Err(unknown @ (CheckError::UnknownType { .. } | CheckError::UnknownRelation { .. })) => {
            Verdict { id: new_id(), allowed: false, source: None, reason: Some(unknown.to_string()) }
        }
        Err(error) => return Err(Fault::from(error)),
    };
    if tracing::enabled!(tracing::Level::DEBUG) {
        verdict.log(app, request);
    }
    Ok(verdict)
}

impl Verdict {
    fn log(&self, app: &App, request: &CheckRequest) {
        let Self { id, allowed, source, .. } = self;
        let (subject, action, resource_type) =
            (app.pseudonyms.of(&request.subject), &request.relation, &request.object.type_name);
        tracing::debug!(%id, subject, ?action, ?resource_type, allowed, source, "decision");
    }
}

impl From<Decision> for Verdict {
    fn from(decision: Decision) -> Self {
        Self { id: new_id(), allowed: decision.allowed, source: Some(source_name(decision.source)), reason: None }
    }
}

/// Who had an answer, as callers read it.
pub(super) const fn source_name(source: Source) -> &'static str {
    match source {
        Source::Tier(name) => name,
        Source::Origin => "origin",
        Source::Shared => "shared",
    }
}
