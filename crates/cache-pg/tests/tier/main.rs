//! The PostgreSQL tier, on a real PostgreSQL.

mod bounds;
mod conformance;
mod log;
mod refresh;
mod rows;
mod schedule;
mod support;
mod versions;
