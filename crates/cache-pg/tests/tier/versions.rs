//! Versions of views: another definition stands beside the old one, and what nobody uses goes.

use std::time::Duration;

use cache_core::Chain;
use cache_pg::{RefreshConfig, View, Views};

use crate::support::{Database, User, name, stamp_of, until, user_tag};

fn loud() -> View {
    View::new("users", "SELECT id, upper(name) AS name FROM public.users").key("id").value("name")
}

async fn relations(database: &Database) -> Vec<String> {
    let sql = "SELECT matviewname::text FROM pg_matviews WHERE schemaname = 'tiergate' ORDER BY 1";
    let rows = database.client.query(sql, &[]).await.unwrap();
    rows.iter().map(|row| row.get(0)).collect()
}

#[tokio::test]
async fn a_changed_definition_is_a_new_version_beside_the_old_one() {
    let Some(database) = Database::new().await else { return };
    let old_release = database.views().await;
    let old = database.refresher(&old_release);
    stamp_of(old.refresh_now("users").await.unwrap());
    let (old_chain, _) = database.chain(&old_release);

    let new_release = database.views_of(vec![loud()]).await;
    let (new_chain, _) = database.chain(&new_release);
    assert_eq!(relations(&database).await, ["users_v1", "users_v2"]);
    assert_eq!(name(&new_chain, 7).await, None, "the new version was not refreshed yet");
    assert_eq!(name(&old_chain, 7).await.as_deref(), Some("user 7"));
    stamp_of(database.refresher(&new_release).refresh_now("users").await.unwrap());
    stamp_of(old.refresh_now("users").await.unwrap());
    database.clock.advance(Duration::from_secs(1));
    assert_eq!(name(&new_chain, 7).await.as_deref(), Some("USER 7"));
    assert_eq!(name(&old_chain, 7).await.as_deref(), Some("user 7"), "both releases are served");
}

#[tokio::test]
async fn migrating_again_and_side_by_side_changes_nothing() {
    let Some(database) = Database::new().await else { return };
    database.views().await;
    let all: Vec<_> =
        (0..8).map(|_| Views::new(database.pg.clone(), vec![Database::users(), view("others")]).unwrap()).collect();
    fn view(name: &str) -> View {
        View::new(name, "SELECT 1 AS id").key("id").value("id")
    }
    for result in futures_util::future::join_all(all.iter().map(Views::migrate)).await {
        result.unwrap();
    }
    assert_eq!(relations(&database).await, ["others_v1", "users_v1"]);
}

#[tokio::test]
async fn a_definition_that_postgres_refuses_is_told_and_leaves_nothing() {
    let Some(database) = Database::new().await else { return };
    let views =
        Views::new(database.pg.clone(), vec![View::new("users", "SELECT nothing FROM nowhere").key("id").value("1")]);
    let error = views.unwrap().migrate().await.unwrap_err();
    assert!(error.to_string().contains("\"nowhere\" does not exist"), "{error}");
    assert!(relations(&database).await.is_empty());
}

#[tokio::test]
async fn a_view_whose_rows_do_not_have_one_key_each_is_not_filled_and_says_so() {
    let Some(database) = Database::new().await else { return };
    let query = "SELECT id % 10 AS id, name FROM public.users";
    let views = database.views_of(vec![View::new("users", query).key("id").value("name")]).await;
    let error = database.refresher(&views).refresh_now("users").await.unwrap_err();
    assert!(error.to_string().contains("could not create unique index"), "{error}");
}

#[tokio::test]
async fn a_version_that_nobody_uses_is_dropped_and_comes_back_where_somebody_does() {
    let Some(database) = Database::new().await else { return };
    let old_release = database.views().await;
    let old = database.refresher(&old_release);
    stamp_of(old.refresh_now("users").await.unwrap());
    let (old_chain, _) = database.chain(&old_release);
    assert_eq!(name(&old_chain, 7).await.as_deref(), Some("user 7"));
    let new_release = database.views_of(vec![loud()]).await;
    let new =
        database.refresher_with(&new_release, RefreshConfig { keep_ms: 60 * 60 * 1_000, ..RefreshConfig::default() });
    new.refresh_now("users").await.unwrap();
    assert_eq!(relations(&database).await, ["users_v1", "users_v2"], "the old one was used within the hour");
    database.client.batch_execute("UPDATE view_uses SET at = at - interval '2 hours'").await.unwrap();
    new.refresh_now("users").await.unwrap();
    assert_eq!(relations(&database).await, ["users_v2"]);

    // The old release comes back to it all the same: an error first, which is no miss, then nothing, then a new version.
    let keyer_error = old_chain.get(&crate::support::user(7)).await;
    assert!(matches!(keyer_error, cache_core::Lookup::Error(_)), "{keyer_error:?}");
    assert_eq!(name(&old_chain, 7).await, None);
    stamp_of(old.refresh_now("users").await.unwrap());
    assert_eq!(name(&old_chain, 7).await.as_deref(), Some("user 7"));
    assert_eq!(relations(&database).await, ["users_v2", "users_v3"]);
}

#[tokio::test]
async fn a_process_that_starts_finds_the_view_warm_and_knows_what_was_killed_before() {
    let Some(database) = Database::new().await else { return };
    let views = database.views().await;
    stamp_of(database.refresher(&views).refresh_now("users").await.unwrap());
    let gone = database.change("DELETE FROM users WHERE id = 7").await;
    database.log.apply(gone, &[cache_core::Kill::Tag(user_tag("7"))]);
    drop(views);

    let views = database.views_of(vec![Database::users()]).await;
    let (chain, handle): (Chain<User>, _) = database.chain(&views);
    assert_eq!(name(&chain, 7).await, None, "killed before this process was there");
    for id in 8..=107 {
        assert_eq!(name(&chain, id).await, Some(format!("user {id}")));
    }
    assert_eq!(handle.statistics().unready, 0, "nothing had to be refreshed");
    let refresher = database.refresher(&views);
    refresher.start();
    until("the schedule has looked", async || refresher.health()[0].young == 1).await;
    assert_eq!(refresher.health()[0].refreshed, 0, "it is young");
    assert!(refresher.health()[0].age.is_some());
}
