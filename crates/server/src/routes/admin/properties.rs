//! `/admin/v1/stores/{store_id}/properties`: what conditions may read of subjects and resources, where a question does not bring it.
//!
//! What is written replaces the properties of an entity as a whole, and is in force when it is answered: nothing that rested on those before is used any more.

use std::sync::Arc;

use authz::condition::Context;
use authz::relation::Object;
use authz::store::{MAX_PAGE, PageRequest, StoreId};
use axum::extract::rejection::{PathRejection, QueryRejection};
use axum::extract::{Path, Query, State};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::{IntoParams, ToSchema};

use super::{Answered, Body, StorePath};
use crate::acknowledge::Pledge;
use crate::app::App;
use crate::error::{Fault, FaultKind};
use crate::wire::{no_content, ok};

/// Entities of a page where the caller doesn't say.
const DEFAULT_PAGE: usize = 50;

/// All of them are written, or none.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = WritePropertiesRequest)]
pub(super) struct Write {
    entities: Vec<Entity>,
}

/// An entity with its properties; with `{}` they are removed.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = EntityProperties)]
pub(super) struct Entity {
    #[serde(rename = "type")]
    type_name: String,
    id: String,
    properties: Map<String, Value>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = WritePropertiesResponse)]
pub(super) struct Written {
    /// Every question from here on sees the properties.
    revision: u64,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct PropertiesQuery {
    /// 1 to 100; 50 without.
    page_size: Option<usize>,
    /// From the page before.
    continuation_token: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct EntityPath {
    #[serde(rename = "type")]
    type_name: String,
    id: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ListPropertiesResponse)]
pub(super) struct Entities {
    entities: Vec<Entity>,
    /// Asks for the next page; empty at the end.
    continuation_token: String,
}

/// `PUT`: many entities at once.
pub(crate) async fn write_properties(
    State(app): State<Arc<App>>,
    StorePath { store, .. }: StorePath,
    pledge: Pledge,
    body: Body,
) -> Answered {
    let Write { entities } = body.read()?;
    if entities.is_empty() {
        return Err(Fault::invalid("nothing to write; name an entity in entities").into());
    }
    let entities: Vec<(Object, Context)> =
        entities.into_iter().enumerate().map(|(at, entity)| entity.checked(at)).collect::<Result<_, _>>()?;
    let count = entities.len();
    let committed = app.decisions.write_properties(store, entities).await?;
    let revision = committed.revision.get();
    tracing::info!(store = %store.0, count, revision, "properties written by an administrator");
    Ok(app.acknowledge(committed, &pledge).await?.answer(|_| ok(&Written { revision })))
}

/// `GET`: all entities that have properties, in the order of type and id.
pub(crate) async fn list_properties(
    State(app): State<Arc<App>>,
    StorePath { store, .. }: StorePath,
    query: Result<Query<PropertiesQuery>, QueryRejection>,
) -> Answered {
    let Query(PropertiesQuery { page_size, continuation_token }) =
        query.map_err(|error| Fault::invalid(error.body_text()))?;
    let limit = match page_size.unwrap_or(DEFAULT_PAGE) {
        size @ 1..=MAX_PAGE => size,
        size => return Err(Fault::invalid(format!("page_size is {size}; it may be 1 to {MAX_PAGE}")).into()),
    };
    let list = app.page_tokens.list("properties", &store);
    let after = match continuation_token.as_deref().filter(|token| !token.is_empty()) {
        None => None,
        Some(token) => {
            let place = list.place(token).and_then(|place| Object::parse(&place).ok());
            Some(
                place
                    .ok_or_else(|| Fault::invalid("the continuation_token is none of this list; begin without one"))?,
            )
        }
    };
    let page = app.decisions.properties(store, PageRequest { after, limit }).await?;
    let continuation_token = page.next.map(|place| list.token(&place.to_string())).unwrap_or_default();
    let entities = page.items.into_iter().map(|(entity, properties)| Entity::of(&entity, &properties)).collect();
    Ok(ok(&Entities { entities, continuation_token }))
}

/// `GET` of one entity.
pub(crate) async fn get_properties(
    State(app): State<Arc<App>>,
    StorePath { store, .. }: StorePath,
    path: Result<Path<EntityPath>, PathRejection>,
) -> Answered {
    let entity = entity_of(path)?;
    let properties = stored(&app, store, &entity).await?;
    Ok(ok(&Entity::of(&entity, &properties)))
}

/// `DELETE` of one entity's properties.
pub(crate) async fn delete_properties(
    State(app): State<Arc<App>>,
    StorePath { store, .. }: StorePath,
    path: Result<Path<EntityPath>, PathRejection>,
    pledge: Pledge,
) -> Answered {
    let entity = entity_of(path)?;
    stored(&app, store, &entity).await?;
    let none = vec![(entity, Context::default())];
    let committed = app.decisions.write_properties(store, none).await?;
    tracing::info!(store = %store.0, revision = committed.revision.get(), "properties deleted by an administrator");
    Ok(app.acknowledge(committed, &pledge).await?.answer(|_| no_content()))
}

fn entity_of(path: Result<Path<EntityPath>, PathRejection>) -> Result<Object, Fault> {
    let Path(EntityPath { type_name, id }) = path.map_err(|error| Fault::invalid(error.body_text()))?;
    Ok(Object::new(&type_name, &id)?)
}

/// The properties of an entity that has some.
async fn stored(app: &App, store: StoreId, entity: &Object) -> Result<Context, Fault> {
    let properties = app.decisions.properties_of(store, entity).await?;
    if properties.is_empty() {
        let message = format!("{entity} has no stored properties");
        return Err(Fault::new(FaultKind::NotFound, "properties_not_found", message));
    }
    Ok(properties)
}

impl Entity {
    fn checked(self, at: usize) -> Result<(Object, Context), Fault> {
        let Self { type_name, id, properties } = self;
        let entity =
            Object::new(&type_name, &id).map_err(|error| Fault::invalid(format!("entities[{at}]: {error}")))?;
        Ok((entity, Context::from(properties)))
    }

    fn of(entity: &Object, properties: &Context) -> Self {
        let properties = properties.iter().map(|(name, value)| (name.to_string(), value.clone())).collect();
        Self { type_name: entity.type_name.to_string(), id: entity.id.to_string(), properties }
    }
}
