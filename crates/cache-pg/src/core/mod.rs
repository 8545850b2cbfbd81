//! The statements, and what goes over the wire with them.

mod group;
mod patience;
pub(crate) mod sql;
mod told;
mod xid;

pub use group::MAX_KEYS_PER_STATEMENT;
pub(crate) use group::{Answer, Asked, Group, READ, age_in};
pub(crate) use patience::Patience;
pub(crate) use told::{Age, Told};
pub(crate) use xid::Xid8;
