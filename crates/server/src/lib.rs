//! The tiergate server: decisions, models and relationships over HTTP; administration; configuration; the process.
//!
//! The crate is thin: a handler reads a request, asks the decision point of the `authz` crate one thing, and writes the answer.

pub mod access_log;
pub mod acknowledge;
pub mod app;
pub mod cli;
pub mod client;
mod clock_watch;
pub mod commands;
pub mod config;
pub mod credentials;
pub mod demo;
pub mod dependency;
pub mod error;
pub mod gateway;
mod ids;
pub mod limits;
pub mod listener;
pub mod middleware;
pub mod open;
mod openapi;
mod progress;
pub mod reload;
pub mod router;
mod routes;
pub mod serve;
pub mod shutdown;
pub mod telemetry;
pub mod tls;
pub mod transfer;
mod wire;
