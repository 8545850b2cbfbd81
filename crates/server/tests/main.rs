//! The server from outside: its handlers in this process, over an origin in memory; and its binary as a process, over real ports.

#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected has failed")]

mod acknowledge;
mod cache_train;
mod combinations;
mod command;
mod config;
mod hostile;
mod limits;
mod middleware;
#[cfg(feature = "mistakes")]
mod mistake;
mod openapi;
mod process;
mod routes;
mod support;
mod tiers;
mod tokens;
mod transfer;
