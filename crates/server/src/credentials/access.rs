//! What a path asks of its caller, and the guard that sees to it before anything of the request is read.

use std::future::{Ready, ready};
use std::sync::Arc;

use authz::store::StoreId;
use axum::extract::{FromRequestParts, RawPathParams, Request};
use axum::handler::Handler;
use axum::http::request::Parts;
use axum::response::Response;
use futures_util::FutureExt as _;
use futures_util::future::Either;

use super::{Caller, Scope};
use crate::app::App;
use crate::error::{Api, Fault, FaultKind};
use crate::routes::path::ulid;

/// The part of a pattern that names a store.
const STORE: &str = "store_id";

/// What a path asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Access {
    /// None where everybody may ask.
    scope: Option<Scope>,
    /// Whether a key for one store may be used although the path names none.
    is_of_own_store: bool,
}

impl Access {
    /// Everybody may ask.
    pub(crate) const OPEN: Self = Self { scope: None, is_of_own_store: true };
    /// Whoever may ask, in the store that the path names.
    pub(crate) const CHECK: Self = Self::of(Scope::Check);
    /// Whoever may change.
    pub(crate) const WRITE: Self = Self::of(Scope::Write);
    /// Whoever may be told why.
    pub(crate) const EXPLAIN: Self = Self::of(Scope::Explain);
    /// Whoever operates the server.
    pub(crate) const ADMIN: Self = Self::of(Scope::Admin);

    const fn of(scope: Scope) -> Self {
        Self { scope: Some(scope), is_of_own_store: false }
    }

    /// Also with a key for one store, where the path names none: its handler sees to the store.
    pub(crate) const fn in_own_store(self) -> Self {
        Self { is_of_own_store: true, ..self }
    }

    /// The scope that is needed, if any.
    pub(crate) fn scope(self) -> Option<Scope> {
        self.scope
    }

    fn admit(self, caller: &Caller, named: impl FnOnce() -> Result<Option<StoreId>, Fault>) -> Result<(), Fault> {
        let Some(scope) = self.scope else { return Ok(()) };
        let credential = match caller {
            Caller::Anyone => return Ok(()),
            Caller::Nobody => return Err(unauthenticated()),
            Caller::Known(credential) => credential,
        };
        if !credential.scopes.contains(scope) {
            let message = format!("the key that was shown is not for this: it has no scope {}", scope.label());
            return Err(Fault::new(FaultKind::Forbidden, "forbidden", message));
        }
        if credential.store.is_none() {
            return Ok(());
        }
        match named()? {
            Some(store) => caller.may_name(store),
            None if self.is_of_own_store => Ok(()),
            None => Err(super::foreign_store()),
        }
    }
}

/// One answer for whatever is wrong with a key, and for none.
fn unauthenticated() -> Fault {
    let message = "no valid key was shown; send one as Authorization: Bearer, or as Tiergate-Key";
    Fault::new(FaultKind::Unauthenticated, "unauthenticated", message)
}

/// A handler behind its guard. It boxes nothing: the way to a decision from memory is short.
#[derive(Clone)]
pub(crate) struct Guarded<H> {
    handler: H,
    access: Access,
    names_a_store: bool,
}

impl<H> Guarded<H> {
    pub(crate) fn new(handler: H, access: Access, path: &str) -> Self {
        Self { handler, access, names_a_store: path.contains(&format!("{{{STORE}}}")) }
    }
}

impl<T, H: Handler<T, Arc<App>>> Handler<T, Arc<App>> for Guarded<H> {
    type Future = Either<Ready<Response>, H::Future>;

    fn call(self, request: Request, app: Arc<App>) -> Self::Future {
        let Self { handler, access, names_a_store } = self;
        let (mut parts, body) = request.into_parts();
        // A request that went past the edge is nobody's.
        let caller = parts.extensions.get::<Caller>().cloned().unwrap_or(Caller::Nobody);
        match access.admit(&caller, || if names_a_store { named_store(&mut parts).map(Some) } else { Ok(None) }) {
            Ok(()) => Either::Right(handler.call(Request::from_parts(parts, body), app)),
            Err(fault) => Either::Left(ready(Api::of(parts.uri.path()).response(&fault))),
        }
    }
}

/// The store that the path names, as its handler will read it.
fn named_store(parts: &mut Parts) -> Result<StoreId, Fault> {
    // It is at hand, and never waits.
    let params = RawPathParams::from_request_parts(parts, &()).now_or_never().and_then(Result::ok);
    let text = params.as_ref().and_then(|params| params.iter().find(|(name, _)| *name == STORE)).map(|(_, text)| text);
    ulid(text.unwrap_or_default(), STORE).map(StoreId)
}
