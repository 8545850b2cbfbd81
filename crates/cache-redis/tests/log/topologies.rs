//! The log where Redis is several servers: behind sentinels, and in a cluster.

use cache_core::Log as _;
use cache_redis::RedisConfig;
use test_services::{RedisCluster, RedisOptions, RedisSentinel};

use crate::epochs::renewed;
use crate::support::{Instance, L1, Origin, STREAM, config, patient};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_master_behind_sentinels_is_another_log() {
    let Some(sentinel) = RedisSentinel::start(&RedisOptions::default()) else { return };
    let redis = RedisConfig {
        password: Some(sentinel.password().into()),
        sentinel_password: Some(sentinel.sentinel().password().into()),
        ..patient(format!("redis+sentinel://{}/{}", sentinel.sentinel().address(), sentinel.name()))
    };
    let (a, b) = (Instance::join(&redis, config()).await, Instance::join(&redis, config()).await);
    let origin = Origin::with(&[("x", "old"), ("y", "same")]);
    for failover in [RedisSentinel::switch, RedisSentinel::kill_master] {
        for name in ["x", "y"] {
            a.get(name, &origin).await;
            b.get(name, &origin).await;
        }
        let before = a.log.identity().unwrap();
        // Blocking: it asks the sentinel until the other server is the master.
        tokio::task::block_in_place(|| failover(&sentinel)).unwrap();
        renewed(&a, &b, &origin, before).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_keeps_the_log_on_one_node_and_another_node_is_another_log() {
    let Some(cluster) = RedisCluster::start(&RedisOptions::default()) else { return };
    let redis = patient(format!("redis+cluster://:{}@{}", cluster.password(), cluster.addresses()));
    let (a, b) = (Instance::join(&redis, config()).await, Instance::join(&redis, config()).await);
    let origin = Origin::with(&[("x", "old"), ("y", "same")]);
    for round in 0..20 {
        b.get("x", &origin).await;
        b.get("y", &origin).await;
        origin.write("x", &round.to_string());
        let revision = a.invalidate("x").await;
        b.applied(revision).await;
        assert_eq!(b.get("x", &origin).await.0, round.to_string());
        assert_eq!(b.get("y", &origin).await.1, L1);
    }
    let status = b.log.status();
    assert_eq!((status.failures, status.epochs), (0, 0), "{:?}", status.last_error);

    // The slot moves, and what was in it does not.
    let before = a.log.identity().unwrap();
    let slot = cluster.slot(STREAM).unwrap();
    let owner = |node: usize| cluster.nodes()[node].command(&["EXISTS", STREAM]).is_ok();
    let (from, to) = if owner(0) { (0, 1) } else { ((1..3).find(|node| owner(*node)).unwrap(), 0) };
    cluster.nodes()[from].command(&["DEL", STREAM, crate::support::EPOCH]).unwrap();
    cluster.move_slot(slot, to).unwrap();
    renewed(&a, &b, &origin, before).await;
}
