//! Why a request is refused before anybody is asked. The log says which; the client is told no more than that it may not.

use authz::relation::IdentError;

use super::target::Ambiguous;

/// Why nobody was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// Nobody is named, and nobody stands for the unnamed: the one reason that the client can do something about.
    #[error("the request names nobody")]
    Unauthenticated,
    #[error("gateway.routes has no route for this path")]
    NoRoute,
    #[error("the route of this path does not have this method")]
    Method,
    #[error(
        "a more specific route differs only in case or in a slash at the end, and the application may not see the difference"
    )]
    Shadowed,
    #[error("{0}")]
    Ambiguous(#[from] Ambiguous),
    #[error("the path makes no resource: {0}")]
    Resource(IdentError),
    #[error("the header {0} is missing or there more than once; the gateway has to set it")]
    NotSet(&'static str),
    #[error(
        "the subject header is there more than once, empty, or a list; the gateway has to set it, over what the client sent"
    )]
    SubjectHeader,
    #[error("the subject header names nobody: {0}")]
    Subject(IdentError),
}
