//! `GET /stores/{store_id}/changes`: what was written and deleted, in that order, for whoever follows.

use std::sync::Arc;

use authz::relation::check_type;
use authz::store::{ChangeFilter, ChangePlace, PageRequest, TupleChange, UnixMillis};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::cursor::List;
use super::stored::TupleKeyOut;
use super::{Answered, StorePath, given, page_size};
use crate::app::App;
use crate::error::{Fault, FaultKind};
use crate::wire::{millis, ok, rfc3339};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ChangesQuery {
    /// Only changes of objects of this type.
    #[serde(rename = "type")]
    object_type: Option<String>,
    /// 1 to 100; 50 without.
    page_size: Option<usize>,
    /// From the page before.
    continuation_token: Option<String>,
    /// Only changes from this time on, as RFC 3339 writes it.
    start_time: Option<String>,
}

#[derive(Serialize, ToSchema)]
struct Change<'a> {
    tuple_key: TupleKeyOut<'a>,
    /// `TUPLE_OPERATION_WRITE` or `TUPLE_OPERATION_DELETE`.
    operation: &'static str,
    timestamp: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ChangesResponse)]
pub(super) struct Changes<'a> {
    changes: Vec<Change<'a>>,
    /// Good for asking again later, also at the end.
    continuation_token: String,
}

/// From after the token on. At the end the token stays the same, and is good for asking again later.
pub(crate) async fn changes(
    State(app): State<Arc<App>>,
    StorePath { store, .. }: StorePath,
    query: Result<Query<ChangesQuery>, QueryRejection>,
) -> Answered {
    let Query(query) = query.map_err(|error| Fault::invalid(error.body_text()))?;
    let since = given(query.start_time.as_deref()).map(start_time).transpose()?;
    let object_type = given(query.object_type.as_deref()).map(check_type).transpose()?;
    // The time is no part of the list: whoever follows it goes on with the token alone.
    let list = List::new::<ChangePlace>(Some(store), &object_type);
    let after = list.place(query.continuation_token.as_deref())?;
    let page = PageRequest { after: after.clone(), limit: page_size(query.page_size)? };
    let page = app.decisions.changes(store, ChangeFilter { object_type, since }, page).await?;
    let continuation_token = list.token(page.next.or(after).as_ref());
    Ok(ok(&Changes { changes: page.items.iter().map(Change::from).collect(), continuation_token }))
}

fn start_time(text: &str) -> Result<UnixMillis, Fault> {
    millis(text).ok_or_else(|| {
        let message = "start_time is no time; write it as RFC 3339 does, for example 2026-01-31T12:00:00Z";
        Fault::new(FaultKind::Invalid, "invalid_start_time", message)
    })
}

impl<'a> From<&'a TupleChange> for Change<'a> {
    fn from(change: &'a TupleChange) -> Self {
        let operation = if change.inserted { "TUPLE_OPERATION_WRITE" } else { "TUPLE_OPERATION_DELETE" };
        let tuple_key = TupleKeyOut::new(&change.tuple, change.condition.as_deref());
        Self { tuple_key, operation, timestamp: rfc3339(change.at) }
    }
}
