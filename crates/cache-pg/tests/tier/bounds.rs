//! What can't be had in time is an error, not a miss, and nobody waits without a bound.

use std::time::Duration;

use cache_core::{CacheLayer, CacheLayerExt, Chain, ErrorKind, Keyer, Lookup, Source};
use cache_pg::{ViewConfig, Views};
use pg_log::{Pg, PgConfig};

use crate::support::{Database, User, name, until, user};

/// Holds up whoever reads the view, as somebody does who refreshes it by hand and not concurrently.
const LOCK: &str = "BEGIN; REFRESH MATERIALIZED VIEW users_v1";

#[tokio::test]
async fn a_look_up_that_takes_too_long_is_an_error_and_the_next_ones_are_not_held_up_by_it() {
    let Some(database) = Database::new().await else { return };
    let views = database.views().await;
    database.refresher(&views).refresh_now("users").await.unwrap();
    let (chain, handle) = database.chain(&views);
    assert!(name(&chain, 7).await.is_some());
    let keeper = database.another_client().await;
    keeper.batch_execute(LOCK).await.unwrap();
    let source = user(7);
    let (lookup, ()) = tokio::join!(chain.get(&source), async {
        until("the look-up waits", async || database.clock.sleepers() == 1).await;
        database.clock.advance(Duration::from_millis(500));
    });
    match lookup {
        Lookup::Error(errors) => assert_eq!((errors[0].kind(), errors[0].place()), (ErrorKind::Timeout, "l3")),
        other => panic!("{other:?}"),
    }
    assert_eq!(handle.statistics().timeouts, 1);
    keeper.batch_execute("COMMIT").await.unwrap();
    assert!(name(&chain, 7).await.is_some());
}

#[tokio::test]
async fn who_gets_no_turn_in_time_is_refused_as_overload() {
    let Some(database) = Database::new().await else { return };
    let views = database.views().await;
    database.refresher(&views).refresh_now("users").await.unwrap();
    let config = ViewConfig { max_in_flight: 1, wait_ms: 50, timeout_ms: 60_000, ..ViewConfig::default() };
    let layer = views.layer::<User>(config, database.time()).unwrap();
    layer.bind(database.identity);
    let (handle, keyer) = (layer.handle(), Keyer::with_secret((1, 2)));
    let sources: Vec<_> = (1..=3).map(user).collect();
    let keys: Vec<_> = sources.iter().map(|source| keyer.key(source)).collect();
    let keeper = database.another_client().await;
    keeper.batch_execute(LOCK).await.unwrap();
    let (first, second, third, ()) =
        tokio::join!(layer.get(&keys[0]), layer.get(&keys[1]), layer.get(&keys[2]), async {
            until("one asks and two wait", async || database.clock.sleepers() == 3).await;
            database.clock.advance(Duration::from_millis(50));
            until("two were refused", async || handle.statistics().refused == 2).await;
            keeper.batch_execute("COMMIT").await.unwrap();
        });
    assert!(first.unwrap().is_some());
    for refused in [second, third] {
        let error = refused.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Overloaded, "{error}");
        assert!(error.is_retryable());
    }
    assert!(layer.get(&keys[1]).await.unwrap().is_some(), "turns are given back");
}

#[tokio::test]
async fn a_postgres_that_is_away_is_an_error_and_the_origin_answers() {
    let Some(database) = Database::new().await else { return };
    let away = Pg::new(PgConfig::new("postgresql://nobody@127.0.0.1:1/nothing")).unwrap();
    let views = Views::new(away, vec![Database::users()]).unwrap();
    let (chain, _) = database.chain(&views);
    assert!(matches!(chain.get(&user(7)).await, Lookup::Error(_)));
    let load = |_| async { Ok::<_, std::io::Error>(User(Some("from the origin".to_owned()))) };
    let answer = chain.get_or_load(&user(7), load).await.unwrap();
    assert_eq!(answer.source, Source::Origin);
    let error = database.refresher(&views).refresh_now("users").await.unwrap_err();
    assert!(error.is_retryable(), "{error}");
}

#[tokio::test]
async fn tables_that_were_not_made_yet_are_an_error_and_no_miss() {
    let Some(database) = Database::new().await else { return };
    let views = Views::new(database.pg.clone(), vec![Database::users()]).unwrap();
    let (chain, _): (Chain<User>, _) = database.chain(&views);
    assert!(matches!(chain.get(&user(7)).await, Lookup::Error(_)));
    assert!(database.refresher(&views).refresh_now("users").await.is_err());
    assert!(
        database
            .refresher(&views)
            .refresh_now("others")
            .await
            .unwrap_err()
            .to_string()
            .contains("there are [\"users\"]")
    );
}

#[tokio::test]
async fn a_connection_that_broke_is_replaced() {
    let Some(database) = Database::new().await else { return };
    let views = database.views().await;
    database.refresher(&views).refresh_now("users").await.unwrap();
    let (chain, _) = database.chain(&views);
    assert!(name(&chain, 7).await.is_some());
    let kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                WHERE datname = current_database() AND application_name = 'tiergate'";
    database.client.batch_execute(kill).await.unwrap();
    until("look-ups answer again", async || matches!(chain.get(&user(7)).await, Lookup::Hit(_))).await;
}
