//! What the benches of this crate share.

use cache_core::{Identity, Revision, Stamp};
use pg_log::{LogRow, LogSink};
use tokio_postgres::{Client, NoTls};

/// Whom nothing concerns.
pub(crate) struct Nobody;

impl LogSink for Nobody {
    fn joined(&self, _: Identity, _: Stamp) {}
    fn apply(&self, _: &[LogRow]) {}
    fn forget(&self, _: Revision) {}
    fn advance(&self, _: Stamp) {}
}

/// A client that is none of ours: like psql.
pub(crate) async fn connect(url: &str) -> Client {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("the server answers");
    tokio::spawn(connection);
    client
}
