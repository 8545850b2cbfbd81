#![doc = include_str!("../README.md")]

mod config;
mod core;
mod layer;

pub use config::{ConfigError, DEFAULT_BUDGET_BYTES, MIN_BUDGET_BYTES, MemoryConfig};
pub use layer::{DEFAULT_NAME, MemoryLayer};
