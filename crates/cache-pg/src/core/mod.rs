//! The statements, and what goes over the wire with them.

mod patience;
pub(crate) mod sql;
mod xid;

pub(crate) use patience::Patience;
pub(crate) use xid::Xid8;
