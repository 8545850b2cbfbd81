//! The statements, and what goes over the wire with them.

mod group;
mod patience;
pub(crate) mod sql;
mod xid;

pub use group::MAX_KEYS_PER_STATEMENT;
pub(crate) use group::{Asked, Group, READ};
pub(crate) use patience::Patience;
pub(crate) use xid::Xid8;
