//! Configuration: defaults, under a file, under the environment, under flags; each value knows where it came from.
//!
//! Invariants: a key that nobody reads is an error and not silence; nothing else in this crate reads the environment.

mod error;
mod gateway;
mod keys;
mod load;
mod loopback;
mod settings;
mod show;
mod validate;

pub use error::ConfigError;
pub use gateway::{Gateway, Route};
pub use load::{CONFIG_FILE, ENV_PREFIX, Flag, Loaded, Sources};
pub use loopback::require_loopback;
pub use settings::{
    Admin, CACHE_TYPES, Cache, CacheType, Data, Demo, Http, L1, Limits, Log, LogFormat, Server, Settings, Shutdown,
    Sqlite,
};
