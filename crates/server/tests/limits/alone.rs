//! What is limited, for whom, and what is not: by an instance that counts alone.

use std::collections::BTreeMap;

use server::config::{ActionClass, Rate, Settings};

use super::{ask, ask_from, once, question, rate, world};
use crate::support::World;

#[tokio::test]
async fn without_limits_nothing_is_counted_and_nothing_is_told() {
    let world = World::with(Settings::default()).await;
    world.store("only").await;
    for document in 0..50 {
        let reply = ask(&world, "ann", &format!("d{document}")).await;
        assert_eq!((reply.status, reply.header("ratelimit")), (200, ""));
    }
}

#[tokio::test]
async fn a_miss_is_counted_and_a_hit_is_free() {
    let world = world(Rate { subject: once(3), ..rate() }).await;
    let miss = ask(&world, "ann", "plan").await;
    assert!(miss.decision());
    assert_eq!(miss.header("ratelimit-policy"), "\"subject\";q=3000;w=3000");
    assert_eq!(miss.header("ratelimit"), "\"subject\";r=2;t=1000");
    for _ in 0..10 {
        let hit = ask(&world, "ann", "plan").await;
        assert!(hit.decision());
        assert_eq!((hit.header("ratelimit"), hit.header("ratelimit-policy")), ("", ""), "it took nothing");
    }
    assert_eq!(ask(&world, "ann", "a").await.header("ratelimit"), "\"subject\";r=1;t=2000");
    assert_eq!(ask(&world, "ann", "b").await.header("ratelimit"), "\"subject\";r=0;t=3000");
    let refused = ask(&world, "ann", "c").await;
    assert_eq!((refused.status, refused.header("ratelimit")), (429, "\"subject\";r=0;t=1000"));
    assert!(ask(&world, "ann", "plan").await.decision(), "what is known is answered all the same");
    assert_eq!(ask(&world, "ann", "c").await.status, 429, "a refusal is no decision that somebody could remember");
}

#[tokio::test]
async fn each_subject_has_a_quota_of_its_own_in_each_store() {
    let world = world(Rate { subject: once(2), ..rate() }).await;
    for document in ["a", "b"] {
        assert_eq!(ask(&world, "ann", document).await.status, 200);
    }
    assert_eq!(ask(&world, "ann", "c").await.status, 429);
    assert_eq!(ask(&world, "bob", "c").await.status, 200);
    let other = world.store("other").await.0;
    let path = format!("/stores/{other}/access/v1/evaluation");
    assert_eq!(world.post(&path, &question("ann", "c")).await.status, 200);
}

#[tokio::test]
async fn each_caller_has_a_quota_of_its_own_whoever_it_asks_about() {
    let world = world(Rate { caller: once(3), ..rate() }).await;
    for user in ["a", "b", "c"] {
        assert_eq!(ask_from(&world, "192.0.2.7", user, "plan").await.status, 200);
    }
    let refused = ask_from(&world, "192.0.2.7", "d", "plan").await;
    assert_eq!((refused.status, refused.header("ratelimit-policy")), (429, "\"caller\";q=3000;w=3000"));
    assert_eq!(ask_from(&world, "192.0.2.7", "a", "plan").await.status, 200, "somebody's answer is everybody's hit");
    assert_eq!(ask_from(&world, "192.0.2.8", "d", "plan").await.status, 200);
    for network in ["2001:db8:0:1::1", "2001:db8:0:1::2", "2001:db8:0:1::3", "2001:db8:0:1::4"] {
        ask_from(&world, network, network.rsplit(':').next().unwrap(), "other").await;
    }
    assert_eq!(ask_from(&world, "2001:db8:0:1::5", "e", "other").await.status, 429, "a network is one caller");
    assert_eq!(ask_from(&world, "2001:db8:0:2::5", "e", "other").await.status, 200);
}

#[tokio::test]
async fn a_class_of_actions_has_a_quota_that_all_share_in_a_store() {
    let class = |actions: &[&str], burst| {
        let actions = actions.iter().map(ToString::to_string).collect();
        ActionClass { actions, burst: once(burst).burst, per_second: 1 }
    };
    let classes = [("views".to_owned(), class(&["can_view"], 2)), ("rest".to_owned(), class(&["*"], 3))];
    let world = world(Rate { classes: BTreeMap::from(classes), ..rate() }).await;
    assert_eq!(ask(&world, "a", "plan").await.header("ratelimit-policy"), "\"class-views\";q=2000;w=2000");
    assert_eq!(ask(&world, "b", "plan").await.status, 200);
    assert_eq!(ask(&world, "c", "plan").await.status, 429);
    let mut other = question("c", "plan");
    other["action"]["name"] = "owner".into();
    let reply = world.post("/access/v1/evaluation", &other).await;
    assert_eq!((reply.status, reply.header("ratelimit")), (200, "\"class-rest\";r=2;t=1000"));
}

#[tokio::test]
async fn the_narrowest_of_several_quotas_decides_and_all_are_told() {
    let world = world(Rate { caller: once(100), subject: once(2), ..rate() }).await;
    assert_eq!(ask(&world, "ann", "a").await.header("ratelimit"), "\"caller\";r=99;t=1000, \"subject\";r=1;t=1000");
    assert_eq!(ask(&world, "ann", "b").await.status, 200);
    assert_eq!(ask(&world, "ann", "c").await.header("ratelimit"), "\"caller\";r=97;t=3000, \"subject\";r=0;t=1000");
    let known = ask(&world, "ann", "d").await;
    assert_eq!((known.status, known.header("ratelimit")), (429, "\"subject\";r=0;t=1000"), "nothing more was taken");
    assert_eq!(ask(&world, "bob", "a").await.header("ratelimit"), "\"caller\";r=96;t=4000, \"subject\";r=1;t=1000");
}

#[tokio::test]
async fn a_question_that_makes_no_sense_takes_nothing() {
    let world = world(Rate { subject: once(1), ..rate() }).await;
    let mut unknown = question("ann", "plan");
    unknown["action"]["name"] = "can_fly".into();
    for _ in 0..5 {
        let reply = world.post("/access/v1/evaluation", &unknown).await;
        assert_eq!((reply.status, reply.header("ratelimit")), (200, ""));
    }
    assert_eq!(ask(&world, "ann", "plan").await.status, 200);
}
