//! Views over relationships, on a real PostgreSQL: a row that is usable says what an evaluation says.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test that meets the unexpected has failed")]

mod differential;
mod mirror;
mod patterns;
mod rows;
#[path = "../support/sql.rs"]
mod sql;
