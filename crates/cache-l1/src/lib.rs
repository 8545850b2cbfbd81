#![doc = include_str!("../README.md")]

mod config;
mod core;
mod layer;

pub use config::{ConfigError, DEFAULT_BUDGET_BYTES, MIN_BUDGET_BYTES, MemoryConfig};
pub use layer::{DEFAULT_NAME, MemoryHandle, MemoryLayer};

/// The example of the project's README, which is compiled with the documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
