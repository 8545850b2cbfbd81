//! Limits that instances share in a real Redis, and what becomes of them when it is gone.

use std::time::Duration;

use serde_json::json;
use server::config::{Quota, Rate, SecretText, SecretUrl, Settings};
use test_services::{Redis, RedisOptions, Reply as Said};
use tokio::time::Instant;

use super::{NONE, ask, ask_from, rate};
use crate::support::World;

/// An instance on a Redis: all of them have one master key, and each has an origin of its own.
async fn instance(redis: &Redis, rate: Rate) -> World {
    let mut settings = Settings::default();
    settings.redis.url = Some(SecretUrl::new(redis.url()));
    settings.redis.get_timeout_ms = 2_000;
    settings.redis.connect_timeout_ms = 2_000;
    settings.redis.breaker.slow_call_ms = 2_000;
    settings.redis.breaker.minimum_calls = 3;
    settings.redis.breaker.open_ms = 50;
    settings.keys.master = Some(SecretText::new("ab".repeat(32)));
    settings.limits.rate = rate;
    let world = World::with(settings).await;
    world.store("only").await;
    world
}

/// The limits of one instance of two, of which one unit a second comes back.
fn slow(caller_burst: u32) -> Rate {
    Rate { instances: 2, caller: Quota { burst: caller_burst, per_second: 1 }, ..rate() }
}

/// How often Redis was asked about limits.
fn asked(redis: &Redis) -> u64 {
    let said = redis.command(&["INFO", "commandstats"]).unwrap();
    let line = said.text().unwrap().lines().find(|line| line.starts_with("cmdstat_evalsha:")).map(str::to_owned);
    line.map_or(0, |line| line.split(['=', ',']).nth(1).unwrap().parse().unwrap())
}

#[tokio::test]
async fn instances_share_a_quota() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let instances = [instance(&redis, slow(20)).await, instance(&redis, slow(20)).await];
    let begun = Instant::now();
    let mut allowed = 0;
    for question in 0..60 {
        let reply = ask(&instances[question % 2], "ann", &format!("d{question}")).await;
        assert!([200, 429].contains(&reply.status), "{}", reply.text);
        allowed += u64::from(reply.status == 200);
    }
    let most = 20 + begun.elapsed().as_secs() + 1;
    assert!((20..=most).contains(&allowed), "{allowed} of at most {most}");
}

#[tokio::test]
async fn a_refusal_is_remembered_and_lifted_by_its_cache_type() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    // A list takes 50 s to come back, so that what is remembered lasts as long as its cache type lets it.
    let world = instance(&redis, Rate { list_weight: 50, ..slow(50) }).await;
    let list = json!({"subject": {"type": "user", "id": "ann"}, "action": {"name": "can_view"}, "resource": {"type": "document"}});
    assert_eq!(world.post("/access/v1/search/resource", &list).await.status, 200);
    let mut other = list.clone();
    other["subject"]["id"] = "bob".into();
    let refused = world.post("/access/v1/search/resource", &other).await;
    assert_eq!(refused.status, 429);
    let before = asked(&redis);
    for _ in 0..10 {
        let refused = world.post("/access/v1/search/resource", &other).await;
        let seconds: u64 = refused.header("retry-after").parse().unwrap();
        assert!(refused.status == 429 && (1..=50).contains(&seconds), "{}", refused.text);
    }
    assert_eq!(asked(&redis), before, "nobody needs to be asked");
    let all = world.admin_post("/admin/v1/invalidate", &json!({"scope": "type", "name": "rate_limit_status"})).await;
    assert_eq!(all.status, 200, "{}", all.text);
    assert_eq!(world.post("/access/v1/search/resource", &other).await.status, 429);
    assert_eq!(asked(&redis), before + 1, "what is not remembered is asked for, and is as it was");
}

#[tokio::test]
async fn without_redis_each_instance_counts_for_itself_and_no_question_fails() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let world = instance(&redis, slow(20)).await;
    assert_eq!(ask(&world, "ann", "plan").await.header("ratelimit-policy"), "\"caller\";q=20;w=20");
    redis.kill();
    let mut statuses = Vec::new();
    for document in 0..40 {
        let reply = ask(&world, "ann", &format!("d{document}")).await;
        assert!([200, 429].contains(&reply.status), "{}", reply.text);
        statuses.push(reply.status);
        assert!(ask(&world, "ann", "plan").await.decision(), "a hit needs nobody");
    }
    assert_eq!(statuses[..10], [200; 10], "its part is half of the quota, and nothing of it was used");
    assert!(statuses.contains(&429), "and no more than that");
    // Somebody whom it has not met yet: the first unit is taken of the whole quota once Redis is there again.
    redis.restart().unwrap();
    let back = async {
        for number in 0_u64.. {
            let address = format!("192.0.2.{}", number % 250);
            let reply = ask_from(&world, &address, "bob", &format!("e{number}")).await;
            if reply.header("ratelimit").starts_with("\"caller\";r=19;") {
                return;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(20), back).await.expect("the breaker lets it through again");
}

#[tokio::test]
async fn what_lies_in_redis_names_nobody() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let world = instance(&redis, Rate { subject: Quota { burst: 20, per_second: 1 }, caller: NONE, ..rate() }).await;
    world.decisions.switch_tier("l2", false);
    assert_eq!(ask(&world, "ann-of-the-secret-service", "plan").await.status, 200);
    let Said::List(names) = redis.command(&["KEYS", "*"]).unwrap() else { panic!("a list") };
    assert!(!names.is_empty());
    assert!(names.iter().all(|name| !name.text().unwrap().contains("ann")), "{names:?}");
}
