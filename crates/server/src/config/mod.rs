//! Configuration: defaults, under a file, under the environment, under flags; each value knows where it came from.
//!
//! Invariants: a key that nobody reads is an error and not silence; nothing else in this crate reads the environment.

mod access_log;
mod auth;
mod cache;
mod error;
mod gateway;
mod keys;
mod load;
mod loopback;
mod master_key;
#[cfg(feature = "mistakes")]
mod mistake;
mod postgres;
mod rate;
mod redis;
mod secret;
mod settings;
mod show;
mod tls;
mod validate;

pub use access_log::AccessLog;
pub use auth::Auth;
pub use cache::{CACHE_TYPES, Cache, CacheType, L1, L2, L3, Rollout};
pub use error::ConfigError;
pub use gateway::{Gateway, Route};
pub use load::{CONFIG_FILE, ENV_PREFIX, Flag, Loaded, Sources};
pub use loopback::require_loopback;
pub use master_key::Keys;
#[cfg(feature = "mistakes")]
pub use mistake::plant_named;
pub use postgres::Postgres;
pub use rate::{ActionClass, Quota, Rate};
pub use redis::{Breaker, Redis};
pub use secret::{SecretText, SecretUrl};
pub use settings::{Admin, Data, Demo, Http, Limits, Log, LogFormat, Server, Settings, Shutdown, Sqlite};
pub use tls::Tls;
