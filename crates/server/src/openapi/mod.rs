//! The OpenAPI documents of both listeners, and a page to try them.
//!
//! Invariants: a path is added with its handler and its documentation in one call ([`Routes`]), so that neither is without the other; and the
//! schemas come from the very types that handlers read and write.

mod faults;
mod operation;
mod page;
mod routes;
mod schemas;

pub(crate) use operation::Operation;
pub(crate) use routes::{About, Routes};

/// An example of a store's id. The page puts a real one in its place.
pub(crate) const EXAMPLE_STORE: &str = "01JADEMP00000000000000STRE";
/// An example of a token. No deployment knows it.
pub(crate) const EXAMPLE_TOKEN: &str = "AWg0c2pHqUqYh2cVb0m0m0sAAAAAAAAC5QfQy0lRk0lJZ0m0m0m0m0k";
/// An example of the id of a model's version.
pub(crate) const EXAMPLE_MODEL: &str = "01JADEMP00000000000000MDEW";
