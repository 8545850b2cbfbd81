//! The statements, and what goes over the wire with them.

pub(crate) mod sql;
mod xid;

pub(crate) use xid::Xid8;
