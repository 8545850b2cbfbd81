//! What a refresh does while others read, write, and refresh.

use std::time::Duration;

use cache_core::{Kill, Revision};
use cache_pg::{RefreshConfig, Refreshed, View, Views};
use pg_log::PgErrorKind;

use crate::support::{Database, change_by, name, revision_of, stamp_of, until, user_tag};

/// Users, by a query that also looks at a gate: whoever locks the gate holds a refresh up after its snapshot was taken.
fn gated() -> View {
    let query = "SELECT id, name FROM public.users WHERE NOT EXISTS (SELECT FROM public.gate WHERE shut = users.id)";
    View::new("users", query).key("id").value("name")
}

async fn with_gate() -> Option<(Database, Views)> {
    let database = Database::new().await?;
    database.client.batch_execute("CREATE TABLE public.gate (shut bigint)").await.unwrap();
    let views = database.views_of(vec![gated()]).await;
    Some((database, views))
}

/// Whether somebody waits for the gate.
async fn is_held_up(database: &Database) -> bool {
    let sql = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'gate'::regclass)";
    database.client.query_one(sql, &[]).await.unwrap().get(0)
}

async fn held_up(database: &Database) {
    until("the refresh waits at the gate", async || is_held_up(database).await).await;
}

#[tokio::test]
async fn readers_do_not_wait_for_a_refresh_and_see_the_content_of_before_until_it_is_through() {
    let Some((database, views)) = with_gate().await else { return };
    let refresher = database.refresher_with(&views, RefreshConfig { lock_wait_ms: 60_000, ..RefreshConfig::default() });
    refresher.refresh_now("users").await.unwrap();
    let (chain, handle) = database.chain(&views);
    assert_eq!(name(&chain, 7).await.as_deref(), Some("user 7"));
    database.change("UPDATE users SET name = 'ann' WHERE id = 7").await;

    let keeper = database.another_client().await;
    keeper.batch_execute("BEGIN; LOCK TABLE gate IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let (refreshed, ()) = tokio::join!(refresher.refresh_now("users"), async {
        held_up(&database).await;
        for id in 1..=500 {
            let expected = format!("user {id}");
            assert_eq!(name(&chain, id).await, Some(expected), "while a refresh is under way");
        }
        assert!(is_held_up(&database).await, "all of that happened during the refresh");
        keeper.batch_execute("COMMIT").await.unwrap();
    });
    stamp_of(refreshed.unwrap());
    assert_eq!(name(&chain, 7).await.as_deref(), Some("ann"));
    assert_eq!((handle.statistics().timeouts, handle.statistics().refused), (0, 0));
}

#[tokio::test]
async fn of_two_that_refresh_one_is_elected_and_the_other_leaves_at_once() {
    let Some((database, views)) = with_gate().await else { return };
    let config = RefreshConfig { lock_wait_ms: 60_000, ..RefreshConfig::default() };
    let other_process = Views::new(database.pg.clone(), vec![gated()]).unwrap();
    let (one, two) = (database.refresher_with(&views, config), database.refresher_with(&other_process, config));
    one.refresh_now("users").await.unwrap();
    let keeper = database.another_client().await;
    keeper.batch_execute("BEGIN; LOCK TABLE gate IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let (first, ()) = tokio::join!(one.refresh_now("users"), async {
        held_up(&database).await;
        assert_eq!(two.refresh_now("users").await.unwrap(), Refreshed::Elsewhere);
        assert_eq!(
            one.refresh_now("users").await.unwrap(),
            Refreshed::Elsewhere,
            "nor does one instance refresh twice"
        );
        keeper.batch_execute("COMMIT").await.unwrap();
    });
    stamp_of(first.unwrap());
    stamp_of(two.refresh_now("users").await.unwrap());
    assert_eq!((one.health()[0].elsewhere, two.health()[0].elsewhere), (1, 1));
}

