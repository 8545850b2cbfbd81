//! Redis as a cluster, as a master that sentinels know, and behind TLS.

use std::path::PathBuf;
use std::sync::OnceLock;

use cache_core::CacheLayer as _;
use cache_core::testing::{Fixture, Setting, SharedLayer, TestValue, laws};
use cache_redis::{RedisConfig, RedisLayer};
use test_services::{Certificates, Redis, RedisCluster, RedisOptions, RedisSentinel, Reply, Tls};

use crate::support::{Deployment, Instance, layer, patient, until};

/// The cluster of this process, for fixtures that are made from nothing.
static CLUSTER: OnceLock<String> = OnceLock::new();

#[derive(Default)]
struct OnCluster;

impl Fixture for OnCluster {
    async fn layer(&self, setting: &Setting) -> SharedLayer {
        let url = CLUSTER.get().expect("the test has started it");
        let layer: RedisLayer<TestValue> = layer(&patient(url), setting);
        layer.bind(setting.identity);
        SharedLayer::new(layer)
    }
}

fn url_of(cluster: &RedisCluster) -> String {
    format!("redis+cluster://:{}@{}", cluster.password(), cluster.addresses())
}

fn keys_of(node: &Redis) -> i64 {
    match node.command(&["DBSIZE"]).expect("asked") {
        Reply::Integer(keys) => keys,
        other => panic!("{other:?}"),
    }
}

/// One cluster for all of them, because to start one takes seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_keeps_the_laws_and_keys_spread_over_its_nodes() {
    let Some(cluster) = RedisCluster::start(&RedisOptions::default()) else { return };
    let url = CLUSTER.get_or_init(|| url_of(&cluster));
    laws::a_filled_value_is_found_with_its_provenance_unchanged(OnCluster).await;
    laws::keys_do_not_share_values(OnCluster).await;
    laws::a_batch_answers_in_order(OnCluster).await;
    laws::a_later_fill_replaces_an_earlier_one(OnCluster).await;
    laws::removed_keys_are_forgotten_and_no_others(OnCluster).await;
    laws::clearing_forgets_everything(OnCluster).await;
    laws::many_tasks_at_once_get_their_own_values(OnCluster).await;
    laws::an_invalidated_value_is_a_miss_although_nothing_was_deleted(OnCluster).await;
    laws::an_expired_value_is_a_miss(OnCluster).await;

    for node in cluster.nodes() {
        node.command(&["FLUSHALL"]).expect("flushed");
    }
    let instance = Deployment::default().instance(&patient(url));
    for number in 0..300 {
        instance.put(&number.to_string(), &number.to_string()).await;
    }
    for node in cluster.nodes() {
        assert!(keys_of(node) > 60, "one of three nodes holds {} of 300 keys and more", keys_of(node));
    }

    // A slot moves while it is used, without what lay in it: who asks is sent on, and nobody hears of it.
    let name = some_name(&cluster.nodes()[0]);
    cluster.nodes()[0].command(&["UNLINK", &name]).expect("unlinked");
    cluster.move_slot(cluster.slot(&name).expect("a slot"), 1).expect("it moves");
    let mut gone = 0;
    for number in 0..300 {
        let number = number.to_string();
        if instance.get(&number).await.expect("no error").is_none() {
            gone += 1;
            instance.put(&number, &number).await;
        }
        assert_eq!(instance.get(&number).await, Ok(Some(number)));
    }
    assert_eq!(gone, 1);
    let statistics = instance.redis.statistics();
    assert_eq!(statistics.failures.iter().sum::<u64>(), 0, "{statistics:?}");

    // A node dies: its keys can't be asked for, which is an error and no miss, and the others go on.
    cluster.nodes()[2].kill();
    let short = RedisConfig { get_timeout_ms: 200, ..patient(url) };
    let instance = survivor(&instance, &short).await;
    let (mut found, mut failed) = (0, 0);
    for number in 0..30 {
        let number = number.to_string();
        match instance.get(&number).await {
            Ok(Some(text)) => {
                assert_eq!(text, number);
                found += 1;
            }
            Ok(None) => panic!("a value that lies on a dead node is no miss"),
            Err(_) => failed += 1,
        }
    }
    assert!(found > 5 && failed > 2, "{found} found, {failed} failed");
}

