//! Stores: isolated worlds of a model and its relationships.

use std::sync::Arc;

use authz::store::{MAX_PAGE, Page, PageRequest, StoreId, StoreRecord};
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::cursor::List;
use super::{Answered, Body, StorePath, given, page_size};
use crate::acknowledge::Pledge;
use crate::app::App;
use crate::error::Fault;
use crate::wire::{created, no_content, ok, rfc3339};

/// The longest name.
const MAX_NAME_CHARS: usize = 64;

/// Pages of stores that one request for a name looks through.
const MAX_PAGES_LOOKED_THROUGH: usize = 100;

#[derive(Deserialize, ToSchema)]
#[serde(expecting = "an object")]
#[schema(as = CreateStoreRequest)]
pub(super) struct NewStore {
    /// 1 to 64 visible characters.
    #[schema(required, nullable = false)]
    name: Option<String>,
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct StoresQuery {
    /// 1 to 100; 50 without.
    page_size: Option<usize>,
    /// From the page before.
    continuation_token: Option<String>,
    /// Only stores of this name.
    name: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Store {
    id: String,
    name: String,
    created_at: String,
    updated_at: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ListStoresResponse)]
pub(super) struct Stores {
    stores: Vec<Store>,
    /// Asks for the next page; empty at the end.
    continuation_token: String,
}

/// `POST /stores`
pub(crate) async fn create_store(State(app): State<Arc<App>>, pledge: Pledge, body: Body) -> Answered {
    let NewStore { name } = body.read()?;
    let name = check_name(name.as_deref().unwrap_or_default())?;
    let (record, committed) = app.decisions.commit_store(name).await?;
    let store = Store::from(record);
    // Elsewhere it may be one store too many for the paths that name none.
    Ok(app.acknowledge(committed, &pledge).await?.answer_about(&store, |_| created(&store)))
}

/// `GET /stores`
pub(crate) async fn list_stores(
    State(app): State<Arc<App>>,
    query: Result<Query<StoresQuery>, QueryRejection>,
) -> Answered {
    let Query(query) = query.map_err(|error| Fault::invalid(error.body_text()))?;
    let name = given(query.name.as_deref());
    let list = List::new::<StoreId>(None, &name);
    let after = list.place(query.continuation_token.as_deref())?;
    let page = PageRequest { after, limit: page_size(query.page_size)? };
    let page = match name {
        None => app.decisions.stores(page).await?,
        Some(name) => named(&app, name, page).await?,
    };
    let stores = page.items.into_iter().map(Store::from).collect();
    Ok(ok(&Stores { stores, continuation_token: list.token(page.next.as_ref()) }))
}

/// Stores of one name. The page ends early where too many others lie between them; it can be empty then, and have a next one.
async fn named(app: &App, name: &str, page: PageRequest<StoreId>) -> Result<Page<StoreRecord, StoreId>, Fault> {
    let (mut items, mut after) = (Vec::new(), page.after);
    for _ in 0..MAX_PAGES_LOOKED_THROUGH {
        let Page { items: read, next } = app.decisions.stores(PageRequest { after, limit: MAX_PAGE }).await?;
        for record in read {
            after = Some(record.id);
            if record.name == name {
                items.push(record);
            }
            if items.len() == page.limit {
                return Ok(Page { items, next: after });
            }
        }
        if next.is_none() {
            return Ok(Page { items, next: None });
        }
        after = next;
    }
    Ok(Page { items, next: after })
}

/// `GET /stores/{store_id}`
pub(crate) async fn get_store(State(app): State<Arc<App>>, StorePath { store, .. }: StorePath) -> Answered {
    Ok(ok(&Store::from(app.decisions.store(store).await?)))
}

/// `DELETE /stores/{store_id}`
pub(crate) async fn delete_store(
    State(app): State<Arc<App>>,
    StorePath { store, .. }: StorePath,
    pledge: Pledge,
) -> Answered {
    let committed = app.decisions.delete_store(store).await?;
    Ok(app.acknowledge(committed, &pledge).await?.answer(|_| no_content()))
}

fn check_name(name: &str) -> Result<&str, Fault> {
    let chars = name.chars().count();
    if !(1..=MAX_NAME_CHARS).contains(&chars) || name.chars().any(char::is_control) {
        let message = format!("name has {chars} characters; a store's name is 1 to {MAX_NAME_CHARS} visible ones");
        return Err(Fault::invalid(message));
    }
    Ok(name)
}

impl From<StoreRecord> for Store {
    fn from(StoreRecord { id, name, created_at }: StoreRecord) -> Self {
        let created_at = rfc3339(created_at);
        // Nothing of a store's own changes after it was created.
        Self { id: id.0.to_string(), name, updated_at: created_at.clone(), created_at }
    }
}
