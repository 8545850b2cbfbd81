//! The OpenID AuthZEN Authorization API 1.0.
//!
//! A subject and a resource are plain objects: an id never names a userset or a wildcard. What the model doesn't know (a type, an action)
//! is a deny with a reason and no error: the question was asked rightly, and unknown is never allow. Extensions of ours live in `context`.

mod answer;
mod decide;
pub(crate) mod docs;
mod evaluation;
mod evaluations;
mod metadata;
mod parts;
mod question;
mod search;
mod wish;

pub(crate) use decide::decide;
pub(crate) use evaluation::{evaluation, store_evaluation};
pub(crate) use evaluations::{evaluations, store_evaluations};
pub(crate) use metadata::{metadata, store_metadata};
pub(crate) use search::{
    action as search_action, resource as search_resource, store_action as store_search_action,
    store_resource as store_search_resource, store_subject as store_search_subject, subject as search_subject,
};

use crate::error::{AuthZen, Failure};

type Body = crate::wire::JsonBody<AuthZen>;
type StorePath = super::path::StorePath<AuthZen>;
type Answered = Result<axum::response::Response, Failure<AuthZen>>;
