//! `POST /stores/{store_id}/write`: relationships come and go, all of a request or none. In force when it answers.

use std::sync::Arc;

use authz::store::{MAX_WRITE_BATCH, OnConflict, WriteBatch};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::tuples::{self, TupleKey};
use super::{Answered, Body, StorePath, given, model_id};
use crate::acknowledge::Pledge;
use crate::app::App;
use crate::error::{Fault, FaultKind};
use crate::wire::{Word, ok};

#[derive(Deserialize, ToSchema)]
#[serde(expecting = "an object")]
#[schema(as = WriteRequest)]
pub(super) struct Write<'a> {
    #[serde(borrow)]
    writes: Option<Part<'a>>,
    #[serde(borrow)]
    deletes: Option<Part<'a>>,
    #[serde(borrow)]
    authorization_model_id: Option<Word<'a>>,
}

/// Relationships to write or to delete.
#[derive(Default, Deserialize, ToSchema)]
#[serde(expecting = "an object of tuple_keys")]
#[schema(as = WritePart)]
struct Part<'a> {
    #[serde(borrow)]
    tuple_keys: Option<Vec<TupleKey<'a>>>,
    /// `error`, which is also meant without, or `ignore`: what to do about a relationship that is there already.
    #[serde(borrow)]
    on_duplicate: Option<Word<'a>>,
    /// `error`, which is also meant without, or `ignore`: what to do about a relationship that isn't there.
    #[serde(borrow)]
    on_missing: Option<Word<'a>>,
}

/// An empty object.
#[derive(Serialize, ToSchema)]
#[schema(as = WriteResponse)]
pub(super) struct Nothing {}

/// Writes and deletes.
pub(crate) async fn write(
    State(app): State<Arc<App>>,
    StorePath { store, .. }: StorePath,
    pledge: Pledge,
    body: Body,
) -> Answered {
    let Write { writes, deletes, authorization_model_id } = body.read()?;
    let model = model_id(authorization_model_id.as_deref())?;
    let batch = batch(writes.unwrap_or_default(), deletes.unwrap_or_default())?;
    let committed = app.decisions.write(store, model, batch).await?;
    Ok(app.acknowledge(committed, &pledge).await?.answer(|_| ok(&Nothing {})))
}

fn batch(writes: Part<'_>, deletes: Part<'_>) -> Result<WriteBatch, Fault> {
    let count: usize = [&writes, &deletes].iter().map(|part| part.tuple_keys.as_ref().map_or(0, Vec::len)).sum();
    if count == 0 {
        let message = "there is nothing to do; give at least one tuple key to write or to delete";
        return Err(Fault::new(FaultKind::Invalid, "invalid_write_input", message));
    }
    if count > MAX_WRITE_BATCH {
        let message = format!("{count} tuple keys in one request; at most {MAX_WRITE_BATCH} are allowed");
        return Err(Fault::new(FaultKind::Invalid, "exceeded_entity_limit", message));
    }
    Ok(WriteBatch {
        on_duplicate: on_conflict(writes.on_duplicate.as_deref(), "on_duplicate")?,
        on_missing: on_conflict(deletes.on_missing.as_deref(), "on_missing")?,
        writes: tuples::writes(writes.tuple_keys.unwrap_or_default())?,
        deletes: tuples::deletes(&deletes.tuple_keys.unwrap_or_default())?,
    })
}

fn on_conflict(choice: Option<&str>, name: &str) -> Result<OnConflict, Fault> {
    match given(choice) {
        None | Some("error") => Ok(OnConflict::Error),
        Some("ignore") => Ok(OnConflict::Ignore),
        Some(_) => Err(Fault::invalid(format!("{name} is neither error nor ignore"))),
    }
}
