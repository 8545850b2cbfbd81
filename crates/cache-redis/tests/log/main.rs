//! The log on Redis Streams, on real servers: what one instance invalidates is in force at the others, whatever happens to Redis meanwhile.
#![allow(clippy::unwrap_used, reason = "a test that can't go on fails")]

mod coherence;
mod connections;
mod contract;
mod epochs;
mod gaps;
mod mistakes;
mod silence;

mod support;
