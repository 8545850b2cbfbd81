//! Every error of the HTTP interfaces, mapped once: what happened ([`Fault`]), and how each interface says it ([`Shape`]).
//!
//! Invariants: no fault is ever an allow; what went wrong inside is logged and not told to the caller.

mod authz_error;
mod shape;

use std::borrow::Cow;
use std::marker::PhantomData;

use authz::relation::IdentError;
use axum::response::{IntoResponse, Response};

pub(crate) use authz_error::{CHANGE_NOT_KNOWN, CHANGE_STORED, FATE_NOT_KNOWN, NOT_IN_FORCE_YET};
pub(crate) use shape::ErrorBody;
pub use shape::{Api, AuthZen, Gateway, OpenFga, Shape};

/// Why a request has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub(crate) kind: FaultKind,
    /// The code of the OpenFGA interface, which its clients decide by.
    pub(crate) code: &'static str,
    pub(crate) message: Cow<'static, str>,
}

/// The kinds of faults; the status follows from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// The caller's input. Asking again can't help.
    Invalid,
    /// The body is longer than it may be.
    TooLarge,
    /// No valid credential was shown.
    Unauthenticated,
    /// Not from there, not under that name, or not with that credential.
    Forbidden,
    /// What is asked for does not exist.
    NotFound,
    /// The path exists, but not with this method.
    Method,
    /// Too much at once, too slow, or the origin is away. Asking again later can help.
    Unavailable,
    /// Something was changed, or may have been. Asking again is no remedy, and may do it twice.
    Uncertain,
    /// Too much of one caller, about one subject, or of one kind. Asking again makes sense after so many seconds.
    RateLimited { retry_after_seconds: u32 },
    /// A fault of ours.
    Internal,
}

/// A [`Fault`] on its way out, in the shape of an interface.
#[derive(Debug)]
pub(crate) struct Failure<S>(pub(crate) Fault, PhantomData<S>);

impl Fault {
    pub(crate) fn new(kind: FaultKind, code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, code, message: message.into() }
    }

    /// The caller's input is not right.
    pub(crate) fn invalid(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(FaultKind::Invalid, "validation_error", message)
    }

    /// What is asked for does not exist.
    pub(crate) fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(FaultKind::NotFound, "store_id_not_found", message)
    }

    /// Asking again later can help.
    pub(crate) fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(FaultKind::Unavailable, "unavailable", message)
    }

    /// Something was changed, or may have been, and more is not known.
    pub(crate) fn uncertain(code: &'static str, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(FaultKind::Uncertain, code, message)
    }

    /// A fault of ours; its details are in the log.
    pub(crate) fn internal() -> Self {
        Self::new(FaultKind::Internal, "internal_error", "internal error")
    }

    pub(crate) fn too_large(max: usize) -> Self {
        let message = format!("the body has more than {max} bytes; send less at once");
        Self::new(FaultKind::TooLarge, "exceeded_entity_limit", message)
    }
}

impl From<IdentError> for Fault {
    fn from(error: IdentError) -> Self {
        Self::invalid(error.to_string())
    }
}

impl<S, E: Into<Fault>> From<E> for Failure<S> {
    fn from(error: E) -> Self {
        Self(error.into(), PhantomData)
    }
}

impl<S: Shape> IntoResponse for Failure<S> {
    fn into_response(self) -> Response {
        S::response(&self.0)
    }
}
