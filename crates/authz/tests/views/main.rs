//! Views over relationships, on a real PostgreSQL: a row that is usable says what an evaluation says.
#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected has failed")]

mod differential;
mod mirror;
mod patterns;
mod rows;
