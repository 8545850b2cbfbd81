//! The laws of an origin, for each origin; then what only the one in a file, and only the one in PostgreSQL, can do wrong.
#![allow(clippy::unwrap_used, reason = "a test that cannot set itself up has nothing better to do")]

mod differential;
mod laws;
mod postgres;
mod sqlite;
mod support;
