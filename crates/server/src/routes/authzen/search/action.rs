//! `POST /access/v1/search/action`: what may a subject do to a resource? Every relation of the resource's type that the subject has.

use std::sync::Arc;

use authz::decide::{CheckError, CheckRequest, RequestProperties};
use authz::relation::{Object, Subject, Text};
use authz::store::StoreId;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;
use futures_util::{StreamExt, stream};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::page::{PageWish, Paging};
use super::{Circumstances, Findings, Place};
use crate::app::App;
use crate::credentials::Caller;
use crate::error::Fault;
use crate::limits::Meter;
use crate::middleware::Peer;
use crate::routes::AT_ONCE;
use crate::routes::authzen::parts::{Entity, Environment, required};
use crate::routes::authzen::{Answered, Body, StorePath};
use crate::wire::Fields;

#[derive(Deserialize, ToSchema)]
#[schema(as = ActionSearchRequest)]
pub(in crate::routes::authzen) struct ActionSearch<'a> {
    #[serde(borrow, default)]
    #[schema(required, nullable = false)]
    subject: Option<Fields<Entity<'a>>>,
    #[serde(borrow, default)]
    #[schema(required, nullable = false)]
    resource: Option<Fields<Entity<'a>>>,
    #[serde(borrow, default)]
    context: Option<Environment<'a>>,
    #[serde(borrow, default)]
    page: Option<Fields<PageWish<'a>>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = FoundAction)]
pub(in crate::routes::authzen) struct Found {
    #[schema(value_type = String)]
    name: Text,
}

/// In the default store.
pub(crate) async fn action(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    caller: Caller,
    meter: Meter,
    body: Body,
) -> Answered {
    let request: ActionSearch<'_> = body.read()?;
    Ok(search(&app, app.default_store(&caller).await?, &request, peer, &meter).await?)
}

/// In a store.
pub(crate) async fn store_action(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    StorePath { store, .. }: StorePath,
    meter: Meter,
    body: Body,
) -> Answered {
    let request: ActionSearch<'_> = body.read()?;
    Ok(search(&app, store, &request, peer, &meter).await?)
}

async fn search(
    app: &App,
    store: StoreId,
    request: &ActionSearch<'_>,
    peer: Peer,
    meter: &Meter,
) -> Result<Response, Fault> {
    let subject = required(request.subject.as_ref(), "subject")?;
    let resource = required(request.resource.as_ref(), "resource")?;
    let properties = RequestProperties {
        subject: subject.properties(),
        resource: resource.properties(),
        action: authz::condition::Context::default(),
    };
    let (subject, resource) = (Subject::Object(subject.object("subject")?), resource.object("resource")?);
    let circumstances = Circumstances::new(request.context.as_ref(), properties)?;
    let place = Place::of(app, store, request.context.as_ref()).await?;
    let bound = (place, &subject, &resource, &circumstances);
    let paging = Paging::new(app, "actions", &bound, request.page.as_deref())?;
    let findings = match allowed(app, place, &subject, &resource, &circumstances, meter).await {
        Ok(items) => Findings { items: Arc::new(items), ..Findings::default() },
        Err(error) => Findings::nothing_for(error)?,
    };
    Ok(findings.answer(app, &paging, peer, |name| Found { name }).await)
}

/// The relations that the subject has, by their names.
async fn allowed(
    app: &App,
    place: Place,
    subject: &Subject,
    resource: &Object,
    circumstances: &Circumstances,
    meter: &Meter,
) -> Result<Vec<Text>, CheckError> {
    let model = app.decisions.model(place.store, place.model).await?;
    let mut names: Vec<Text> = match model.type_definition(&resource.type_name) {
        Some(definition) => definition.relations.iter().map(|relation| relation.name.clone()).collect(),
        None => return Err(CheckError::UnknownType { name: resource.type_name.to_string(), hint: String::new() }),
    };
    names.sort_unstable();
    let questions = names.into_iter().map(|relation| CheckRequest {
        store: place.store,
        model: Some(place.model),
        subject: subject.clone(),
        relation,
        object: resource.clone(),
        contextual_tuples: Vec::new(),
        context: circumstances.context.clone(),
        properties: circumstances.properties.clone(),
        consistency: circumstances.consistency,
    });
    let checks: Vec<_> = questions
        .map(async |question| {
            let allowed = app.decisions.check_admitted(&question, meter).await?.allowed;
            Ok::<_, CheckError>(allowed.then_some(question.relation))
        })
        .collect();
    let answers: Vec<_> = stream::iter(checks).buffered(AT_ONCE).collect().await;
    answers.into_iter().filter_map(Result::transpose).collect()
}
