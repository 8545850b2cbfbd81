//! What a tier stores it gives back as it was, and what it was told to forget it forgets.

use std::time::Duration;

use super::{does_not_apply, takes_fills};
use crate::testing::{ALPHA, BETA, Fixture, SharedLayer, TestKey, TestValue, World};
use crate::{
    CacheKey, CacheLayer, CacheLayerExt, Clock, Draft, Filled, Key, Now, ReadSet, Stamp, Tag, Ticket, TypeSet, tag,
};

/// How much earlier than it was told a tier may end a value: wire formats and backends count in coarser units. Later is never right.
pub(super) const COARSEST_END: Duration = Duration::from_secs(1);

/// Brings one entry into a tier past the chain.
pub(super) async fn put(tier: &SharedLayer, key: &Key<'_>, draft: Draft<TestValue>) -> Filled {
    tier.put(key, draft).await
}

pub(super) async fn found(tier: &SharedLayer, key: &Key<'_>) -> Option<TestValue> {
    tier.get(key).await.expect("the tier answers").map(|entry| entry.value().clone())
}

fn draft(world: &World, text: &str) -> Draft<TestValue> {
    Draft { hard_expiry: world.clock.now().after(Duration::from_secs(60)), ..world.draft(TestValue::new(text), &[]) }
}

/// Stamp, tags, types and end decide whether a value may be used: a tier that changes one of them changes an answer.
pub async fn a_filled_value_is_found_with_its_provenance_unchanged<F: Fixture>(fixture: F) {
    let world = World::alone(&fixture).await;
    if !takes_fills("a_filled_value_is_found_with_its_provenance_unchanged", &world.tier) {
        return;
    }
    let source = TestKey::new(ALPHA, "one").naming("user", "ann");
    let key = world.chain.key(&source);
    let tags: ReadSet =
        [tag!("row", 1), tag!("row", 2), Tag::from_hash(0), Tag::from_hash(u64::MAX)].into_iter().collect();
    let types = TypeSet::of(BETA).union(TypeSet::composed());
    let hard_expiry = world.clock.now().after(Duration::from_secs(50));
    let soft_expiry = world.clock.now().after(Duration::from_secs(20));
    for stamp in [Stamp::OLDEST, Stamp::new(7), Stamp::new(u64::MAX)] {
        let draft = Draft { value: TestValue::new("told"), stamp, read_set: tags.clone(), types, hard_expiry };
        let fill = Ticket::new(0, stamp).fill(key, draft, soft_expiry, None);
        assert_eq!(world.tier.fill(&fill).await.expect("filled"), Filled { stored: 1, too_large: 0 });
        let entry = world.tier.get(&key).await.expect("asked").expect("found");
        assert_eq!(entry.value(), &TestValue::new("told"));
        assert_eq!(entry.stamp(), stamp);
        assert_eq!(entry.tags(), tags.tags());
        assert_eq!(entry.types(), types.union(TypeSet::of(ALPHA)));
        for (kept, told) in [(entry.hard_expiry(), hard_expiry), (entry.soft_expiry(), soft_expiry)] {
            assert!(kept <= told, "an end was moved from {told:?} to {kept:?}");
            assert!(told.since(kept) <= COARSEST_END, "an end was moved from {told:?} to {kept:?}");
        }
    }
}

/// Nothing, nothing but the empty text, bytes that a wire format might mistake for its own, no tags, many tags.
pub async fn values_of_every_shape_come_back<F: Fixture>(fixture: F) {
    let world = World::alone(&fixture).await;
    let values = [
        TestValue::nothing(),
        TestValue::new(""),
        TestValue::new("\0\r\n*:{}\u{1F980}"),
        TestValue::new("x".repeat(3_000)),
    ];
    for value in values {
        for tags in [0_u64, 1, 17, 300] {
            let source = TestKey::new(ALPHA, format!("{}:{tags}\0\r\n", value.text().len()));
            let key = world.chain.key(&source);
            let tags: Vec<Tag> = (0..tags).map(|row| tag!("row", row)).collect();
            let draft = Draft { hard_expiry: draft(&world, "").hard_expiry, ..world.draft(value.clone(), &tags) };
            let read_set = draft.read_set.clone();
            put(&world.tier, &key, draft).await;
            let entry = world.tier.get(&key).await.expect("asked").expect("found");
            assert_eq!(entry.value(), &value);
            assert_eq!(entry.tags(), read_set.tags());
        }
    }
}

