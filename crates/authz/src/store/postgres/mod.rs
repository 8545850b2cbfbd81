//! The origin in PostgreSQL, which any number of instances share.
//!
//! Invariants:
//! - **A read has one snapshot**, that of a READ ONLY, REPEATABLE READ transaction on the primary, which those share who came before it was
//!   begun. Its first statement asks the log for what
//!   this process has not applied yet; that is applied before the first answer is handed out. So a snapshot is never ahead of the sink.
//! - **The stamp of a read is the xmin of its snapshot**, never a number of a commit: transactions end in another order than they are numbered.
//! - **Committed, then applied, then answered.** A write is a task of its own, so that a caller who went away changes nothing of this.
//! - **Other writers count.** Rows of the log come from triggers that always fire, so that a change made with `psql`, by `TRUNCATE`, or by
//!   a subscription is in force within one poll.
//!
//! What each file is about: `origin` the parts put together, `join` waiting for PostgreSQL and following its log, `snapshot`, `shared_snapshot`,
//! `together` and `reads` the reads of an evaluation, `transaction`, `fate`, `job`,
//! `writes` and `books` what changes, `load` bulk loading, `pages` lists,
//! `changes` and `place` the history, `position` what is applied here, `failure` the words for
//! what PostgreSQL says.

mod books;
mod changes;
mod failure;
mod fate;
mod job;
mod join;
mod load;
mod origin;
mod pages;
mod place;
mod position;
mod reads;
mod row;
mod shared_snapshot;
mod snapshot;
mod together;
mod transaction;
mod writes;

pub use load::LoadProgress;
pub use origin::{MIGRATIONS, PostgresStore};
