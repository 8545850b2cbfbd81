//! `POST /access/v1/search/subject`: which subjects of a type may do this to a resource?

use std::sync::Arc;

use authz::decide::{ListUsersRequest, Listed, RequestProperties};
use authz::relation::{Subject, SubjectKind, Text};
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
#[schema(as = SubjectSearchRequest)]
pub(in crate::routes::authzen) struct SubjectSearch<'a> {
    #[serde(borrow, default)]
    #[schema(required, nullable = false)]
    subject: Option<Fields<Sought<'a>>>,
    #[serde(borrow, default)]
    #[schema(required, nullable = false)]
    action: Option<Fields<Action<'a>>>,
    #[serde(borrow, default)]
    #[schema(required, nullable = false)]
    resource: Option<Fields<Entity<'a>>>,
    #[serde(borrow, default)]
    context: Option<Environment<'a>>,
    #[serde(borrow, default)]
    page: Option<Fields<PageWish<'a>>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = FoundSubject)]
pub(in crate::routes::authzen) struct Found<'a> {
    #[serde(rename = "type")]
    type_name: &'a str,
    #[schema(value_type = String)]
    id: Text,
}

/// In the default store.
pub(crate) async fn subject(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    caller: Caller,
    meter: Meter,
    body: Body,
) -> Answered {
    let request: SubjectSearch<'_> = body.read()?;
    Ok(search(&app, app.default_store(&caller).await?, &request, peer, &meter).await?)
}

/// In a store.
pub(crate) async fn store_subject(
    State(app): State<Arc<App>>,
    Extension(peer): Extension<Peer>,
    StorePath { store, .. }: StorePath,
    meter: Meter,
    body: Body,
) -> Answered {
    let request: SubjectSearch<'_> = body.read()?;
    Ok(search(&app, store, &request, peer, &meter).await?)
}

async fn search(
    app: &App,
    store: StoreId,
    request: &SubjectSearch<'_>,
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
    let (relation, object) = (action.relation()?, resource.object("resource")?);
    let type_name = subject.type_name("subject")?;
    let circumstances = Circumstances::new(request.context.as_ref(), properties)?;
    let place = Place::of(app, store, request.context.as_ref()).await?;
    let bound = (place, &type_name, &relation, &object, &circumstances);
    let paging = Paging::new(app, "subjects", &bound, request.page.as_deref())?;
    let Circumstances { context, properties, consistency } = circumstances;
    let question = ListUsersRequest {
        store: place.store,
        model: Some(place.model),
        object,
        relation,
        filters: vec![SubjectKind { type_name: type_name.clone(), relation: None }],
        contextual_tuples: Vec::new(),
        context,
        properties,
        consistency,
    };
    let findings = match app.decisions.list_users_admitted(&question, meter).await {
        Ok(listed) => Findings::from(listed),
        Err(error) => Findings::nothing_for(error)?,
    };
    Ok(findings.answer(app, &paging, peer, |id| Found { type_name: &type_name, id }).await)
}

impl From<Listed<Subject>> for Findings {
    fn from(Listed { items, source, stamp: _, model: _ }: Listed<Subject>) -> Self {
        let objects = items.iter().filter_map(|subject| match subject {
            Subject::Object(object) => Some(object.id.clone()),
            Subject::Wildcard { .. } | Subject::Userset { .. } => None,
        });
        let mut ids: Vec<Text> = objects.collect();
        // The order of a page is that of the ids, whatever the order of subjects is.
        ids.sort_unstable();
        let everyone = items.iter().any(|subject| matches!(subject, Subject::Wildcard { .. }));
        Self { items: Arc::new(ids), everyone, source: Some(source_name(source)), reason: None }
    }
}
