#![doc = include_str!("../README.md")]

mod address;
mod breaker;
mod commands;
mod compress;
mod config;
mod connect;
mod core;
mod derived;
mod envelope;
mod error;
mod gather;
mod generation;
mod keyring;
mod layer;
pub mod limit;
pub mod log;
mod mend;
mod name;
mod nodes;
mod pool;
mod randomness;
mod retry;
mod ring_file;
mod seal;
mod secret;
pub mod secret_file;
mod statistics;
mod store;
mod time;
pub mod train;

pub use breaker::{BreakerConfig, BreakerState};
pub use compress::{DEFAULT_DICTIONARY_BYTES, Dictionary, MAX_DICTIONARY_BYTES};
pub use config::{
    Compression, DEFAULT_MAX_LIFETIME_MS, DEFAULT_NAMESPACE, DEFAULT_URL, Encryption, MAX_NAMESPACE_BYTES, RedisConfig,
};
pub use envelope::Fault;
pub use error::ConfigError;
pub use generation::GENERATION_INTERVAL_MS;
pub use keyring::{Keyring, MAX_MASTER_KEY_FILE_BYTES, MIN_MASTER_KEY_BYTES};
pub use layer::{DEFAULT_NAME, Machine, RedisHandle, RedisLayer};
pub use log::{LogConfig, LogStatus, RedisLog};
pub use nodes::NodeStatistics;
pub use randomness::{NoRandomness, Randomness, SystemRandomness};
pub use ring_file::{KeyInfo, KeyState, MAX_RING_KEYS, RingFile};
pub use seal::PADDING_STEP;
pub use secret::Secret;
pub use statistics::{ConnectionStatistics, FAILURE_LABELS, MAX_UNKNOWN_KEYS, RedisStatistics};
pub use time::{SystemWallClock, TOLERATED_SKEW, WallClock};
