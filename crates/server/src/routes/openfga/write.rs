//! `POST /stores/{store_id}/write`: relationships come and go, all of a request or none. In force when it answers.

use std::sync::Arc;

use authz::store::{MAX_WRITE_BATCH, OnConflict, WriteBatch};
use axum::extract::State;
use serde::{Deserialize, Serialize};

use super::tuples::TupleKeys;
use super::{Answered, Body, StorePath, given, model_id};
use crate::app::App;
use crate::error::{Fault, FaultKind};
use crate::wire::ok;

#[derive(Deserialize)]
struct Write {
    writes: Option<Part>,
    deletes: Option<Part>,
    authorization_model_id: Option<String>,
}

#[derive(Default, Deserialize)]
struct Part {
    #[serde(flatten)]
    keys: TupleKeys,
    on_duplicate: Option<String>,
    on_missing: Option<String>,
}

#[derive(Serialize)]
struct Nothing {}

/// Writes and deletes.
pub(crate) async fn write(State(app): State<Arc<App>>, StorePath { store, .. }: StorePath, body: Body) -> Answered {
    let request: Write = body.read()?;
    let model = model_id(request.authorization_model_id.as_deref())?;
    let batch = batch(&request.writes.unwrap_or_default(), &request.deletes.unwrap_or_default())?;
    app.decisions.write(store, model, batch).await.map_err(|error| app.fault(error))?;
    Ok(ok(&Nothing {}))
}

fn batch(writes: &Part, deletes: &Part) -> Result<WriteBatch, Fault> {
    let count = [writes, deletes].iter().map(|part| part.keys.tuple_keys.as_ref().map_or(0, Vec::len)).sum::<usize>();
    if count == 0 {
        let message = "there is nothing to do; give at least one tuple key to write or to delete";
        return Err(Fault::new(FaultKind::Invalid, "invalid_write_input", message));
    }
    if count > MAX_WRITE_BATCH {
        let message = format!("{count} tuple keys in one request; at most {MAX_WRITE_BATCH} are allowed");
        return Err(Fault::new(FaultKind::Invalid, "exceeded_entity_limit", message));
    }
    Ok(WriteBatch {
        writes: writes.keys.tuples()?.into_iter().map(Into::into).collect(),
        deletes: deletes.keys.tuples()?,
        on_duplicate: on_conflict(writes.on_duplicate.as_deref(), "on_duplicate")?,
        on_missing: on_conflict(deletes.on_missing.as_deref(), "on_missing")?,
    })
}

fn on_conflict(choice: Option<&str>, name: &str) -> Result<OnConflict, Fault> {
    match given(choice) {
        None | Some("error") => Ok(OnConflict::Error),
        Some("ignore") => Ok(OnConflict::Ignore),
        Some(_) => Err(Fault::invalid(format!("{name} is neither error nor ignore"))),
    }
}
