//! Identifiers within paths.

use std::marker::PhantomData;

use authz::store::StoreId;
use axum::RequestPartsExt;
use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use ulid::Ulid;

use crate::error::{Failure, Fault, Shape};

/// The store that a path names.
pub(crate) struct StorePath<S> {
    pub(crate) store: StoreId,
    shape: PhantomData<S>,
}

impl<S: Shape, T: Send + Sync> FromRequestParts<T> for StorePath<S> {
    type Rejection = Failure<S>;

    async fn from_request_parts(parts: &mut Parts, _: &T) -> Result<Self, Failure<S>> {
        Ok(Self { store: StoreId(id(parts, "store_id").await?), shape: PhantomData })
    }
}

/// The identifier under a name in the path's pattern.
pub(crate) async fn id(parts: &mut Parts, name: &str) -> Result<Ulid, Fault> {
    let params: RawPathParams = parts.extract().await.map_err(|_| Fault::invalid("the path can't be read"))?;
    let text = params.iter().find(|(known, _)| *known == name).map(|(_, text)| text).unwrap_or_default();
    ulid(text, name)
}

/// Reads an identifier in its one spelling: 26 letters and digits of Crockford's alphabet, in upper case.
pub(crate) fn ulid(text: &str, name: &str) -> Result<Ulid, Fault> {
    let mut buffer = [0; ulid::ULID_LEN];
    match Ulid::from_string(text) {
        Ok(id) if id.array_to_str(&mut buffer) == text => Ok(id),
        _ => Err(Fault::invalid(format!("{name} is no id; ids are ULIDs, as 01ARZ3NDEKTSV4RRFFQ69G5FAV"))),
    }
}
