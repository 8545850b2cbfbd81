//! The handlers. Each reads its request, asks one thing, and writes its answer.

pub(crate) mod admin;
pub(crate) mod authzen;
pub(crate) mod gateway;
pub(crate) mod health;
pub(crate) mod openfga;
pub(crate) mod page_token;
mod path;
