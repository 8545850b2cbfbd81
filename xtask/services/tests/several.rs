//! Servers that belong together: a cluster, and a master with a replica and a sentinel.

use test_services::{RedisCluster, RedisOptions, RedisSentinel};

/// Asserts that a server refuses, and how.
fn refuses(server: &test_services::Redis, words: &[&str], with: &str) {
    let said = server.command(words).expect_err("it refuses").to_string();
    assert!(said.contains(with), "{said}");
}

#[test]
fn the_nodes_of_a_cluster_share_its_keys_and_know_who_has_which() {
    let Some(cluster) = RedisCluster::start(&RedisOptions::default()) else { return };
    let [first, second, third] = cluster.nodes() else { panic!("three nodes") };
    assert_eq!(cluster.addresses().split(',').count(), 3);
    // b lies in slot 3300, c in 7365, a in 15495.
    for (node, key) in [(first, "b"), (second, "c"), (third, "a")] {
        node.command(&["SET", key, "1"]).expect("it is there");
        for other in cluster.nodes().iter().filter(|other| other.address() != node.address()) {
            refuses(
                other,
                &["GET", key],
                &format!("MOVED {} {}", cluster.slot(key).expect("it answers"), node.address()),
            );
        }
    }

    let slot = cluster.slot("d").expect("it answers");
    refuses(first, &["GET", "d"], "MOVED");
    cluster.move_slot(slot, 0).expect("it holds no key");
    first.command(&["GET", "d"]).expect("it is there now");
    refuses(second, &["GET", "d"], &format!("MOVED {slot} {}", first.address()));

    third.kill();
    first.command(&["GET", "b"]).expect("the others serve their own slots");
    third.restart().expect("it starts again");
}

#[test]
fn a_sentinel_makes_the_replica_the_master() {
    let Some(set) = RedisSentinel::start(&RedisOptions::default()) else { return };
    let [one, other] = set.servers();
    assert_eq!(set.master_address().expect("it answers"), one.address());
    refuses(other, &["SET", "a", "1"], "READONLY");

    set.switch().expect("it switches");
    assert_eq!(set.master_address().expect("it answers"), other.address());
    refuses(one, &["SET", "a", "1"], "READONLY");
    other.command(&["SET", "a", "1"]).expect("it is the master");
}

#[test]
fn a_sentinel_replaces_a_master_that_is_killed() {
    let Some(set) = RedisSentinel::start(&RedisOptions::default()) else { return };
    let [one, other] = set.servers();
    one.command(&["SET", "a", "1"]).expect("it is the master");
    one.command(&["WAIT", "1", "5000"]).expect("the replica has it");
    set.kill_master().expect("it is replaced");
    assert_eq!(set.master_address().expect("it answers"), other.address());
    assert_eq!(other.command(&["GET", "a"]).expect("it answers").text(), Some("1"));
}
