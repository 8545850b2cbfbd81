//! The JSON form of a model, which is what APIs carry and stores keep.
//!
//! What is written is what OpenFGA's HTTP API writes: snake case around the types, camel case within a rewrite. What is read is
//! more, because clients differ: both cases everywhere, and `null`, `""` and a missing key all mean absent.

mod condition;
mod fields;
mod module;
mod path;
mod read;
mod rewrite;
mod write;

pub(super) use path::Path;

#[cfg(test)]
mod tests;
