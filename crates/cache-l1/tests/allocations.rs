//! A hit in memory allocates nothing: not the key, not the entry, not the future around them.

use std::sync::Arc;

use cache_core::testing::{ALPHA, TestClock, TestKey, TestValue};
use cache_core::{Chain, Clock, Kill, Lookup, Source, Tag, tag};
use cache_l1::{MemoryConfig, MemoryLayer};

const KEYS: usize = 100;

struct World {
    chain: Chain<TestValue>,
    keys: Vec<TestKey>,
    runtime: tokio::runtime::Runtime,
}

fn world() -> World {
    let layer = MemoryLayer::new(MemoryConfig::default()).expect("the defaults are within their bounds");
    let clock: Arc<dyn Clock> = Arc::new(TestClock::default());
    let chain = Chain::builder().tier(layer).clock(clock).build().expect("the parts fit");
    let keys: Vec<_> = (0..KEYS)
        .map(|number| {
            TestKey::new(ALPHA, format!("generation:{number:032}")).naming("user", "01J9ZQ3V8M5T6N7P8R9S0T1V2W")
        })
        .collect();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(async {
        for key in &keys {
            let load = |load: cache_core::Load| async move {
                (0..8).for_each(|row| load.read(tag!("row", row)));
                Ok::<_, std::io::Error>(TestValue::new("allowed"))
            };
            chain.get_or_load(key, load).await.expect("loaded");
        }
    });
    // What a thread sets up once, it sets up here.
    assert!(matches!(chain.get_now(&keys[0]), Lookup::Hit(_)));
    World { chain, keys, runtime }
}

#[track_caller]
fn allocates_nothing(run: impl FnOnce()) {
    let counted = allocation_counter::measure(run);
    assert_eq!((counted.count_total, counted.bytes_total), (0, 0), "{counted:?}");
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocation_counter::measure(|| drop(Box::new(1_u64))).count_total, 1);
}

#[test]
fn a_hit_by_get_now_allocates_nothing() {
    let world = world();
    allocates_nothing(|| {
        for key in &world.keys {
            assert!(matches!(world.chain.get_now(key), Lookup::Hit(_)));
        }
    });
}

#[test]
fn a_hit_by_get_or_load_allocates_nothing() {
    let world = world();
    let hits = async {
        for key in &world.keys {
            let load = |_| async { Err::<TestValue, _>(std::io::Error::from(std::io::ErrorKind::Other)) };
            let answer = world.chain.get_or_load(key, load).await.expect("nobody is asked");
            assert!(matches!(answer.source, Source::Tier("l1")));
        }
    };
    allocates_nothing(|| world.runtime.block_on(hits));
}

#[test]
fn a_hit_that_must_be_checked_allocates_nothing() {
    let world = world();
    let kills: Vec<_> = (1_000..1_004).map(|row| vec![Kill::Tag(Tag::from_hash(row))]).collect();
    for kill in kills {
        world.runtime.block_on(world.chain.invalidate_all_of(kill)).expect("the log takes it");
        allocates_nothing(|| {
            for key in &world.keys {
                assert!(matches!(world.chain.get_now(key), Lookup::Hit(_)));
            }
        });
    }
}

#[test]
fn a_miss_by_get_now_allocates_nothing() {
    let world = world();
    let absent = TestKey::new(ALPHA, "absent");
    allocates_nothing(|| assert!(matches!(world.chain.get_now(&absent), Lookup::Miss)));
}
