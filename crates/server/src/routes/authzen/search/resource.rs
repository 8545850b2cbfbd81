//! `POST /access/v1/search/resource`: to which resources of a type may a subject do this?

use std::sync::Arc;

use authz::decide::{ListObjectsRequest, RequestProperties};
use authz::relation::{Subject, Text};
use authz::store::StoreId;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::page::{PageWish, Paging};
use super::sought::Sought;
use super::{Circumstances, Findings, Place};
use crate::app::App;
use crate::credentials::Caller;
use crate::error::Fault;
use crate::limits::Meter;
use crate::middleware::Peer;
use crate::routes::authzen::decide::source_name;
use crate::routes::authzen::parts::{Action, Entity, Environment, required};
use crate::routes::authzen::{Answered, Body, StorePath};
use crate::wire::Fields;

#[derive(Deserialize, ToSchema)]
#[schema(as = ResourceSearchRequest)]
pub(in crate::routes::authzen) struct ResourceSearch<'a> {
    #[serde(borrow, default)]
    #[schema(required, nullable = false)]
    subject: Option<Fields<Entity<'a>>>,
    #[serde(borrow, default)]
    #[schema(required, nullable = false)]
    action: Option<Fields<Action<'a>>>,
    #[serde(borrow, default)]
    #[schema(required, nullable = false)]
    resource: Option<Fields<Sought<'a>>>,
    #[serde(borrow, default)]
    context: Option<Environment<'a>>,
    #[serde(borrow, default)]
    page: Option<Fields<PageWish<'a>>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = FoundResource)]
pub(in crate::routes::authzen) struct Found<'a> {
    #[serde(rename = "type")]
    type_name: &'a str,
    #[schema(value_type = String)]
    id: Text,
}

/// In the default store.
pub(crate) async fn resource(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    caller: Caller,
    meter: Meter,
    body: Body,
) -> Answered {
    let request: ResourceSearch<'_> = body.read()?;
    Ok(search(&app, app.default_store(&caller).await?, &request, peer, &meter).await?)
}

/// In a store.
pub(crate) async fn store_resource(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    StorePath { store, .. }: StorePath,
    meter: Meter,
    body: Body,
) -> Answered {
    let request: ResourceSearch<'_> = body.read()?;
    Ok(search(&app, store, &request, peer, &meter).await?)
}

async fn search(
    app: &App,
    store: StoreId,
    request: &ResourceSearch<'_>,
    peer: Peer,
    meter: &Meter,
) -> Result<Response, Fault> {
    let subject = required(request.subject.as_ref(), "subject")?;
    let action = required(request.action.as_ref(), "action")?;
    let resource = required(request.resource.as_ref(), "resource")?;
    let properties = RequestProperties {
        subject: subject.properties(),
        resource: resource.properties(),
        action: action.properties(),
    };
    let (subject, relation) = (Subject::Object(subject.object("subject")?), action.relation()?);
    let object_type = resource.type_name("resource")?;
    let circumstances = Circumstances::new(request.context.as_ref(), properties)?;
    let place = Place::of(app, store, request.context.as_ref()).await?;
    let bound = (place, &subject, &relation, &object_type, &circumstances);
    let paging = Paging::new(app, "resources", &bound, request.page.as_deref())?;
    let Circumstances { context, properties, consistency } = circumstances;
    let question = ListObjectsRequest {
        store: place.store,
        model: Some(place.model),
        subject,
        relation,
        object_type,
        contextual_tuples: Vec::new(),
        context,
        properties,
        consistency,
    };
    let findings = match app.decisions.list_objects_admitted(&question, meter).await {
        Ok(listed) => Findings { items: listed.items, source: Some(source_name(listed.source)), ..Findings::default() },
        Err(error) => Findings::nothing_for(error)?,
    };
    Ok(findings.answer(app, &paging, peer, |id| Found { type_name: &question.object_type, id }).await)
}