/// Another instance of the same deployment, with other settings, that has found the cluster.
async fn survivor(of: &Instance, config: &RedisConfig) -> Instance {
    let deployment = Deployment {
        log: std::sync::Arc::clone(of.chain.log()),
        clock: std::sync::Arc::clone(&of.clock),
        keyer: cache_core::Keyer::random().expect("random"),
    };
    let instance = deployment.instance(config);
    until(|| async {
        let _ = instance.get("0").await;
        (instance.redis.statistics().connections.made > 0).then_some(())
    })
    .await;
    instance
}

fn some_name(node: &Redis) -> String {
    match node.command(&["RANDOMKEY"]).expect("asked") {
        Reply::Text(name) => name,
        other => panic!("{other:?}"),
    }
}

/// The old master becomes a replica, or dies; either way the sentinels are asked for the new one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_master_is_found_by_asking_the_sentinels_again() {
    let Some(sentinel) = RedisSentinel::start(&RedisOptions::default()) else { return };
    let config = RedisConfig {
        password: Some(sentinel.password().into()),
        sentinel_password: Some(sentinel.sentinel().password().into()),
        ..patient(format!("redis+sentinel://{}/{}", sentinel.sentinel().address(), sentinel.name()))
    };
    let instance = Deployment::default().instance(&config);
    instance.put("a", "1").await;
    assert_eq!(instance.get("a").await, Ok(Some("1".to_owned())));
    let old = sentinel.master_address().expect("a master");
    sentinel.switch().expect("the replica takes over");
    assert_ne!(sentinel.master_address().expect("a master"), old);
    stores_again(&instance).await;
    sentinel.kill_master().expect("the other one takes over");
    stores_again(&instance).await;
    assert!(instance.redis.statistics().connections.made >= 3);
}

async fn stores_again(instance: &Instance) {
    until(|| async {
        instance.put("b", "2").await;
        instance.clock.advance(std::time::Duration::from_millis(500));
        instance.get("b").await.ok().flatten()
    })
    .await;
    let before = instance.chain.statistics().tiers[0].stored;
    until(|| async {
        instance.put("c", "3").await;
        (instance.chain.statistics().tiers[0].stored > before).then_some(())
    })
    .await;
}

fn server(tls: Tls) -> Option<Redis> {
    Redis::start(&RedisOptions::default().tls(tls))
}

fn trusting(redis: &Redis, authority: PathBuf) -> RedisConfig {
    RedisConfig { ca_file: Some(authority), ..patient(redis.url()) }
}

#[tokio::test]
async fn a_server_is_trusted_by_its_certificate_and_by_nothing_else() {
    let (ours, others) = (Certificates::make().expect("made"), Certificates::make().expect("made"));
    let Some(redis) = server(ours.server()) else { return };
    let instance = Deployment::default().instance(&trusting(&redis, ours.authority()));
    instance.put("a", "1").await;
    assert_eq!(instance.get("a").await, Ok(Some("1".to_owned())));

    let instance = Deployment::default().instance(&trusting(&redis, others.authority()));
    let error = instance.get("a").await.expect_err("its certificate was made by somebody else");
    assert!(error.contains("certificate"), "{error}");

    // A server that speaks no TLS is not asked without it.
    let url = redis.url().replace(&redis.address().to_string(), &redis.plain_address().to_string());
    let config = RedisConfig { connect_timeout_ms: 500, get_timeout_ms: 1_000, ..trusting(&redis, ours.authority()) };
    let instance = Deployment::default().instance(&RedisConfig { url: url.into(), ..config });
    instance.get("a").await.expect_err("it does not speak TLS");
}

#[tokio::test]
async fn a_server_that_asks_for_a_certificate_gets_ours() {
    let certificates = Certificates::make().expect("made");
    let Some(redis) = server(Tls { clients_too: true, ..certificates.server() }) else { return };
    let without = trusting(&redis, certificates.authority());
    let error = Deployment::default().instance(&without).get("a").await.expect_err("it wants to see one");
    assert!(!error.contains(redis.password()), "{error}");
    let with = RedisConfig {
        client_cert_file: Some(certificates.client_certificate()),
        client_key_file: Some(certificates.client_key()),
        ..without
    };
    let instance = Deployment::default().instance(&with);
    instance.put("a", "1").await;
    assert_eq!(instance.get("a").await, Ok(Some("1".to_owned())));
}