#[tokio::test]
async fn a_refresh_that_a_lock_holds_up_ends_by_its_limit_and_costs_no_answer() {
    let Some((database, views)) = with_gate().await else { return };
    let refresher = database.refresher_with(&views, RefreshConfig { lock_wait_ms: 100, ..RefreshConfig::default() });
    let before = stamp_of(refresher.refresh_now("users").await.unwrap());
    let (chain, _) = database.chain(&views);
    let keeper = database.another_client().await;
    keeper.batch_execute("BEGIN; LOCK TABLE gate IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let error = refresher.refresh_now("users").await.unwrap_err();
    assert_eq!(error.kind(), PgErrorKind::Timeout, "{error}");
    let health = refresher.health().remove(0);
    assert_eq!((health.refreshed, health.failed, health.failed_in_a_row), (1, 1, 1));
    assert!(health.trouble.unwrap().contains("lock timeout"));
    assert_eq!(as_of(&database).await, before.get(), "a refresh that failed claims nothing");
    assert_eq!(name(&chain, 7).await.as_deref(), Some("user 7"));
    keeper.batch_execute("COMMIT").await.unwrap();
    stamp_of(refresher.refresh_now("users").await.unwrap());
    assert_eq!(refresher.health()[0].trouble, None);
}

#[tokio::test]
async fn a_refresh_that_computes_for_too_long_ends_by_its_limit() {
    let Some(database) = Database::new().await else { return };
    let slow = View::new("users", "SELECT id, name || pg_sleep(0.05) AS name FROM public.users")
        .key("id")
        .value("name")
        .limit(Duration::from_millis(200));
    let views = database.views_of(vec![slow]).await;
    let refresher = database.refresher(&views);
    let error = refresher.refresh_now("users").await.unwrap_err();
    assert_eq!(error.kind(), PgErrorKind::Timeout, "{error}");
    let (chain, handle) = database.chain(&views);
    assert_eq!(name(&chain, 7).await, None);
    assert_eq!(handle.statistics().unready, 1);
}

/// A refresh whose snapshot is held up has a stamp of before, whatever is committed until it ends.
#[tokio::test]
async fn no_stamp_claims_a_change_that_the_view_lacks() {
    let Some((database, views)) = with_gate().await else { return };
    let refresher = database.refresher_with(&views, RefreshConfig { lock_wait_ms: 60_000, ..RefreshConfig::default() });
    refresher.refresh_now("users").await.unwrap();
    let (chain, _) = database.chain(&views);

    // One writer begins before the refresh and ends during it; one is wholly within; one begins during it and ends after it.
    let [early, late, keeper] =
        [database.another_client().await, database.another_client().await, database.another_client().await];
    early.batch_execute("BEGIN; DELETE FROM users WHERE id = 1").await.unwrap();
    let first = revision_of(&early).await;
    keeper.batch_execute("BEGIN; LOCK TABLE gate IN ACCESS EXCLUSIVE MODE").await.unwrap();
    let (refreshed, (second, third)) = tokio::join!(refresher.refresh_now("users"), async {
        held_up(&database).await;
        early.batch_execute("COMMIT").await.unwrap();
        let second = change_by(&database.client, "DELETE FROM users WHERE id = 2").await;
        late.batch_execute("BEGIN; DELETE FROM users WHERE id = 3").await.unwrap();
        let third = revision_of(&late).await;
        keeper.batch_execute("COMMIT").await.unwrap();
        (second, third)
    });
    late.batch_execute("COMMIT").await.unwrap();
    let stamp = stamp_of(refreshed.unwrap());
    for (id, revision) in [(1, first), (2, second), (3, third)] {
        let row = format!("SELECT EXISTS (SELECT FROM users_v1 WHERE id = '{id}')");
        let lacks_it: bool = database.client.query_one(&row, &[]).await.unwrap().get(0);
        assert!(lacks_it, "user {id} was deleted after the refresh began");
        assert!(!stamp.contains(revision), "{stamp:?} claims {revision:?}, which the view lacks");
        assert_eq!(name(&chain, id).await, Some(format!("user {id}")), "nobody was told yet");
        database.log.apply(revision, &[Kill::Tag(user_tag(&id.to_string()))]);
        assert_eq!(name(&chain, id).await, None, "user {id} is passed over");
    }
    assert_eq!(name(&chain, 4).await.as_deref(), Some("user 4"));
}

/// The refresh's own number, and that of the other refreshes, are no changes: nothing waits for them to be contained.
#[tokio::test]
async fn a_refresh_does_not_hold_back_its_own_stamp() {
    let Some(database) = Database::new().await else { return };
    let views = database.views().await;
    let refresher = database.refresher(&views);
    let change = database.change("UPDATE users SET name = 'ann' WHERE id = 7").await;
    until("no older transaction runs in this cluster", async || {
        stamp_of(refresher.refresh_now("users").await.unwrap()).contains(change)
    })
    .await;
    let (chain, _) = database.chain(&views);
    database.log.apply(change, &[Kill::Tag(user_tag("7"))]);
    assert_eq!(name(&chain, 7).await.as_deref(), Some("ann"), "the view contains the change");
}

/// A refresh by an older state would bring back what a newer one had removed.
#[tokio::test]
async fn stamp_and_content_never_go_back_however_many_refresh() {
    let Some(database) = Database::new().await else { return };
    let views = database.views().await;
    let refreshers: Vec<_> = (0..4).map(|_| database.refresher(&views)).collect();
    let writer = database.another_client().await;
    let mut last = Revision::ZERO;
    for round in 1..=20 {
        let all = futures_util::future::join_all(refreshers.iter().map(|one| one.refresh_now("users")));
        let (results, revision) = tokio::join!(
            all,
            change_by(&writer, "UPDATE users SET name = (id * 0 + txid_current())::text WHERE id = 7")
        );
        assert!(results.iter().all(Result::is_ok), "round {round}: {results:?}");
        assert!(as_of(&database).await >= last.get(), "round {round}");
        last = Revision::new(as_of(&database).await);
        let row = database.client.query_one("SELECT value FROM users_v1 WHERE id = '7'", &[]).await.unwrap();
        let content: u64 = row.get::<_, &str>(0).parse().unwrap_or(0);
        assert!(content <= revision.get(), "round {round}");
    }
    let done: u64 = refreshers.iter().map(|one| one.health()[0].refreshed).sum();
    assert!(done >= 20, "each round elects at least one: {done}");
}

async fn as_of(database: &Database) -> u64 {
    let row = database.client.query_one("SELECT as_of::text FROM views WHERE name = 'users'", &[]).await.unwrap();
    row.get::<_, &str>(0).parse().unwrap()
}

/// A history that was put in the place of another one may have lower numbers: the stamp falls with it.
#[tokio::test]
async fn the_stamp_of_another_history_is_no_lower_bound() {
    let Some(database) = Database::new().await else { return };
    let views = database.views().await;
    let refresher = database.refresher(&views);
    refresher.refresh_now("users").await.unwrap();
    let lost = "UPDATE views SET as_of = '1000000000', identity = decode('00112233445566778899aabbccddeeff', 'hex')";
    database.client.batch_execute(lost).await.unwrap();
    refresher.refresh_now("users").await.unwrap();
    assert!(as_of(&database).await < 1_000_000_000, "it claims what was lost");
}

/// Each of these is found by what is above. A mistake is planted for the whole process, so that these want one each, as nextest gives them.
#[cfg(feature = "mistakes")]
mod mistakes {
    use cache_core::{Mistake, plant};

    const ROUNDS: usize = 10;

    fn finds(mistake: Mistake, test: fn()) {
        if test_services::shared_postgres().is_none() {
            return;
        }
        let planted = plant(mistake);
        // Whoever writes into another database of the server holds stamps back, and may hide it.
        let found = (0..ROUNDS).any(|_| std::panic::catch_unwind(test).is_err());
        drop(planted);
        assert!(found, "{mistake} was not found");
    }

    #[test]
    fn a_stamp_of_after_the_refresh_is_found() {
        finds(Mistake::AsOfAfterTheRefresh, super::no_stamp_claims_a_change_that_the_view_lacks);
    }

    #[test]
    fn a_stamp_that_never_falls_is_found() {
        finds(Mistake::AsOfByGreatest, super::the_stamp_of_another_history_is_no_lower_bound);
    }
}
