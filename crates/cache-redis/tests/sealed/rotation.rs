//! Keys are rotated while values of every age are read: nothing is wrong, and only what a destroyed key sealed is a miss.

use cache_redis::{Fault, Keyring, RingFile};
use test_services::{Redis, RedisOptions};

use crate::support::{Deployment, Instance, patient};

async fn found(instance: &Instance, names: &[&str]) -> Vec<bool> {
    let mut found = Vec::new();
    for name in names {
        let text = instance.get(name).await.expect("redis answers");
        assert!(text.is_none() || text.as_deref() == Some(*name), "a wrong answer: {text:?}");
        found.push(text.is_some());
    }
    found
}

fn keyring(ring: &RingFile) -> Keyring {
    ring.keyring().expect("one is active")
}

#[tokio::test]
async fn a_rotation_changes_no_answer_and_a_key_that_is_gone_makes_misses_alone() {
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let deployment = Deployment::default();
    let mut ring = RingFile::generate().expect("made");
    let first = ring.keys().next().expect("one key").id.clone();
    let one = deployment.instance_with(&patient(redis.url()), &keyring(&ring));
    let other = deployment.instance_with(&patient(redis.url()), &keyring(&ring));
    let both = [&one, &other];
    let replace = |instance: &Instance, ring: &RingFile| {
        instance.redis.replace_keys(&keyring(ring)).expect("usable");
    };
    one.put("old", "old").await;

    let second = ring.add().expect("added");
    for instance in both {
        replace(instance, &ring);
        assert_eq!(found(instance, &["old"]).await, [true]);
    }
    ring.activate(&second).expect("known");
    replace(&one, &ring);
    one.put("new", "new").await;
    other.put("late", "late").await;
    for instance in both {
        assert_eq!(
            found(instance, &["old", "new", "late"]).await,
            [true; 3],
            "whoever has the new ring, and who not yet"
        );
    }
    replace(&other, &ring);
    let third = ring.add().expect("added");
    ring.activate(&third).expect("known");
    both.into_iter().for_each(|instance| replace(instance, &ring));
    one.put("newest", "newest").await;
    for instance in both {
        assert_eq!(found(instance, &["old", "new", "late", "newest"]).await, [true; 4]);
        assert_eq!(instance.redis.statistics().faults.iter().sum::<u64>(), 0);
    }

    assert_eq!(ring.destroy(&second), Ok(false));
    for instance in both {
        replace(instance, &ring);
        assert_eq!(found(instance, &["old", "new", "late", "newest"]).await, [true, false, true, true]);
        assert_eq!(instance.redis.statistics().faults(Fault::Key), 1);
        assert_eq!(instance.redis.statistics().unknown_keys, [(second.clone(), 1)]);
    }
    assert_eq!(ring.destroy(&first), Ok(true), "names derived from it");
    for instance in both {
        replace(instance, &ring);
        assert_eq!(found(instance, &["old", "new", "late", "newest"]).await, [false; 4]);
    }
    one.put("newest", "newest").await;
    assert_eq!(found(&other, &["newest"]).await, [true]);
    assert_eq!(one.redis.statistics().failures.iter().sum::<u64>(), 0);
}
