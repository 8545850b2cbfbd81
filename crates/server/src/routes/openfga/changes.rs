//! `GET /stores/{store_id}/changes`: what was written and deleted, in that order, for whoever follows.

use std::sync::Arc;

use authz::relation::check_type;
use authz::store::{ChangeFilter, PageRequest, TupleChange};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use cache_core::Revision;
use serde::{Deserialize, Serialize};

use super::cursor::List;
use super::tuples::TupleKeyOut;
use super::{Answered, StorePath, given, page_size};
use crate::app::App;
use crate::error::Fault;
use crate::wire::{ok, rfc3339};

#[derive(Deserialize)]
pub(crate) struct ChangesQuery {
    #[serde(rename = "type")]
    object_type: Option<String>,
    page_size: Option<usize>,
    continuation_token: Option<String>,
    start_time: Option<String>,
}

#[derive(Serialize)]
struct Change {
    tuple_key: TupleKeyOut,
    operation: &'static str,
    timestamp: String,
}

#[derive(Serialize)]
struct Changes {
    changes: Vec<Change>,
    continuation_token: String,
}

/// From after the token on. At the end the token stays the same, and is good for asking again later.
pub(crate) async fn changes(
    State(app): State<Arc<App>>,
    StorePath { store, .. }: StorePath,
    query: Result<Query<ChangesQuery>, QueryRejection>,
) -> Answered {
    let Query(query) = query.map_err(|error| Fault::invalid(error.body_text()))?;
    if given(query.start_time.as_deref()).is_some() {
        return Err(Fault::unsupported("start_time is not supported by this release; read from the beginning").into());
    }
    let object_type = given(query.object_type.as_deref()).map(check_type).transpose()?;
    let list = List::new::<Revision>(Some(store), &object_type);
    let after = list.place(query.continuation_token.as_deref())?;
    let page = PageRequest { after, limit: page_size(query.page_size)? };
    let page = app
        .decisions
        .changes(store, ChangeFilter { object_type, since: None }, page)
        .await
        .map_err(|error| app.fault(error))?;
    let continuation_token = list.token(page.next.or(after).as_ref());
    Ok(ok(&Changes { changes: page.items.iter().map(Change::from).collect(), continuation_token }))
}

impl From<&TupleChange> for Change {
    fn from(change: &TupleChange) -> Self {
        let operation = if change.inserted { "TUPLE_OPERATION_WRITE" } else { "TUPLE_OPERATION_DELETE" };
        Self { tuple_key: TupleKeyOut::from(&change.tuple), operation, timestamp: rfc3339(change.at) }
    }
}