/// Neither types nor neighbours: `a` with the entity `b:c`, and `a` with `bc:`, are two keys.
pub async fn keys_do_not_share_values<F: Fixture>(fixture: F) {
    let world = World::alone(&fixture).await;
    let keys = [
        TestKey::new(ALPHA, "a"),
        TestKey::new(BETA, "a"),
        TestKey::new(ALPHA, ""),
        TestKey::new(ALPHA, "a\0"),
        TestKey::new(ALPHA, "A"),
        TestKey::new(ALPHA, "a:*"),
        TestKey::new(ALPHA, "a").naming("b", "c"),
        TestKey::new(ALPHA, "a").naming("bc", ""),
        TestKey::new(ALPHA, "a").naming("", "bc"),
        TestKey::new(ALPHA, "a").naming("b", "").naming("c", ""),
        TestKey::new(ALPHA, "ab").naming("", "c"),
    ];
    for (number, key) in keys.iter().enumerate() {
        assert_eq!(found(&world.tier, &world.chain.key(key)).await, None, "{key:?} had a value before it was filled");
        put(&world.tier, &world.chain.key(key), draft(&world, &number.to_string())).await;
    }
    for (number, key) in keys.iter().enumerate() {
        let value = found(&world.tier, &world.chain.key(key)).await;
        assert_eq!(value, Some(TestValue::new(number.to_string())), "{key:?} shares the value of another key");
    }
}

/// One answer for each key, at its place, where keys are absent, asked twice, or none at all.
pub async fn a_batch_answers_in_order<F: Fixture>(fixture: F) {
    let world = World::of(&fixture).await;
    let sources: Vec<_> = (0..200).map(|number| TestKey::new(ALPHA, number.to_string())).collect();
    let present: Vec<_> = sources.iter().step_by(2).map(|source| world.chain.key(source)).collect();
    let drafts =
        present.iter().zip((0..).step_by(2)).map(|(key, number)| (*key, draft(&world, &i32::to_string(&number))));
    world.fill_many(drafts.collect()).await;

    let asked: Vec<usize> = (0..200).rev().chain([4, 4, 5, 5, 0, 199, 4]).collect();
    let keys: Vec<_> = asked.iter().map(|number| world.chain.key(&sources[*number])).collect();
    let expected: Vec<_> =
        asked.iter().map(|number| (number % 2 == 0).then(|| TestValue::new(number.to_string()))).collect();
    let entries = world.tier.get_many(&keys).await.expect("the tier answers");
    assert_eq!(entries.into_iter().map(|entry| entry.map(|entry| entry.value().clone())).collect::<Vec<_>>(), expected);
    let lookups = world.chain.find_many(&keys).await;
    let values: Vec<_> = lookups.into_iter().map(|lookup| lookup.hit().map(|hit| hit.value().clone())).collect();
    assert_eq!(values, expected);

    assert!(world.tier.get_many(&[]).await.expect("no key is no error").is_empty());
    assert_eq!(world.tier.fill_many(&[]).await.expect("no fill is no error"), Filled::default());
    world.tier.remove_many(&[]).await.expect("no removal is no error");
}

/// Also where the later one is the older value: whether it may be used is decided elsewhere.
pub async fn a_later_fill_replaces_an_earlier_one<F: Fixture>(fixture: F) {
    let world = World::alone(&fixture).await;
    let source = TestKey::new(ALPHA, "one");
    let key = world.chain.key(&source);
    for (text, stamp) in [("first", 2), ("second", 3), ("third", 1)] {
        put(&world.tier, &key, Draft { stamp: Stamp::new(stamp), ..draft(&world, text) }).await;
        assert_eq!(found(&world.tier, &key).await, Some(TestValue::new(text)));
    }
}

/// A removal of what is not there is no error.
pub async fn removed_keys_are_forgotten_and_no_others<F: Fixture>(fixture: F) {
    let world = World::alone(&fixture).await;
    if !takes_fills("removed_keys_are_forgotten_and_no_others", &world.tier) {
        return;
    }
    let sources: Vec<_> = (0..10).map(|number| TestKey::new(ALPHA, number.to_string())).collect();
    let keys: Vec<_> = sources.iter().map(|source| world.chain.key(source)).collect();
    for key in &keys {
        put(&world.tier, key, draft(&world, "here")).await;
    }
    let absent = TestKey::new(BETA, "0");
    world.tier.remove_many(&[keys[3], world.chain.key(&absent), keys[7]]).await.expect("removed");
    for (number, key) in keys.iter().enumerate() {
        assert_eq!(found(&world.tier, key).await.is_some(), number != 3 && number != 7, "key {number}");
    }
    assert!(world.chain.remove(&sources[0]).await.is_empty());
    assert!(matches!(world.chain.get(&sources[0]).await, crate::Lookup::Miss));
}

