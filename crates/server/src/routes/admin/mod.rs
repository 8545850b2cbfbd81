//! Administration, on a listener of its own. A field that isn't known is refused: a misspelt scope must not invalidate something else.

mod cache;
pub(crate) mod docs;
mod explain;
mod invalidate;
mod pools;
mod properties;
mod reload;
mod tiers;

pub(crate) use cache::cache;
pub(crate) use explain::explain;
pub(crate) use invalidate::invalidate;
pub(crate) use pools::pools;
pub(crate) use properties::{delete_properties, get_properties, list_properties, write_properties};
pub(crate) use reload::reload;
pub(crate) use tiers::change_tier;

use crate::error::{Failure, OpenFga};

/// Errors are objects of code and message here too.
type Body = crate::wire::JsonBody<OpenFga>;
type StorePath = super::path::StorePath<OpenFga>;
type Answered = Result<axum::response::Response, Failure<OpenFga>>;
