//! The handlers. Each reads its request, asks one thing, and writes its answer.

pub(crate) mod admin;
pub(crate) mod authzen;
pub(crate) mod gateway;
pub(crate) mod health;
pub(crate) mod openfga;
pub(crate) mod page_token;
pub(crate) mod path;

/// Questions of one request that are looked up at the same time: as many as may share a snapshot of the origin.
pub(crate) const AT_ONCE: usize = 32;
