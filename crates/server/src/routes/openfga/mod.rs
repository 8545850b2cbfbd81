//! The HTTP interface of OpenFGA, as its command line and its libraries use it.
//!
//! Empty text and `null` mean absent. Every fault of the input is 400: the clients silently repeat 409, 413 and 500 for a minute.

mod assertions;
mod batch_check;
mod changes;
mod check;
mod cursor;
pub(crate) mod docs;
mod expand;
mod list_objects;
mod list_users;
mod model_shape;
mod models;
mod read;
mod stored;
mod stores;
mod tuples;
mod write;

pub(crate) use assertions::{read_assertions, write_assertions};
pub(crate) use batch_check::batch_check;
pub(crate) use changes::changes;
pub(crate) use check::check;
pub(crate) use expand::expand;
pub(crate) use list_objects::{list_objects, streamed_list_objects};
pub(crate) use list_users::list_users;
pub(crate) use models::{get_model, list_models, write_model};
pub(crate) use read::read;
pub(crate) use stores::{create_store, delete_store, get_store, list_stores};
pub(crate) use write::write;

use authz::store::{MAX_PAGE, ModelId};

use super::path::ulid;
use crate::error::{Failure, Fault, FaultKind, OpenFga};

type Body = crate::wire::JsonBody<OpenFga>;
type StorePath = super::path::StorePath<OpenFga>;
type Answered = Result<axum::response::Response, Failure<OpenFga>>;

/// Items of a page where the caller doesn't say.
const DEFAULT_PAGE: usize = 50;

/// Absent, where it is empty.
fn given(text: Option<&str>) -> Option<&str> {
    text.filter(|text| !text.is_empty())
}

/// The version of the model that a request names, if it names one.
fn model_id(text: Option<&str>) -> Result<Option<ModelId>, Fault> {
    given(text).map(|text| ulid(text, "authorization_model_id").map(ModelId)).transpose()
}

/// The size of a page.
fn page_size(size: Option<usize>) -> Result<usize, Fault> {
    match size {
        None => Ok(DEFAULT_PAGE),
        Some(size @ 1..=MAX_PAGE) => Ok(size),
        Some(size) => {
            let message = format!("page_size is {size}; it may be 1 to {MAX_PAGE}");
            Err(Fault::new(FaultKind::Invalid, "page_size_invalid", message))
        }
    }
}
