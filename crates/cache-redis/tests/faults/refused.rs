//! Redis answers, and the answer is no: each no is told from the others by what there is to do about it.

use std::time::Duration;

use cache_core::testing::{ALPHA, TestKey};
use cache_redis::{BreakerState, RedisConfig};
use test_services::{Redis, RedisOptions};

use crate::support::stub::Stub;
use crate::support::{Deployment, connection, patient, until};

/// All that the tier needs: see its documentation.
const USER: &str = "tier on >the-password ~tiergate:* resetchannels -@all +get +mget +getex +set +unlink +ping";

#[tokio::test]
async fn a_wrong_password_opens_the_breaker_and_is_shown_nowhere() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    for url in [format!("redis://{}", redis.address()), format!("redis://:hunter2@{}", redis.address())] {
        let instance = Deployment::default().instance(&patient(url));
        let error = instance.get("a").await.expect_err("refused");
        assert!(error.contains("refused us") && error.contains("check the user"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
        let error = instance.get("a").await.expect_err("not asked again");
        assert!(error.contains("not asked"), "{error}");
        assert_eq!(instance.redis.statistics().breaker, BreakerState::Open, "each further try might lock an account");
        assert_eq!(instance.answer("a").await, "a", "the origin answers");
    }
}

/// Also where a test's clock lets the breaker ask again: what it asks for is what the documentation says.
#[tokio::test]
async fn an_acl_user_with_the_documented_commands_is_enough() {
    let Some(redis) = Redis::start(&RedisOptions::default().user(USER)) else { return };
    let config = RedisConfig {
        username: Some("tier".to_owned()),
        password: Some("the-password".into()),
        ..patient(format!("redis://{}", redis.address()))
    };
    let instance = Deployment::default().instance(&config);
    instance.put("a", "1").await;
    assert_eq!(instance.get_many(&["a", "b"]).await, [Ok(Some("1".to_owned())), Ok(None)]);
    assert!(instance.chain.remove(&TestKey::new(ALPHA, "a")).await.is_empty());
    instance.redis.ping().await.expect("it may ask");
    let cleared = instance.chain.invalidate_all_of(vec![cache_core::Kill::All]).await.expect("the log takes it");
    assert!(cleared.errors.is_empty(), "{:?}", cleared.errors);
    instance.clock.advance(Duration::from_secs(60));
    assert_eq!(instance.get("a").await, Ok(None));
    assert_eq!(instance.redis.statistics().failures.iter().sum::<u64>(), 0);
}

#[tokio::test]
async fn a_command_that_the_user_may_not_use_opens_the_breaker() {
    let user = USER.replace(" +get ", " ");
    let Some(redis) = Redis::start(&RedisOptions::default().user(user)) else { return };
    let config = patient(format!("redis://tier:the-password@{}", redis.address()));
    let instance = Deployment::default().instance(&config);
    let error = instance.get("a").await.expect_err("refused");
    assert!(error.contains("NOPERM") && !error.contains("the-password"), "{error}");
    assert_eq!(instance.redis.statistics().breaker, BreakerState::Open);
}

/// As after a failover, to who is still connected to the old master: the connection is given up, so that the next one may find the new one.
#[tokio::test]
async fn a_master_that_became_a_replica_costs_the_connection_and_removals_are_tried_once_more() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let instance = Deployment::default().instance(&patient(redis.url()));
    instance.put("a", "1").await;
    redis.command(&["REPLICAOF", "127.0.0.1", "1"]).expect("it has a new part");
    let errors = instance.chain.remove(&TestKey::new(ALPHA, "a")).await;
    assert!(errors.iter().any(|error| error.to_string().contains("takes no writes")), "{errors:?}");
    let statistics = instance.redis.statistics();
    assert_eq!(statistics.retries, 1, "once, on a new connection: {statistics:?}");
    assert!(statistics.connections.condemned >= 1, "{statistics:?}");
    redis.command(&["REPLICAOF", "NO", "ONE"]).expect("a master again");
    instance.put("b", "1").await;
    until(|| async { instance.chain.remove(&TestKey::new(ALPHA, "b")).await.is_empty().then_some(()) }).await;
}

/// A Redis with a large dump says LOADING for a while. It is asked again later, and its connection is kept.
#[tokio::test]
async fn a_redis_that_is_still_loading_is_waited_for() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let instance = Deployment::default().instance(&patient(redis.url()));
    instance.put("a", "1").await;
    let mut raw = connection(&redis.url()).await;
    let () = redis::cmd("DEBUG").arg("POPULATE").arg(20_000).query_async(&mut raw).await.expect("filled");
    let () = redis::cmd("SAVE").query_async(&mut raw).await.expect("saved");
    // Each key is read with a delay, in microseconds: the dump takes a second or two, and commands are answered in between.
    let set = |name: &'static str, value: &'static str| redis.command(&["CONFIG", "SET", name, value]).expect("set");
    set("key-load-delay", "50");
    set("loading-process-events-interval-bytes", "1024");
    let reload = std::thread::spawn(move || redis.command(&["DEBUG", "RELOAD", "NOSAVE"]).map(|_| redis));
    let error = until(|| async { instance.get("a").await.err() }).await;
    assert!(error.contains("is loading its data"), "{error}");
    assert_eq!(instance.get_at_last("a").await, "1");
    let statistics = instance.redis.statistics();
    assert_eq!(statistics.connections.condemned, 0, "{statistics:?}");
    drop(reload.join().expect("the reload ends"));
}

#[tokio::test]
async fn what_a_cluster_says_to_who_does_not_know_it_is_told_apart() {
    for (line, says, breaker) in [
        ("-MOVED 3999 127.0.0.1:6381", "use a redis+cluster URL", BreakerState::Closed),
        ("-ASK 3999 127.0.0.1:6381", "use a redis+cluster URL", BreakerState::Closed),
        ("-CLUSTERDOWN Hash slot not served", "can't serve the key (CLUSTERDOWN)", BreakerState::Closed),
        ("-TRYAGAIN Multiple keys request during rehashing of slot", "(TRYAGAIN)", BreakerState::Closed),
        ("-MASTERDOWN Link with MASTER is down", "(MASTERDOWN)", BreakerState::Closed),
        ("-NOAUTH Authentication required.", "refused us (NOAUTH)", BreakerState::Open),
        ("-LOADING Redis is loading the dataset in memory", "is loading its data", BreakerState::Closed),
        ("-ERR hunter2", "answered with the error ERR", BreakerState::Closed),
        (":42", "is not Redis", BreakerState::Closed),
    ] {
        let stub = Stub::saying(line).await;
        let instance = Deployment::default().instance(&patient(stub.url()));
        let error = instance.get("a").await.expect_err(line);
        assert!(error.contains(says), "{line}: {error}");
        assert!(!error.contains("hunter2"), "what a server says is not repeated: {error}");
        assert_eq!(instance.redis.statistics().breaker, breaker, "after {line}");
        assert_eq!(instance.answer("a").await, "a", "the origin answers");
    }
}
