//! What OpenFGA's clients may ask for and this release doesn't serve.

use axum::extract::Request;

use super::Answered;
use crate::error::Fault;

/// 501, which clients report at once; a 404 or a 500 they would take for something else.
pub(crate) async fn unsupported(request: Request) -> Answered {
    let name: String = request.uri().path().rsplit('/').next().unwrap_or_default().chars().take(32).collect();
    Err(Fault::unsupported(format!("{name} is not supported by this release; ask with check")).into())
}
