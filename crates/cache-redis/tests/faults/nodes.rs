//! One node of a cluster is dead, or does not answer: that is the trouble of its own keys.

use std::time::Duration;

use cache_redis::{BreakerConfig, BreakerState, NodeStatistics, RedisConfig};
use test_services::{Redis, RedisCluster, RedisOptions, Reply};

use crate::support::{Deployment, Instance, patient, until};

const KEYS: usize = 60;

/// As a cluster must be set up that is a cache: a node that is gone takes its own keys along, and no others.
fn cluster() -> Option<RedisCluster> {
    RedisCluster::start(&RedisOptions::default().setting("cluster-require-full-coverage", "no"))
}

fn config(cluster: &RedisCluster) -> RedisConfig {
    let breaker = BreakerConfig { minimum_calls: 4, half_open_calls: 2, ..patient("").breaker };
    let url = format!("redis+cluster://:{}@{}", cluster.password(), cluster.addresses());
    RedisConfig { get_timeout_ms: 500, connect_timeout_ms: 2_000, breaker, ..patient(url) }
}

async fn filled(instance: &Instance) {
    for number in 0..KEYS {
        instance.put(&number.to_string(), &number.to_string()).await;
    }
    // Which node has which slots is learnt behind the answers.
    until(|| async {
        instance.clock.advance(Duration::from_secs(10));
        let _ = instance.get("0").await;
        (instance.redis.statistics().nodes.len() == 3).then_some(())
    })
    .await;
}

/// One batch of all keys: how many were found, and how many failed. None is absent.
async fn batch(instance: &Instance) -> (usize, usize) {
    let names: Vec<String> = (0..KEYS).map(|number| number.to_string()).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let (mut found, mut failed) = (0, 0);
    for (name, answer) in names.iter().zip(instance.get_many(&names).await) {
        match answer {
            Ok(Some(text)) => {
                assert_eq!(text, *name);
                found += 1;
            }
            Ok(None) => panic!("{name} lies on a node that could not be asked: that is no miss"),
            Err(_) => failed += 1,
        }
    }
    (found, failed)
}

fn of<'a>(nodes: &'a [NodeStatistics], address: &str) -> &'a NodeStatistics {
    nodes.iter().find(|node| node.address == address).expect("it is known")
}

async fn others_go_on(instance: &Instance, address: &str) {
    let mut failed_alone = 0;
    for _ in 0..6 {
        let (found, failed) = batch(instance).await;
        assert!(found > KEYS / 3 && failed > 5, "{found} found, {failed} failed");
        failed_alone = failed;
    }
    let statistics = instance.redis.statistics();
    assert_eq!(of(&statistics.nodes, address).breaker, BreakerState::Open, "{statistics:?}");
    let others = statistics.nodes.iter().filter(|node| node.address != address);
    assert!(others.clone().count() == 2 && others.clone().all(|node| node.breaker_opened == 0), "{statistics:?}");
    assert_eq!(statistics.breaker, BreakerState::Open, "the worst of them");

    // Now it costs nobody anything any more: nothing waits for it.
    let before = statistics.failures("timeout") + statistics.failures("unreachable") + statistics.failures("broken");
    assert_eq!(batch(instance).await, (KEYS - failed_alone, failed_alone));
    let statistics = instance.redis.statistics();
    let after = statistics.failures("timeout") + statistics.failures("unreachable") + statistics.failures("broken");
    assert_eq!(before, after, "{statistics:?}");
    for number in 0..KEYS {
        let number = number.to_string();
        assert_eq!(instance.answer(&number).await, number, "from the tier, or from the origin");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_does_not_answer_costs_the_keys_of_the_others_nothing_and_comes_back() {
    let Some(cluster) = cluster() else { return };
    let instance = Deployment::default().instance(&config(&cluster));
    filled(&instance).await;
    assert_eq!(batch(&instance).await, (KEYS, 0));
    let stopped = &cluster.nodes()[1];
    stopped.pause();
    others_go_on(&instance, &stopped.address().to_string()).await;
    stopped.resume();
    until(|| async {
        instance.clock.advance(Duration::from_millis(500));
        let (found, _) = batch(&instance).await;
        (found == KEYS && instance.redis.statistics().breaker == BreakerState::Closed).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_dead_costs_the_keys_of_the_others_nothing() {
    let Some(cluster) = cluster() else { return };
    let instance = Deployment::default().instance(&config(&cluster));
    filled(&instance).await;
    let dead = &cluster.nodes()[2];
    dead.kill();
    others_go_on(&instance, &dead.address().to_string()).await;
}

/// In the middle of a move: the old owner sends us on for this once, and the new one answers only who says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_is_being_moved_is_asked_for_where_its_key_is() {
    let Some(cluster) = cluster() else { return };
    let instance = Deployment::default().instance(&config(&cluster));
    instance.put("a", "1").await;
    let of = |node: &Redis| match node.command(&["RANDOMKEY"]).expect("asked") {
        Reply::Text(name) => Some(name),
        _ => None,
    };
    let (from, name) = (0..3).find_map(|at| Some((at, of(&cluster.nodes()[at])?))).expect("it lies somewhere");
    let slot = cluster.slot(&name).expect("a slot").to_string();
    let (old, new) = (&cluster.nodes()[from], &cluster.nodes()[(from + 1) % 3]);
    let id = |node: &Redis| node.command(&["CLUSTER", "MYID"]).expect("asked").text().expect("text").to_owned();
    new.command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &id(old)]).expect("set");
    old.command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &id(new)]).expect("set");
    assert_eq!(instance.get("a").await, Ok(Some("1".to_owned())), "it has not moved yet");
    old.command(&["UNLINK", &name]).expect("as if it had moved, and been evicted there");
    assert_eq!(instance.get("a").await, Ok(None));
    instance.put("a", "2").await;
    assert_eq!((of(old), of(new)), (None, Some(name)), "what is new lies with the new owner");
    assert_eq!(instance.get("a").await, Ok(Some("2".to_owned())));
    assert_eq!(instance.redis.statistics().failures.iter().sum::<u64>(), 0);
}
