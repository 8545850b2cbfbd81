//! What a caller gets.

use axum::response::Response;
use serde::Serialize;
use ulid::Ulid;
use utoipa::ToSchema;

use super::decide::Verdict;
use crate::acknowledge::StateToken;
use crate::app::App;
use crate::error::{AuthZen, Fault, Shape};
use crate::ids::new_id;
use crate::middleware::Peer;
use crate::wire::ok;

/// The answer to one question.
#[derive(Serialize, ToSchema)]
#[schema(as = Evaluation)]
pub(super) struct Answer {
    pub(super) decision: bool,
    context: Context,
}

/// What stands beside a decision.
#[derive(Serialize, ToSchema)]
#[schema(as = EvaluationContext)]
struct Context {
    /// Names this decision.
    #[schema(value_type = String)]
    id: Ulid,
    /// The tier that answered; for callers on this machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<&'static str>,
    /// Why there was nothing to look up; for callers on this machine, because it tells what the model holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Names a state that contains whatever the answer rests on: ask with it in `context.consistency.at_least`, of any instance, and no older state
    /// answers. Of many answers at once only the header `Tiergate-Token` has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    token: Option<StateToken>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ItemError>,
}

/// Why one question of many has no answer.
#[derive(Serialize, ToSchema)]
#[schema(as = EvaluationError)]
struct ItemError {
    status: u16,
    message: String,
}

/// The answers to many questions, in their order.
#[derive(Serialize, ToSchema)]
#[schema(as = Evaluations)]
pub(super) struct Answers {
    pub(super) evaluations: Vec<Answer>,
}

impl Answer {
    pub(super) fn of(verdict: Verdict, peer: Peer) -> Self {
        let Verdict { id, allowed, source, reason } = verdict;
        let (source, reason) = if peer.sees_inside { (source, reason) } else { (None, None) };
        Self { decision: allowed, context: Context { id, source, reason, token: None, error: None } }
    }

    /// A question without an answer, among others that have one: a deny with the error beside it.
    pub(super) fn without(fault: &Fault) -> Self {
        let status = AuthZen::response(fault).status().as_u16();
        let error = Some(ItemError { status, message: fault.message.clone().into_owned() });
        Self { decision: false, context: Context { id: new_id(), source: None, reason: None, token: None, error } }
    }

    /// The only answer of a request.
    pub(super) async fn alone(mut self, app: &App) -> Response {
        let token = app.state_token().await;
        self.context.token.clone_from(&token);
        StateToken::put(token, ok(&self))
    }
}
