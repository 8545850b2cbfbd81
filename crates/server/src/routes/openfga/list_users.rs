//! `POST /stores/{store_id}/list-users`: who stands in the relation to the object.

use std::sync::Arc;

use authz::decide::ListUsersRequest;
use authz::relation::{Object, Subject, SubjectKind, check_relation, check_type};
use authz::store::StoreId;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::check::Scope;
use super::tuples::{TupleKey, context, contextual};
use super::{Answered, Body, StorePath, given};
use crate::app::App;
use crate::error::Fault;
use crate::limits::Meter;
use crate::wire::{Word, ok};

#[derive(Deserialize, ToSchema)]
#[serde(expecting = "an object")]
#[schema(as = ListUsersRequest)]
pub(super) struct ListUsers<'a> {
    #[serde(borrow)]
    #[schema(required, nullable = false)]
    object: Option<ObjectIn<'a>>,
    #[serde(borrow)]
    #[schema(required, nullable = false)]
    relation: Option<Word<'a>>,
    #[serde(borrow)]
    #[schema(required, nullable = false)]
    user_filters: Option<Vec<Filter<'a>>>,
    /// A version of the model; the latest one without.
    #[serde(borrow)]
    authorization_model_id: Option<Word<'a>>,
    /// Relationships that hold for this question alone.
    #[serde(borrow)]
    contextual_tuples: Option<Vec<TupleKey<'a>>>,
    /// Values for the parameters of conditions.
    context: Option<Map<String, Value>>,
    /// `MINIMIZE_LATENCY`, which is also meant without, or `HIGHER_CONSISTENCY`, which reads the origin. What an answer must contain, and no more, is
    /// for the header `Tiergate-At-Least` to say.
    #[serde(borrow)]
    consistency: Option<Word<'a>>,
}

#[derive(Deserialize, ToSchema)]
#[serde(expecting = "an object of type and id")]
#[schema(as = ListUsersObject)]
struct ObjectIn<'a> {
    #[serde(borrow, rename = "type")]
    type_name: Option<Word<'a>>,
    #[serde(borrow)]
    id: Option<Word<'a>>,
}

#[derive(Deserialize, ToSchema)]
#[serde(expecting = "an object of type and relation")]
#[schema(as = UserFilter)]
struct Filter<'a> {
    #[serde(borrow, rename = "type")]
    type_name: Option<Word<'a>>,
    #[serde(borrow)]
    relation: Option<Word<'a>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ListUsersResponse)]
pub(super) struct Users<'a> {
    users: Vec<User<'a>>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = ListedUser)]
enum User<'a> {
    Object {
        #[serde(rename = "type")]
        type_name: &'a str,
        id: &'a str,
    },
    Userset {
        #[serde(rename = "type")]
        type_name: &'a str,
        id: &'a str,
        relation: &'a str,
    },
    Wildcard {
        #[serde(rename = "type")]
        type_name: &'a str,
    },
}

/// Users of one kind, up to as many as a list may have.
pub(crate) async fn list_users(
    State(app): State<Arc<App>>,
    StorePath { store, .. }: StorePath,
    meter: Meter,
    body: Body,
) -> Answered {
    let request = body.read::<ListUsers<'_>>()?.request(store)?;
    let listed = app.decisions.list_users_admitted(&request, &meter).await?;
    // Whoever asks who has access must not miss that everybody has.
    let is_everybody = |subject: &&Subject| matches!(subject, Subject::Wildcard { .. });
    let (everybody, others): (Vec<_>, Vec<_>) = listed.items.iter().partition(is_everybody);
    let users = everybody.into_iter().chain(others).take(app.settings.limits.list_results);
    let users = users.map(User::from).collect();
    Ok(app.naming_its_state(ok(&Users { users })).await)
}

impl ListUsers<'_> {
    fn request(self, store: StoreId) -> Result<ListUsersRequest, Fault> {
        let Scope { store, model, consistency } =
            Scope::new(store, self.authorization_model_id.as_deref(), self.consistency.as_deref())?;
        let object = self.object.ok_or_else(|| missing("object"))?;
        let object = Object::new(part(&object.type_name, "object.type")?, part(&object.id, "object.id")?)
            .map_err(|error| Fault::invalid(format!("object: {error}")))?;
        // OpenFGA takes exactly one.
        let filters = self.user_filters.unwrap_or_default();
        let [filter] = filters.as_slice() else {
            return Err(Fault::invalid(format!("user_filters has {} items; give exactly one", filters.len())));
        };
        Ok(ListUsersRequest {
            store,
            model,
            object,
            relation: check_relation(part(&self.relation, "relation")?)
                .map_err(|error| Fault::invalid(format!("relation: {error}")))?,
            filters: vec![
                filter.kind().map_err(|fault| Fault {
                    message: format!("user_filters[0]: {}", fault.message).into(),
                    ..fault
                })?,
            ],
            contextual_tuples: contextual(self.contextual_tuples.unwrap_or_default())?,
            context: context(self.context),
            properties: Default::default(),
            consistency,
        })
    }
}

impl Filter<'_> {
    fn kind(&self) -> Result<SubjectKind, Fault> {
        Ok(SubjectKind {
            type_name: check_type(part(&self.type_name, "type")?)?,
            relation: given(self.relation.as_deref()).map(check_relation).transpose()?,
        })
    }
}

fn part<'a>(word: &'a Option<Word<'_>>, name: &str) -> Result<&'a str, Fault> {
    given(word.as_deref()).ok_or_else(|| missing(name))
}

fn missing(name: &str) -> Fault {
    Fault::invalid(format!("{name} is missing"))
}

impl<'a> From<&'a Subject> for User<'a> {
    fn from(subject: &'a Subject) -> Self {
        match subject {
            Subject::Object(Object { type_name, id }) => Self::Object { type_name, id },
            Subject::Userset { object: Object { type_name, id }, relation } => {
                Self::Userset { type_name, id, relation }
            }
            Subject::Wildcard { type_name } => Self::Wildcard { type_name },
        }
    }
}
