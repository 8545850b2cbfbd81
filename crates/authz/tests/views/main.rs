//! Views over relationships, on a real PostgreSQL: a row that is usable says what an evaluation says.
#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that meets the unexpected has failed, and tells what it met"
)]

mod differential;
mod mirror;
mod patterns;
mod rows;
