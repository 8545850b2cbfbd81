//! One history is one identity, whatever who asks may call.
#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected has failed")]

mod support;

use pg_log::{PgErrorKind, read_identity};
use support::{plain, reader, until};
use test_services::{Postgres, PostgresOptions};

const REVOKE: &str = "REVOKE EXECUTE ON FUNCTION pg_catalog.pg_control_system() FROM PUBLIC";
const GRANT: &str = "GRANT EXECUTE ON FUNCTION pg_catalog.pg_control_system() TO PUBLIC";
const ROW: &str = "INSERT INTO tiergate.log (kind, fields) VALUES ('thing', ARRAY[$1::text])";

#[tokio::test]
async fn a_privilege_that_is_taken_away_and_given_back_makes_no_other_history() {
    let Some(server) = Postgres::start(&PostgresOptions::default()) else { return };
    let (database, pg) = plain(&server, "").await;
    let psql = database.foreign().await;
    let (reader, recorder) = reader(&pg).await;
    let identity = reader.identity().unwrap();
    psql.batch_execute(REVOKE).await.unwrap();
    until("it is told", async || reader.trouble().is_some_and(|told| told.kind() == PgErrorKind::Refused)).await;
    assert!(reader.trouble().unwrap().to_string().contains("pg_control_system"), "{:?}", reader.trouble());
    psql.batch_execute(GRANT).await.unwrap();
    psql.execute(ROW, &[&"after"]).await.unwrap();
    until("followed again", async || recorder.knows("after") && reader.trouble().is_none()).await;
    assert!(reader.is_joined());
    assert_eq!(recorder.told().floor, 0, "what was cached before is as good as it was");
    assert_eq!(read_identity(&psql, "tiergate").await.unwrap(), identity, "whoever asks");
}

#[tokio::test]
async fn a_privilege_that_was_missing_from_the_start_may_be_given_at_any_time() {
    let Some(server) = Postgres::start(&PostgresOptions::default()) else { return };
    let (database, pg) = plain(&server, REVOKE).await;
    let psql = database.foreign().await;
    let (reader, recorder) = reader(&pg).await;
    let identity = reader.identity().unwrap();
    psql.batch_execute(GRANT).await.unwrap();
    psql.execute(ROW, &[&"after"]).await.unwrap();
    until("applied", async || recorder.knows("after")).await;
    assert!(reader.is_joined() && reader.trouble().is_none());
    // The superuser could have named the cluster all the time.
    assert_eq!(read_identity(&psql, "tiergate").await.unwrap(), identity);
    let (again, _) = support::reader(&pg).await;
    assert_eq!(again.identity(), Some(identity));
}
