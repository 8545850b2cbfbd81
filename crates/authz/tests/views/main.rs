//! Views over relationships, on a real PostgreSQL: a row that is usable says what an evaluation says.

mod differential;
mod mirror;
mod patterns;
mod rows;
