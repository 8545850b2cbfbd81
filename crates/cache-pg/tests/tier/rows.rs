//! What a row says, what its absence says, and what says nothing.

use std::time::Duration;

use crate::support::{Database, User, UserKey, name, stamp_of, until, user, user_tag};
use cache_core::{CacheLayer, CacheLayerExt, Identity, Keyer, Kill, Lookup, Now, Stamp};
use cache_pg::{View, ViewConfig, Views};
use pg_log::{Pg, PgConfig};

/// After that a session asks again how old a view is.
const A_MOMENT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn a_row_is_a_hit_and_its_absence_a_negative_hit_in_one_round_trip_each() {
    let Some(database) = Database::new().await else { return };
    let views = database.views().await;
    stamp_of(database.refresher(&views).refresh_now("users").await.unwrap());
    let (chain, handle) = database.chain(&views);
    assert_eq!(name(&chain, 7).await.as_deref(), Some("user 7"));
    assert_eq!(name(&chain, 0).await.as_deref(), Some("-"));
    let seen = handle.statistics();
    assert_eq!((seen.rows, seen.absent, seen.round_trips), (1, 1, 2));
}

#[tokio::test]
async fn a_batch_over_several_views_is_one_round_trip_and_answers_in_order() {
    let Some(database) = Database::new().await else { return };
    let loud = View::new("loud", "SELECT id, upper(name) AS name FROM public.users").key("id").value("name");
    let views = database.views_of(vec![Database::users(), loud]).await;
    let refresher = database.refresher(&views);
    stamp_of(refresher.refresh_now("users").await.unwrap());
    stamp_of(refresher.refresh_now("loud").await.unwrap());
    let (chain, handle) = database.chain(&views);
    let asked: Vec<UserKey> = (0..2_500_usize)
        .map(|number| UserKey {
            id: (number % 1_200).to_string(),
            view: [Some("users"), Some("loud"), None, Some("unknown")][number % 4],
        })
        .collect();
    let keys: Vec<_> = asked.iter().map(|key| chain.key(key)).collect();
    let found = chain.find_many(&keys).await;
    for (key, lookup) in asked.iter().zip(found) {
        let value = lookup.hit().map(|hit| hit.value().0.clone());
        let exists = (1..=1_000).contains(&key.id.parse::<i32>().unwrap());
        let expected = match key.view {
            Some("users") => Some(exists.then(|| format!("user {}", key.id))),
            Some("loud") => Some(exists.then(|| format!("USER {}", key.id))),
            _ => None,
        };
        assert_eq!(value, expected, "{key:?}");
    }
    assert_eq!(handle.statistics().round_trips, 1);
}

#[tokio::test]
async fn a_key_that_no_view_answers_costs_no_round_trip() {
    let Some(database) = Database::new().await else { return };
    let views = database.views().await;
    database.refresher(&views).refresh_now("users").await.unwrap();
    let (chain, handle) = database.chain(&views);
    assert!(matches!(chain.get(&UserKey { view: None, ..user(1) }).await, Lookup::Miss));
    assert!(matches!(chain.get(&UserKey { view: Some("unknown"), ..user(1) }).await, Lookup::Miss));
    assert!(matches!(chain.get(&user("1\0")).await, Lookup::Miss), "no row has such a key");
    assert_eq!(handle.statistics().round_trips, 0);
}

#[tokio::test]
async fn a_view_that_was_never_refreshed_has_nothing_not_even_absences() {
    let Some(database) = Database::new().await else { return };
    let views = database.views().await;
    let (chain, handle) = database.chain(&views);
    assert_eq!(name(&chain, 7).await, None);
    assert_eq!(name(&chain, 0).await, None);
    assert_eq!(handle.statistics().unready, 2);
    // Another process refreshes it.
    let elsewhere = Views::new(database.pg.clone(), vec![Database::users()]).unwrap();
    stamp_of(database.refresher(&elsewhere).refresh_now("users").await.unwrap());
    database.look_ups.advance(Duration::from_secs(1));
    assert_eq!(name(&chain, 7).await.as_deref(), Some("user 7"));
}

#[tokio::test]
async fn a_row_without_a_value_does_not_answer() {
    let Some(database) = Database::new().await else { return };
    database.change("UPDATE users SET name = NULL WHERE id = 7").await;
    let views = database.views().await;
    database.refresher(&views).refresh_now("users").await.unwrap();
    let (chain, handle) = database.chain(&views);
    assert_eq!(name(&chain, 7).await, None, "it is there, and it is not known what it says");
    assert_eq!(name(&chain, 0).await.as_deref(), Some("-"));
    assert_eq!(handle.statistics().unanswered, 1);
}

#[tokio::test]
async fn a_view_of_another_history_means_nothing() {
    let Some(database) = Database::new().await else { return };
    let views = database.views().await;
    database.refresher(&views).refresh_now("users").await.unwrap();
    let layer = views.layer::<User>(ViewConfig::default(), database.time()).unwrap();
    let (handle, keyer, source) = (layer.handle(), Keyer::with_secret((1, 2)), user(7));
    let key = keyer.key(&source);
    assert!(layer.get(&key).await.unwrap().is_none(), "whose history it is was not said yet");
    assert_eq!(handle.statistics().round_trips, 0);
    layer.bind(Identity([7; 16]));
    assert!(layer.get(&key).await.unwrap().is_none());
    assert_eq!(handle.statistics().foreign, 2);
    layer.bind(database.identity);
    assert_eq!(layer.get(&key).await.unwrap().unwrap().value(), &User(Some("user 7".to_owned())));

    // The other way round: the process knows its history, and the view was refreshed in another.
    database.change("UPDATE views SET identity = decode(repeat('07', 16), 'hex')").await;
    database.look_ups.advance(A_MOMENT);
    assert!(layer.get(&key).await.unwrap().is_none());
    database.refresher(&views).refresh_now("users").await.unwrap();
    assert!(layer.get(&key).await.unwrap().is_some());
}

