//! `xid8` on the wire: eight bytes, the highest first.

use std::error::Error;

use pg_log::tokio_postgres::types::{FromSql, Type, accepts};

/// The number of a transaction, with its epoch: it never wraps around.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Xid8(pub(crate) u64);

impl<'a> FromSql<'a> for Xid8 {
    accepts!(XID8);

    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn Error + Sync + Send>> {
        Ok(Self(u64::from_be_bytes(raw.try_into()?)))
    }
}
