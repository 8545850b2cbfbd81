//! The embedded origin: one SQLite file in WAL mode, one thread that writes it, and a few connections that read it.
//!
//! Invariants:
//! - **The order of revisions is the order of commits.** SQLite has one writer at a time, and a revision is the number of a
//!   row that is inserted in the write's own transaction. Hence `highest revision seen in a read transaction + 1` is that
//!   transaction's stamp: whatever it does not contain will get a higher revision.
//! - **Durable, then applied, then answered.** The writer commits (`synchronous = FULL`), applies the changes to the sink, and
//!   only then answers. It is a thread of its own, so that a caller who went away changes nothing of this.
//! - **A snapshot is never ahead of the sink.** A snapshot that sees rows which were not applied yet (the writer is between commit
//!   and apply, or another process wrote) applies them before it is handed out.
//! - **Other writers count.** Log rows come from triggers, so a change made with the `sqlite3` shell is logged as well. A
//!   thread asks every [`SqliteConfig::poll_interval`] whether somebody else committed: a foreign change is in force for
//!   cached decisions within one interval, and for decisions that are evaluated at once. Its author gets no acknowledgement
//!   that says so.
//!
//! What each file is about: `open` the data file and who may use it, `writer` group commit, `job` what a write does,
//! `reader` the pool and the snapshots, `log` the changes and who has applied them, `poll` foreign writers, `queries`,
//! `pages` and `changes` the reads, `failure` the words for what SQLite says.

mod changes;
mod config;
mod failure;
mod job;
mod load;
mod log;
mod open;
mod origin;
mod pages;
mod poll;
mod queries;
mod reader;
mod row;
mod schema;
mod snapshot;
mod writer;

pub use config::SqliteConfig;
pub use load::LoadProgress;
pub use origin::SqliteStore;
