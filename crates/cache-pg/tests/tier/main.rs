//! The PostgreSQL tier, on a real PostgreSQL.
#![allow(clippy::unwrap_used, reason = "a test")]

mod bounds;
mod conformance;
mod log;
mod refresh;
mod rows;
mod schedule;
mod support;
mod versions;
