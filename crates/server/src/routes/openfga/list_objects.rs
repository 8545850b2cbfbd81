//! `POST /stores/{store_id}/list-objects` and `…/streamed-list-objects`: to which objects of a type the user stands in the relation.
//!
//! A list is whole before anything of it is answered: what goes wrong is the status of the answer, and no line in the middle of one. The plain form
//! ends at a bound, as OpenFGA's does; the streamed form gives everything, written out as fast as it is read at the other end and no faster.

use std::convert::Infallible;
use std::sync::Arc;

use authz::decide::ListObjectsRequest;
use authz::relation::{Subject, Text, check_relation, check_type};
use authz::store::StoreId;
use axum::body::{Body as Stream, Bytes};
use axum::extract::State;
use axum::http::HeaderValue;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::Response;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::check::Scope;
use super::tuples::{TupleKeys, context};
use super::{Answered, Body, StorePath, given};
use crate::app::App;
use crate::error::Fault;
use crate::limits::Meter;
use crate::wire::{Word, ok};

/// Objects that are written out at a time.
const LINES_AT_A_TIME: usize = 256;

#[derive(Deserialize, ToSchema)]
#[serde(expecting = "an object")]
#[schema(as = ListObjectsRequest)]
pub(super) struct ListObjects<'a> {
    #[serde(borrow, rename = "type")]
    #[schema(required, nullable = false)]
    object_type: Option<Word<'a>>,
    #[serde(borrow)]
    #[schema(required, nullable = false)]
    relation: Option<Word<'a>>,
    #[serde(borrow)]
    #[schema(required, nullable = false)]
    user: Option<Word<'a>>,
    /// A version of the model; the latest one without.
    #[serde(borrow)]
    authorization_model_id: Option<Word<'a>>,
    /// Relationships that hold for this question alone.
    #[serde(borrow)]
    contextual_tuples: Option<TupleKeys<'a>>,
    /// Values for the parameters of conditions.
    context: Option<Map<String, Value>>,
    /// `MINIMIZE_LATENCY`, which is also meant without, or `HIGHER_CONSISTENCY`, which reads the origin. What an answer must contain, and no more, is
    /// for the header `Tiergate-At-Least` to say.
    #[serde(borrow)]
    consistency: Option<Word<'a>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ListObjectsResponse)]
pub(super) struct Objects {
    objects: Vec<String>,
}

/// One line of the streamed form.
#[derive(Serialize, ToSchema)]
#[schema(as = StreamedListObjectsLine)]
pub(super) struct Line {
    result: Found,
}

#[derive(Serialize, ToSchema)]
#[schema(as = StreamedObject)]
struct Found {
    object: String,
}

/// Up to as many as a list may have.
pub(crate) async fn list_objects(
    State(app): State<Arc<App>>,
    StorePath { store, .. }: StorePath,
    meter: Meter,
    body: Body,
) -> Answered {
    let request = body.read::<ListObjects<'_>>()?.request(store)?;
    let listed = app.decisions.list_objects_admitted(&request, &meter).await?;
    let ids = listed.items.iter().take(app.settings.limits.list_results);
    let objects = ids.map(|id| named(&request.object_type, id)).collect();
    Ok(app.naming_its_state(ok(&Objects { objects })).await)
}

/// All of them, a line each.
pub(crate) async fn streamed_list_objects(
    State(app): State<Arc<App>>,
    StorePath { store, .. }: StorePath,
    meter: Meter,
    body: Body,
) -> Answered {
    let request = body.read::<ListObjects<'_>>()?.request(store)?;
    let listed = app.decisions.list_objects_admitted(&request, &meter).await?;
    Ok(app.naming_its_state(streamed(request.object_type, listed.items)).await)
}

/// The body is made piece by piece, each when the one before was taken.
fn streamed(object_type: Text, ids: Arc<Vec<Text>>) -> Response {
    let pieces = (0..ids.len()).step_by(LINES_AT_A_TIME).map(move |from| {
        let until = ids.len().min(from + LINES_AT_A_TIME);
        Ok::<_, Infallible>(lines(&object_type, &ids[from..until]))
    });
    let mut response = Response::new(Stream::from_stream(stream::iter(pieces)));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn lines(object_type: &str, ids: &[Text]) -> Bytes {
    let mut bytes = Vec::new();
    for id in ids {
        let line = Line { result: Found { object: named(object_type, id) } };
        // Text always serializes, and a vector takes whatever is written.
        let _ = serde_json::to_writer(&mut bytes, &line);
        bytes.push(b'\n');
    }
    bytes.into()
}

fn named(object_type: &str, id: &str) -> String {
    format!("{object_type}:{id}")
}

impl ListObjects<'_> {
    fn request(self, store: StoreId) -> Result<ListObjectsRequest, Fault> {
        let Scope { store, model, consistency } =
            Scope::new(store, self.authorization_model_id.as_deref(), self.consistency.as_deref())?;
        let part = |word: &Option<Word<'_>>, name: &str| match given(word.as_deref()) {
            Some(text) => Ok(text.to_owned()),
            None => Err(Fault::invalid(format!("{name} is missing"))),
        };
        let within = |name: &'static str| move |error| Fault::invalid(format!("{name}: {error}"));
        Ok(ListObjectsRequest {
            store,
            model,
            subject: Subject::parse(&part(&self.user, "user")?).map_err(within("user"))?,
            relation: check_relation(&part(&self.relation, "relation")?).map_err(within("relation"))?,
            object_type: check_type(&part(&self.object_type, "type")?).map_err(within("type"))?,
            contextual_tuples: self.contextual_tuples.unwrap_or_default().contextual()?,
            context: context(self.context),
            properties: Default::default(),
            consistency,
        })
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt;

    use super::*;

    #[tokio::test]
    async fn a_stream_is_made_piece_by_piece_as_it_is_read() {
        let ids: Arc<Vec<Text>> = Arc::new((0..600).map(|at| Text::from(format!("d{at}"))).collect());
        let mut body = streamed(Text::from("document"), Arc::clone(&ids)).into_body();
        let mut lines = Vec::new();
        while let Some(frame) = body.frame().await {
            let piece = frame.unwrap().into_data().unwrap();
            lines.push(piece.iter().filter(|byte| **byte == b'\n').count());
        }
        assert_eq!(lines, [256, 256, 88]);
    }

    #[tokio::test]
    async fn a_stream_of_nothing_is_empty() {
        let body = streamed(Text::from("document"), Arc::default()).into_body();
        assert!(body.collect().await.unwrap().to_bytes().is_empty());
    }

    #[test]
    fn what_an_id_holds_stays_within_its_line() {
        let bytes = lines("document", &[Text::from("a\"b\\c")]);
        assert_eq!(bytes.as_ref(), b"{\"result\":{\"object\":\"document:a\\\"b\\\\c\"}}\n");
    }
}