/// And what comes after is kept.
pub async fn clearing_forgets_everything<F: Fixture>(fixture: F) {
    let world = World::alone(&fixture).await;
    if !takes_fills("clearing_forgets_everything", &world.tier) {
        return;
    }
    let sources: Vec<_> = (0..50).map(|number| TestKey::new([ALPHA, BETA][number % 2], number.to_string())).collect();
    for source in &sources {
        put(&world.tier, &world.chain.key(source), draft(&world, "here")).await;
    }
    world.tier.clear().await.expect("cleared");
    for source in &sources {
        assert_eq!(found(&world.tier, &world.chain.key(source)).await, None);
    }
    put(&world.tier, &world.chain.key(&sources[0]), draft(&world, "again")).await;
    assert_eq!(found(&world.tier, &world.chain.key(&sources[0])).await, Some(TestValue::new("again")));
}

/// A tier in this process says what it has; one elsewhere says that it must be awaited, and never that it has nothing.
pub async fn a_look_up_of_now_never_waits<F: Fixture>(fixture: F) {
    let world = World::alone(&fixture).await;
    let source = TestKey::new(ALPHA, "one");
    let key = world.chain.key(&source);
    let local = world.tier.capabilities().local;
    match world.tier.get_now(&key) {
        Now::Absent => assert!(local, "a remote tier can't say what it does not have without being asked"),
        Now::NotLocal => assert!(!local, "a local tier answers"),
        Now::Present(entry) => panic!("an empty tier had {entry:?}"),
    }
    put(&world.tier, &key, draft(&world, "told")).await;
    match world.tier.get_now(&key) {
        Now::Present(entry) => {
            assert!(local, "a remote tier that answers at once is a local one");
            assert_eq!(entry.value(), &TestValue::new("told"));
        }
        Now::NotLocal => assert!(!local, "a local tier answers"),
        Now::Absent => panic!("the value was filled"),
    }
}

/// For tiers that can tell without waiting, which those in this process can.
pub async fn usage_counts_what_is_held<F: Fixture>(fixture: F) {
    let world = World::alone(&fixture).await;
    if !world.tier.capabilities().local {
        return does_not_apply("usage_counts_what_is_held", &world.tier, "it would have to wait to tell");
    }
    let empty = world.tier.usage();
    assert_eq!(empty.entries, 0);
    for number in 0..10 {
        let source = TestKey::new(ALPHA, number.to_string());
        put(&world.tier, &world.chain.key(&source), draft(&world, &"x".repeat(100))).await;
    }
    let full = world.tier.usage();
    assert_eq!(full.entries, 10);
    assert!(full.weight_bytes >= empty.weight_bytes + 1_000, "{full:?} understates ten values of 100 bytes");
    assert!(full.weight_bytes <= full.capacity_bytes, "{full:?} is over its own budget");
    assert_eq!(world.chain.statistics().tiers[0].usage, full);
    world.tier.clear().await.expect("cleared");
    assert_eq!(world.tier.usage().entries, 0);
}

/// The value before it is older than the one that was refused: it is not served in its place.
pub async fn a_value_that_is_too_large_is_refused_and_not_replaced_by_an_older_one<F: Fixture>(fixture: F) {
    let world = World::alone(&fixture).await;
    let Some(bytes) = fixture.too_large() else {
        let law = "a_value_that_is_too_large_is_refused_and_not_replaced_by_an_older_one";
        return does_not_apply(law, &world.tier, "it takes values of any size");
    };
    let source = TestKey::new(ALPHA, "one");
    let key = world.chain.key(&source);
    world.chain.fill(&world.chain.ticket(), &source, draft(&world, "small")).await;
    assert!(found(&world.tier, &key).await.is_some());
    world.chain.fill(&world.chain.ticket(), &source, draft(&world, &"x".repeat(bytes))).await;
    assert_eq!(found(&world.tier, &key).await, None, "the refused value was replaced by the one before it");
    let tier = &world.chain.statistics().tiers[0];
    assert_eq!((tier.stored, tier.too_large, tier.fill_errors), (1, 1, 0));
}

/// Tasks that fill and look up side by side never see one another's values.
pub async fn many_tasks_at_once_get_their_own_values<F: Fixture>(fixture: F) {
    let world = World::alone(&fixture).await;
    let task = |task: usize| {
        let world = &world;
        async move {
            for round in 0..20 {
                let source = TestKey::new(ALPHA, format!("{task}/{round}"));
                let key = world.chain.key(&source as &dyn CacheKey);
                put(&world.tier, &key, draft(world, &format!("{task}/{round}"))).await;
                tokio::task::yield_now().await;
                let value = found(&world.tier, &key).await;
                assert!(value.is_none_or(|value| value == TestValue::new(format!("{task}/{round}"))));
            }
        }
    };
    tokio::join!(task(0), task(1), task(2), task(3), task(4), task(5), task(6), task(7));
}
