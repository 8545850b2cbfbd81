//! Models: written once, never changed; the last one written is what a question without an id is asked under.

use std::sync::Arc;

use authz::model::Model;
use authz::store::{ModelId, PageRequest};
use axum::extract::rejection::QueryRejection;
use axum::extract::{FromRequestParts, Query, State};
use axum::http::request::Parts;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;
use utoipa::{IntoParams, ToSchema};

use super::cursor::List;
use super::{Answered, Body, StorePath, model_shape, page_size};
use crate::acknowledge::Pledge;
use crate::app::App;
use crate::error::{Failure, Fault, FaultKind, OpenFga};
use crate::routes::path;
use crate::wire::{created, ok};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ModelsQuery {
    /// 1 to 100; 50 without.
    page_size: Option<usize>,
    /// From the page before.
    continuation_token: Option<String>,
}

/// The model that a path names.
pub(crate) struct ModelPath(pub(super) ModelId);

#[derive(Serialize, ToSchema)]
#[schema(as = WriteAuthorizationModelResponse)]
pub(super) struct Written {
    authorization_model_id: String,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ReadAuthorizationModelResponse)]
pub(super) struct OneModel {
    #[schema(value_type = model_shape::AuthorizationModel)]
    authorization_model: Value,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ReadAuthorizationModelsResponse)]
pub(super) struct Models<'a> {
    authorization_models: Vec<ListedModel<'a>>,
    continuation_token: String,
}

/// A model as it is stored, with its id. Its parts are passed on unread: a list may hold megabytes of them.
#[derive(Serialize, Deserialize, ToSchema)]
#[schema(as = ListedAuthorizationModel)]
struct ListedModel<'a> {
    #[serde(skip_deserializing)]
    id: String,
    #[serde(borrow)]
    #[schema(value_type = String)]
    schema_version: &'a RawValue,
    #[serde(borrow)]
    #[schema(value_type = Vec<model_shape::TypeDefinition>)]
    type_definitions: &'a RawValue,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<BTreeMap<String, model_shape::ConditionDefinition>>)]
    conditions: Option<&'a RawValue>,
}

/// `POST /stores/{store_id}/authorization-models`
pub(crate) async fn write_model(
    State(app): State<Arc<App>>,
    StorePath { store, .. }: StorePath,
    pledge: Pledge,
    body: Body,
) -> Answered {
    let model = Model::from_json(body.text()?)?;
    let (id, committed) = app.decisions.commit_model(store, &model).await?;
    let written = Written { authorization_model_id: id.0.to_string() };
    Ok(app.acknowledge(committed, &pledge).await?.answer_about(&written, |_| created(&written)))
}

/// `GET /stores/{store_id}/authorization-models/{model_id}`
pub(crate) async fn get_model(
    State(app): State<Arc<App>>,
    StorePath { store, .. }: StorePath,
    ModelPath(id): ModelPath,
) -> Answered {
    let model = app.decisions.model(store, id).await.map_err(|error| missing_is_404(Fault::from(error)))?;
    Ok(ok(&OneModel { authorization_model: with_id(id, &model) }))
}

/// `GET /stores/{store_id}/authorization-models`
pub(crate) async fn list_models(
    State(app): State<Arc<App>>,
    StorePath { store, .. }: StorePath,
    query: Result<Query<ModelsQuery>, QueryRejection>,
) -> Answered {
    let Query(query) = query.map_err(|error| Fault::invalid(error.body_text()))?;
    let list = List::new::<ModelId>(Some(store), &());
    let after = list.place(query.continuation_token.as_deref())?;
    let page = PageRequest { after, limit: page_size(query.page_size)? };
    let page = app.decisions.models(store, page).await?;
    let authorization_models = page.items.iter().map(|(id, body)| listed(*id, body)).collect::<Result<_, _>>()?;
    Ok(ok(&Models { authorization_models, continuation_token: list.token(page.next.as_ref()) }))
}

fn listed(id: ModelId, body: &str) -> Result<ListedModel<'_>, Fault> {
    let model: ListedModel<'_> = serde_json::from_str(body).map_err(|error| {
        tracing::error!(%error, model = %id.0, "a stored model can't be read");
        Fault::internal()
    })?;
    Ok(ListedModel { id: id.0.to_string(), ..model })
}

fn with_id(id: ModelId, model: &Model) -> Value {
    let mut json = model.to_json();
    json["id"] = Value::from(id.0.to_string());
    json
}

/// A version that a path names is a thing that is not there; one that a question names is a fault of the question.
fn missing_is_404(fault: Fault) -> Fault {
    let kind = if fault.code == "authorization_model_not_found" { FaultKind::NotFound } else { fault.kind };
    Fault { kind, ..fault }
}

impl<T: Send + Sync> FromRequestParts<T> for ModelPath {
    type Rejection = Failure<OpenFga>;

    async fn from_request_parts(parts: &mut Parts, _: &T) -> Result<Self, Self::Rejection> {
        Ok(Self(ModelId(path::id(parts, "model_id").await?)))
    }
}
