//! With the log of PostgreSQL: whoever changes the tables, the row is passed over within a poll.

use std::time::Duration;

use cache_core::{Chain, Kill};
use cache_pg::ViewConfig;
use pg_log::{LogRow, PgLog, attach_sql};

use crate::support::{Database, USER, User, name, stamp_of, until, user_tag};

fn killed(row: &LogRow) -> Vec<Kill> {
    vec![Kill::Tag(user_tag(row.fields[0].as_deref().unwrap_or_default()))]
}

#[tokio::test]
async fn a_change_by_anybody_takes_its_rows_out_of_use_and_a_truncate_all_of_them() {
    let Some(database) = Database::new().await else { return };
    database.client.batch_execute(&attach_sql("tiergate", "public.users", "user", &["id"]).unwrap()).await.unwrap();
    let views = database.views().await;
    let refresher = database.refresher(&views);
    let log = PgLog::start_with(database.pg.clone(), vec![USER], killed);
    let layer = views.layer::<User>(ViewConfig::default(), database.time()).unwrap();
    let chain = Chain::builder().tier(layer).log(log.clone()).clock(database.time()).build().unwrap();
    tokio::time::timeout(Duration::from_secs(20), log.reader().leased()).await.expect("it joins");
    stamp_of(refresher.refresh_now("users").await.unwrap());
    assert_eq!(name(&chain, 7).await.as_deref(), Some("user 7"), "the log told whose history it is");

    let psql = database.another_client().await;
    psql.batch_execute("UPDATE users SET name = 'ann' WHERE id = 7").await.unwrap();
    until("the change is in force", async || name(&chain, 7).await.is_none()).await;
    assert_eq!(name(&chain, 8).await.as_deref(), Some("user 8"));
    psql.batch_execute("INSERT INTO users VALUES (2000, 'bob')").await.unwrap();
    until("the absence is out of use", async || name(&chain, 2000).await.is_none()).await;

    until("a refresh contains the changes", async || {
        stamp_of(refresher.refresh_now("users").await.unwrap());
        name(&chain, 7).await.as_deref() == Some("ann") && name(&chain, 2000).await.as_deref() == Some("bob")
    })
    .await;
    psql.batch_execute("TRUNCATE users").await.unwrap();
    until("everything is out of use", async || name(&chain, 8).await.is_none()).await;
    assert_eq!(name(&chain, 9).await, None);
    log.reader().stop().await;
}

/// A new history begins, as after a restore. Who lived in the old one trusts nothing any more; who starts in the new one finds that the view is of
/// the old one, until it is refreshed.
#[tokio::test]
async fn a_new_history_takes_every_view_out_of_use_until_it_is_refreshed_in_it() {
    let Some(database) = Database::new().await else { return };
    let views = database.views().await;
    let refresher = database.refresher(&views);
    let process = async || {
        let log = PgLog::start(database.pg.clone(), vec![USER]);
        let layer = views.layer::<User>(ViewConfig::default(), database.time()).unwrap();
        let handle = layer.handle();
        let chain = Chain::builder().tier(layer).log(log.clone()).clock(database.time()).build().unwrap();
        tokio::time::timeout(Duration::from_secs(20), log.reader().leased()).await.expect("it joins");
        (chain, handle, log)
    };
    let (old, _, old_log) = process().await;
    stamp_of(refresher.refresh_now("users").await.unwrap());
    assert!(name(&old, 7).await.is_some());

    database.client.batch_execute("SELECT tiergate.new_epoch()").await.unwrap();
    until("the process notices", async || name(&old, 7).await.is_none()).await;
    let (new, handle, new_log) = process().await;
    assert_eq!(name(&new, 7).await, None);
    assert_eq!(handle.statistics().foreign, 1);
    until("it is refreshed above the new floor", async || {
        stamp_of(refresher.refresh_now("users").await.unwrap());
        name(&new, 7).await.is_some()
    })
    .await;
    assert_eq!(name(&old, 7).await, None, "what the new history says is nothing for a process of the old one");
    old_log.reader().stop().await;
    new_log.reader().stop().await;
}
