//! `POST /admin/v1/reload`: reads the files of keys anew, as SIGHUP does.

use std::sync::Arc;

use axum::extract::State;

use super::Answered;
use crate::app::App;
use crate::error::Fault;
use crate::wire::ok;

/// On this instance alone. What is wrong with a file is told here, and nothing changes then.
pub(crate) async fn reload(State(app): State<Arc<App>>) -> Answered {
    // It reads a few small files, and seldom.
    let reloaded = tokio::task::spawn_blocking(move || app.reload()).await.map_err(|_| Fault::internal())?;
    Ok(ok(&reloaded.map_err(|error| Fault::invalid(format!("nothing was changed: {error}")))?))
}
