//! The server from outside: its handlers in this process, over an origin in memory; and its binary as a process, over real ports.

#![recursion_limit = "256"]
#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected has failed")]

mod acknowledge;
mod cache_train;
mod combinations;
mod command;
mod config;
mod encrypted;
mod failover;
mod fates;
mod hostile;
mod keys;
mod limits;
mod middleware;
#[cfg(feature = "mistakes")]
mod mistake;
mod openapi;
mod outages;
mod process;
mod restore;
mod routes;
mod support;
mod tiers;
mod time_bound;
mod tokens;
mod transfer;
