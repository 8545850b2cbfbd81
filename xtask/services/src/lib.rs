//! Real Redis and PostgreSQL servers for tests.
//!
//! ```no_run
//! use test_services::{PostgresOptions, Postgres, Redis, RedisOptions, TestDatabase, shared_redis};
//!
//! // What most tests want: shared servers, and something of their own on them.
//! let Some(redis) = shared_redis() else { return };
//! let (url, prefix) = (redis.url(), redis.prefix());
//! let Some(database) = TestDatabase::create("CREATE TABLE users (id bigint PRIMARY KEY)") else { return };
//! database.psql("INSERT INTO users VALUES (1)").unwrap();
//! let url = database.url();
//!
//! // What tests of faults want: servers of their own, on which they do what they like.
//! let Some(redis) = Redis::start(&RedisOptions::default().maxmemory("16mb", "noeviction")) else { return };
//! redis.pause(); // SIGSTOP
//! redis.resume();
//! redis.kill(); // SIGKILL
//! redis.restart().unwrap(); // on the same port
//! let Some(postgres) = Postgres::start(&PostgresOptions::default().setting("statement_timeout", "5s")) else { return };
//! let database = TestDatabase::create_on(&postgres.url(), "CREATE TABLE users (id bigint)").unwrap();
//! ```
//!
//! Whoever takes this crate from the workspace's dependencies asks for the features `databases` ([`TestDatabase`], [`psql`],
//! [`ReplicatedPostgres`]) and `certificates` ([`Certificates`]), which are not on there: `cargo xtask` itself needs neither.
//!
//! Beside single servers there are [`RedisCluster`] and [`RedisSentinel`], for `MOVED`, `READONLY` and failovers, and
//! [`ReplicatedPostgres`], for replicas that lag and for failovers that lose commits. All methods block, for milliseconds
//! mostly: a test on a runtime with one thread lets nothing else run meanwhile.
//!
//! # Where servers come from
//!
//! The shared ones are named by `TIERGATE_TEST_REDIS_URL` and `TIERGATE_TEST_POSTGRES_URL`; `cargo xtask test` sets both,
//! and `cargo xtask up` writes them to a file under the target directory that is read where they are not set. Private
//! ones are started from the programs of the machine, or from those that `cargo xtask up` unpacked.
//!
//! Where a server or its program is missing, the functions that return an `Option` print `SKIPPED package: run cargo xtask
//! up` and return `None`; with the variable `CI` set they panic. A server that is there and fails is never skipped.
//!
//! # What is left behind
//!
//! Nothing: private servers are killed and their directories removed when their values are dropped, when the process is
//! killed (a watchdog sees the end of a pipe), or at the latest when the next one is started (directories whose owner's lock
//! is free). Databases of dead tests are dropped by the next test.
#![allow(clippy::print_stderr, reason = "a skipped test says so where tests speak")]
#![allow(clippy::disallowed_methods, reason = "servers of tests live in real time, and are named by the environment")]

mod backend;
mod cluster;
#[cfg(feature = "databases")]
mod database;
mod error;
mod find;
mod place;
mod port;
mod postgres;
mod process;
mod redis;
#[cfg(feature = "databases")]
mod replica;
mod resp;
mod sentinel;
mod skip;
mod system;
mod tls;
mod wait;

pub use backend::{
    Backend, Server, SharedRedis, environment, shared_postgres, shared_redis, stop_shared, write_environment,
};
pub use cluster::RedisCluster;
#[cfg(feature = "databases")]
pub use database::{Session, Template, TestDatabase, psql};
pub use error::Error;
pub use find::{OLDEST_POSTGRES, POSTGRES_PROGRAMS, Program, REDIS_PROGRAM};
pub use place::Place;
pub use postgres::{Postgres, PostgresOptions};
pub use redis::{Redis, RedisOptions};
#[cfg(feature = "databases")]
pub use replica::ReplicatedPostgres;
pub use resp::Reply;
pub use sentinel::RedisSentinel;
#[cfg(feature = "certificates")]
pub use tls::Certificates;
pub use tls::Tls;