#[tokio::test]
async fn for_a_moment_a_row_has_the_age_that_its_session_was_told_before_never_a_newer_one() {
    let Some(database) = Database::new().await else { return };
    let mut config = PgConfig::new(&database.url);
    config.shared_connections = 1;
    let pg = Pg::new(config).unwrap();
    let views = Views::new(pg.clone(), vec![Database::users()]).unwrap();
    views.migrate().await.unwrap();
    let layer = views.layer::<User>(ViewConfig::default(), database.time()).unwrap();
    layer.bind(database.identity);
    let elsewhere = Views::new(database.pg.clone(), vec![Database::users()]).unwrap();
    let refresher = database.refresher(&elsewhere);
    let renamed = async |name: &str, after: Stamp| {
        database.change(&format!("UPDATE users SET name = '{name}' WHERE id = 7")).await;
        let mut as_of = after;
        // Whoever writes into another database of the server meanwhile holds it back.
        until("the view is younger", async || {
            as_of = stamp_of(refresher.refresh_now("users").await.unwrap());
            as_of > after
        })
        .await;
        as_of
    };
    let (keyer, source) = (Keyer::with_secret((1, 2)), user(7));
    let found = async || {
        let entry = layer.get(&keyer.key(&source)).await.unwrap().unwrap();
        (entry.value().0.clone().unwrap(), entry.stamp())
    };
    let named = |name: &str, stamp| (name.to_owned(), stamp);

    let first = renamed("ann", Stamp::OLDEST).await;
    assert_eq!(found().await, named("ann", first));
    let second = renamed("bob", first).await;
    assert_eq!(found().await, named("bob", first), "the row is asked for by itself");
    database.look_ups.advance(A_MOMENT);
    assert_eq!(found().await, named("bob", second));
    let third = renamed("eve", second).await;
    pg.shared().await.unwrap().discard();
    // Whoever comes before its end is seen gets an error.
    until("another session", async || layer.get(&keyer.key(&source)).await.is_ok()).await;
    assert_eq!(found().await, named("eve", third), "another session was told nothing yet");
    database.change("DELETE FROM users WHERE id = 7").await;
    refresher.refresh_now("users").await.unwrap();
    let entry = layer.get(&keyer.key(&source)).await.unwrap().unwrap();
    assert_eq!((entry.value(), entry.stamp()), (&User(None), third), "an absence is as old");
}

#[tokio::test]
async fn an_entry_has_the_stamp_of_its_view_the_tags_of_its_row_and_no_end() {
    let Some(database) = Database::new().await else { return };
    let views = database.views().await;
    let as_of = stamp_of(database.refresher(&views).refresh_now("users").await.unwrap());
    let layer = views.layer::<User>(ViewConfig::default(), database.time()).unwrap();
    layer.bind(database.identity);
    let (keyer, present, absent) = (Keyer::with_secret((1, 2)), user(7), user("nobody"));
    for (source, id) in [(&present, "7"), (&absent, "nobody")] {
        let key = keyer.key(source);
        assert!(matches!(layer.get_now(&key), Now::NotLocal));
        let entry = layer.get(&key).await.unwrap().unwrap();
        assert_eq!((entry.stamp(), entry.tags()), (as_of, &[user_tag(id)][..]));
        assert_eq!(entry.types(), cache_core::TypeSet::of(crate::support::USER));
        assert_eq!(entry.hard_expiry(), cache_core::Moment::NEVER);
    }
}

#[tokio::test]
async fn what_was_killed_since_the_refresh_is_passed_over_and_the_rest_is_used() {
    let Some(database) = Database::new().await else { return };
    let views = database.views().await;
    let refresher = database.refresher(&views);
    let first = stamp_of(refresher.refresh_now("users").await.unwrap());
    let (chain, _) = database.chain(&views);
    let gone = database.change("DELETE FROM users WHERE id = 7").await;
    let new = database.change("INSERT INTO users VALUES (2000, 'user 2000')").await;
    assert!(!first.contains(gone), "a change after the refresh is not in it");
    assert_eq!(name(&chain, 7).await.as_deref(), Some("user 7"), "nobody was told yet");
    database.log.apply(gone, &[Kill::Tag(user_tag("7"))]);
    database.log.apply(new, &[Kill::Tag(user_tag("2000"))]);
    assert_eq!(name(&chain, 7).await, None, "the row is older than what killed it");
    assert_eq!(name(&chain, 2000).await, None, "so is its absence");
    assert_eq!(name(&chain, 8).await.as_deref(), Some("user 8"));
    assert_eq!(name(&chain, 2001).await.as_deref(), Some("-"));

    let second = stamp_of(refresher.refresh_now("users").await.unwrap());
    crate::support::until("the oldest transaction of the cluster is younger than the change", async || {
        let _ = refresher.refresh_now("users").await;
        name(&chain, 7).await.is_some()
    })
    .await;
    assert!(second >= first && second > Stamp::OLDEST);
    assert_eq!(name(&chain, 7).await.as_deref(), Some("-"));
    assert_eq!(name(&chain, 2000).await.as_deref(), Some("user 2000"));
}
