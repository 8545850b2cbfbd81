//! The PostgreSQL tier, on a real PostgreSQL.
#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected has failed")]

mod bounds;
mod conformance;
mod refresh;
mod rows;
mod schedule;
mod support;
mod versions;
