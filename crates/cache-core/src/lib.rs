//! The contract and the composition of a coherent multi-level cache.

mod revision;
mod tag;

pub use revision::{Revision, Stamp};
pub use tag::{Tag, TagBuilder};
