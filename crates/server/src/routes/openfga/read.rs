//! `POST /stores/{store_id}/read`: the relationships that were written, page by page.

use std::sync::Arc;

use authz::relation::Tuple;
use authz::relation::{Subject, check_id, check_relation, check_type};
use authz::store::{PageRequest, StoredTuple, TupleFilter};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::check::consistency;
use super::cursor::List;
use super::stored::TupleKeyOut;
use super::tuples::TupleKey;
use super::{Answered, Body, StorePath, given, page_size};
use crate::app::App;
use crate::error::Fault;
use crate::wire::{Word, ok, rfc3339};

#[derive(Deserialize, ToSchema)]
#[serde(expecting = "an object")]
#[schema(as = ReadRequest)]
pub(super) struct Read<'a> {
    /// Only relationships with the given parts; the object may be a type alone, as in `document:`.
    #[serde(borrow)]
    tuple_key: Option<TupleKey<'a>>,
    /// 1 to 100; 50 without.
    page_size: Option<usize>,
    /// From the page before.
    #[serde(borrow)]
    continuation_token: Option<Word<'a>>,
    #[serde(borrow)]
    consistency: Option<Word<'a>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = StoredTuple)]
struct StoredOut<'a> {
    key: TupleKeyOut<'a>,
    timestamp: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ReadResponse)]
pub(super) struct Tuples<'a> {
    tuples: Vec<StoredOut<'a>>,
    /// Asks for the next page; empty at the end.
    continuation_token: String,
}

/// Those that match the key's given parts; all without a key.
pub(crate) async fn read(State(app): State<Arc<App>>, StorePath { store, .. }: StorePath, body: Body) -> Answered {
    let request: Read<'_> = body.read()?;
    // It is always read from the origin, which is as consistent as anybody can ask for.
    consistency(request.consistency.as_deref())?;
    let filter = filter(&request.tuple_key.unwrap_or_default())?;
    let list =
        List::new::<Tuple>(Some(store), &(&filter.object_type, &filter.object_id, &filter.relation, &filter.subject));
    let after = list.place(request.continuation_token.as_deref())?;
    let page = PageRequest { after, limit: page_size(request.page_size)? };
    let page = app.decisions.read_tuples(store, filter, page).await?;
    let tuples = page.items.iter().map(StoredOut::from).collect();
    Ok(ok(&Tuples { tuples, continuation_token: list.token(page.next.as_ref()) }))
}

/// An object may be a type alone, as in `document:`.
fn filter(key: &TupleKey<'_>) -> Result<TupleFilter, Fault> {
    key.refuse_condition()?;
    let mut filter = TupleFilter::default();
    if let Some(object) = given(key.object.as_deref()) {
        let (type_name, id) =
            object.split_once(':').ok_or_else(|| Fault::invalid("tuple_key.object is neither type:id nor type:"))?;
        filter.object_type = Some(check_type(type_name)?);
        filter.object_id = given(Some(id)).map(check_id).transpose()?;
    }
    filter.relation = given(key.relation.as_deref()).map(check_relation).transpose()?;
    filter.subject = given(key.user.as_deref()).map(Subject::parse).transpose()?;
    Ok(filter)
}

impl<'a> From<&'a StoredTuple> for StoredOut<'a> {
    fn from(StoredTuple { tuple, condition, written_at }: &'a StoredTuple) -> Self {
        Self { key: TupleKeyOut::new(tuple, condition.as_deref()), timestamp: rfc3339(*written_at) }
    }
}
