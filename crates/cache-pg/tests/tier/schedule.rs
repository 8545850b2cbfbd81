//! The schedule, with a clock that the test owns.

use std::time::Duration;

use cache_core::Kill;
use cache_pg::{Refresher, View, Views};

use crate::support::{Database, name, until, user_tag};

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_schedule_fills_a_view_at_once_and_keeps_it_young() {
    let Some(database) = Database::new().await else { return };
    let view = Database::users().every(Duration::from_millis(10));
    let views = database.views_of(vec![view]).await;
    let refresher = database.refresher(&views);
    refresher.start();
    until("it is filled", async || refresher.health()[0].refreshed == 1).await;
    let (chain, _) = database.chain(&views);
    assert_eq!(name(&chain, 7).await.as_deref(), Some("user 7"));
    database.change("UPDATE users SET name = 'ann' WHERE id = 7").await;
    assert_eq!(name(&chain, 7).await.as_deref(), Some("user 7"), "time stands still");
    until("the schedule sleeps", async || database.clock.sleepers() == 1).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    database.clock.advance(Duration::from_millis(10));
    until("it is refreshed", async || name(&chain, 7).await.as_deref() == Some("ann")).await;
    until("that is noted", async || refresher.health()[0].refreshed == 2).await;
}

fn looks(refresher: &Refresher) -> u64 {
    let health = refresher.health().remove(0);
    health.refreshed + health.elsewhere + health.young + health.failed
}

#[tokio::test]
async fn of_two_schedules_one_refreshes_and_the_other_finds_the_view_young() {
    let Some(database) = Database::new().await else { return };
    let views = database.views().await;
    let other_process = Views::new(database.pg.clone(), vec![Database::users()]).unwrap();
    let (one, two) = (database.refresher(&views), database.refresher(&other_process));
    one.start();
    two.start();
    for round in 1..=5 {
        until("both have looked", async || looks(&one) == round && looks(&two) == round).await;
        until("both sleep", async || database.clock.sleepers() == 2).await;
        let (one, two) = (one.health().remove(0), two.health().remove(0));
        assert_eq!(one.refreshed + two.refreshed, 1, "round {round}: {one:?} {two:?}");
        assert_eq!(one.failed + two.failed, 0);
        database.clock.advance(MINUTE);
    }
}

#[tokio::test]
async fn a_view_that_is_broken_for_hours_costs_hits_and_no_answer_and_is_told() {
    let Some(database) = Database::new().await else { return };
    let query = "SELECT id, name, 1 / (name <> 'broken')::int AS one FROM public.users";
    let view = View::new("users", query).key("id").value("CASE WHEN one = 1 THEN name END").limit(MINUTE);
    let views = database.views_of(vec![view]).await;
    let refresher = database.refresher(&views);
    refresher.start();
    until("it is filled", async || refresher.health()[0].refreshed == 1).await;
    // Time passes in this process only: the database says of every look that the view is as young as it really is.
    let set_back = "UPDATE views SET refreshed_at = refreshed_at - interval '1 minute'";
    let (chain, _) = database.chain(&views);
    let broken = database.change("UPDATE users SET name = 'broken' WHERE id = 1").await;
    database.log.apply(broken, &[Kill::Tag(user_tag("1"))]);
    for minute in 1..=180 {
        until("the schedule sleeps", async || database.clock.sleepers() == 1).await;
        database.client.batch_execute(set_back).await.unwrap();
        database.clock.advance(MINUTE);
        until("it failed again", async || refresher.health()[0].failed == minute).await;
        if minute % 60 == 0 {
            let id = minute + 1;
            let change = database.change(&format!("DELETE FROM users WHERE id = {id}")).await;
            assert_eq!(name(&chain, id).await, Some(format!("user {id}")), "nobody was told yet");
            database.log.apply(change, &[Kill::Tag(user_tag(&id.to_string()))]);
            assert_eq!(name(&chain, id).await, None);
            assert_eq!(name(&chain, 1).await, None);
            assert_eq!(name(&chain, 900).await.as_deref(), Some("user 900"), "what did not change is used");
        }
        let health = refresher.health().remove(0);
        assert_eq!(health.is_too_old, minute > 3, "after {minute} minutes: {health:?}");
    }
    let health = refresher.health().remove(0);
    assert_eq!((health.failed_in_a_row, health.refreshed), (180, 1));
    assert!(health.age.unwrap() >= Duration::from_secs(3 * 60 * 60), "{health:?}");
    assert!(health.trouble.unwrap().contains("division by zero"));

    database.change("UPDATE users SET name = 'whole' WHERE id = 1").await;
    until("the schedule sleeps", async || database.clock.sleepers() == 1).await;
    database.clock.advance(MINUTE);
    until("it is refreshed", async || refresher.health()[0].refreshed == 2).await;
    let health = refresher.health().remove(0);
    assert!(!health.is_too_old && health.trouble.is_none() && health.failed_in_a_row == 0, "{health:?}");
}

#[tokio::test]
async fn a_refresher_that_is_stopped_begins_nothing_more() {
    let Some(database) = Database::new().await else { return };
    let views = database.views().await;
    let refresher = database.refresher(&views);
    refresher.start();
    until("the schedule sleeps", async || database.clock.sleepers() == 1).await;
    refresher.stop();
    until("the schedule is gone", async || database.clock.sleepers() == 0).await;
    database.clock.advance(MINUTE);
    assert_eq!(refresher.health()[0].refreshed, 1);
}
