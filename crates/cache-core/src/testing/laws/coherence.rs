//! What was invalidated is not served, whatever a tier still holds; what was not is.

use std::sync::Arc;
use std::time::Duration;

use super::storage::{found, put};
use super::{does_not_apply, takes_fills};
use crate::testing::{ALPHA, BETA, FakeLayer, Fixture, SharedLayer, TYPES, TestKey, TestValue, World};
use crate::{
    CacheLayer, CacheLayerExt, Chain, Clock, Draft, Kill, Lookup, PartRole, Stamp, Tag, TypeSet, entity_tag, tag,
};

/// The key that [`kills`] are aimed at.
pub(super) fn target() -> TestKey {
    TestKey::new(ALPHA, "target").naming("user", "ann").naming("team", "9")
}

/// The tags of the value under it.
pub(super) fn target_tags() -> [Tag; 2] {
    [tag!("row", 1), tag!("row", 2)]
}

fn pattern(pattern: &str) -> Kill {
    Kill::parse_pattern(pattern, &TYPES).expect("a pattern")
}

/// One of every kind, each of which the target does not survive.
pub(super) fn kills() -> Vec<Kill> {
    vec![
        Kill::Tag(tag!("row", 2)),
        Kill::Tag(entity_tag("user", "ann")),
        Kill::Type(ALPHA),
        pattern("*:team:9:*"),
        pattern("alpha:user:ann:*"),
        pattern("alpha:user:a*:*"),
        pattern("*:team:*:*"),
        Kill::All,
    ]
}

/// A kill as another writer appends it: no tier is told to delete anything.
pub(super) async fn kill(world: &World, kill: &Kill) {
    world.chain.log().append(vec![kill.clone()]).await.expect("the log takes it");
}

pub(super) async fn assert_gone(world: &World, source: &TestKey, why: &dyn std::fmt::Debug) {
    assert!(matches!(world.chain.get_now(source), Lookup::Miss), "served at once after {why:?}");
    assert!(matches!(world.chain.get(source).await, Lookup::Miss), "served after {why:?}");
    let keys = [world.chain.key(source)];
    assert!(matches!(world.chain.find_many(&keys).await.as_slice(), [Lookup::Miss]), "served in a batch after {why:?}");
    let answer = world.chain.get_or_load(source, |_| async { Ok::<_, std::io::Error>(TestValue::new("new")) }).await;
    assert_eq!(answer.expect("loaded").value(), &TestValue::new("new"), "served instead of a load after {why:?}");
}

/// By tag, by entity, by type, by pattern, or everything; and by whichever way it is asked for.
pub async fn an_invalidated_value_is_a_miss_although_nothing_was_deleted<F: Fixture>(fixture: F) {
    for how in kills() {
        let world = World::of(&fixture).await;
        let source = target();
        world.fill(&source, world.draft(TestValue::new("old"), &target_tags())).await;
        assert!(world.chain.get(&source).await.hit().is_some());
        kill(&world, &how).await;
        for tier in &world.tiers {
            let held = found(tier, &world.chain.key(&source)).await;
            assert_eq!(held, Some(TestValue::new("old")), "nobody told {tier:?} to delete it");
        }
        assert_gone(&world, &source, &how).await;
    }
}

/// Neighbours by tag, entity, type and pattern.
pub async fn an_invalidation_of_something_else_leaves_the_value<F: Fixture>(fixture: F) {
    let world = World::of(&fixture).await;
    let source = target();
    world.fill(&source, world.draft(TestValue::new("here"), &target_tags())).await;
    let others = [
        Kill::Tag(tag!("row", 3)),
        Kill::Tag(entity_tag("user", "an")),
        Kill::Tag(entity_tag("team", "ann")),
        Kill::Type(BETA),
        pattern("beta:user:ann:*"),
        pattern("alpha:user:b*:*"),
        pattern("*:member:*:*"),
    ];
    for how in others {
        kill(&world, &how).await;
        let value = world.chain.get(&source).await.hit().map(|hit| hit.value().clone());
        assert_eq!(value, Some(TestValue::new("here")), "lost by {how:?}");
    }
}

/// A copy is as old as what it was copied from.
pub async fn the_stamp_survives_promotion<F: Fixture>(fixture: F) {
    let last = SharedLayer::new(FakeLayer::remote("last"));
    let world = World::between(&fixture, Vec::new(), vec![last.clone()]).await;
    if !takes_fills("the_stamp_survives_promotion", &world.tier) {
        return;
    }
    let source = target();
    let key = world.chain.key(&source);
    let draft = Draft {
        hard_expiry: world.clock.now().after(Duration::from_secs(40)),
        types: TypeSet::of(BETA),
        ..world.draft(TestValue::new("copied"), &target_tags())
    };
    let read_set = draft.read_set.clone();
    let stamp = draft.stamp;
    put(&last, &key, draft).await;
    for row in 10..20 {
        kill(&world, &Kill::Tag(tag!("row", row))).await;
    }
    assert_eq!(world.chain.get(&source).await.hit().map(|hit| hit.tier), Some("last"));
    for tier in &world.tiers {
        let entry = tier.get(&key).await.expect("asked").expect("copied upwards");
        assert_eq!(entry.stamp(), stamp, "in {tier:?}");
        assert_eq!(entry.tags(), read_set.tags(), "in {tier:?}");
        assert_eq!(entry.types(), TypeSet::of(ALPHA).union(TypeSet::of(BETA)), "in {tier:?}");
    }
}

/// Wherever it was copied to.
pub async fn a_promoted_value_is_invalidated_like_any_other<F: Fixture>(fixture: F) {
    for how in kills() {
        let last = SharedLayer::new(FakeLayer::remote("last"));
        let world = World::between(&fixture, Vec::new(), vec![last.clone()]).await;
        let source = target();
        put(&last, &world.chain.key(&source), world.draft(TestValue::new("old"), &target_tags())).await;
        assert!(world.chain.get(&source).await.hit().is_some());
        kill(&world, &how).await;
        assert_gone(&world, &source, &how).await;
    }
}

/// And the types of its parts, and the entities that their keys name.
pub async fn a_composed_value_takes_the_lowest_stamp_the_earliest_end_and_all_tags<F: Fixture>(fixture: F) {
    let world = World::of(&fixture).await;
    if !takes_fills("a_composed_value_takes_the_lowest_stamp_the_earliest_end_and_all_tags", &world.tier) {
        return;
    }
    // A load of now has a higher stamp than any part.
    for row in 10..20 {
        kill(&world, &Kill::Tag(tag!("row", row))).await;
    }
    let now = world.clock.now();
    let parts = [(3, 30, "ann"), (1, 40, "bob"), (2, 20, "cho")];
    let source_of = |user: &str| TestKey::new(BETA, user).naming("user", user);
    for (stamp, end, user) in parts {
        let draft = Draft {
            stamp: Stamp::new(stamp),
            hard_expiry: now.after(Duration::from_secs(end)),
            ..world.draft(TestValue::new(user), &[tag!("part", user)])
        };
        put(&world.tier, &world.chain.key(&source_of(user)), draft).await;
    }
    let whole = TestKey::new(ALPHA, "whole");
    let (chain, source_of) = (&world.chain, &source_of);
    let answer = chain
        .get_or_load(&whole, |load| async move {
            load.read(tag!("own"));
            for (_, _, user) in parts {
                let part = chain.get(&source_of(user)).await.hit().expect("a part");
                load.part(&source_of(user), &part.entry);
            }
            Ok::<_, std::io::Error>(TestValue::new("whole"))
        })
        .await
        .expect("loaded");
    let stored = world.tier.get(&world.chain.key(&whole)).await.expect("asked").expect("filled");
    for entry in [answer.entry, stored] {
        assert_eq!(entry.stamp(), Stamp::new(1));
        let latest = now.after(Duration::from_secs(20));
        assert!(entry.hard_expiry() <= latest, "{:?} is after the end of a part", entry.hard_expiry());
        let mut expected: Vec<Tag> =
            parts.iter().flat_map(|(_, _, user)| [tag!("part", user), entity_tag("user", user)]).collect();
        expected.push(tag!("own"));
        expected.sort_unstable();
        assert_eq!(entry.tags(), expected);
        assert_eq!(entry.types(), TypeSet::of(ALPHA).union(TypeSet::of(BETA)).union(TypeSet::composed()));
    }
}

/// Whether anything keeps a composed value: a tier that takes no fills keeps none by itself.
fn keeps_what_is_composed(law: &str, world: &World) -> bool {
    let keeps = world.tiers.iter().any(|tier| tier.capabilities().fillable);
    if !keeps {
        does_not_apply(law, &world.tier, "nothing that is composed is kept");
    }
    keeps
}

async fn composed(world: &World, part: &TestKey, whole: &TestKey) {
    let chain = &world.chain;
    world.fill(part, world.draft(TestValue::new("part"), &[tag!("part")])).await;
    let load = |load: crate::Load| async move {
        let found = chain.get(part).await.hit().expect("the part is there");
        load.part(part, &found.entry);
        Ok::<_, std::io::Error>(TestValue::new("whole"))
    };
    chain.get_or_load(whole, load).await.expect("composed");
    assert!(chain.get(whole).await.hit().is_some(), "the composed value was kept");
}

/// By the part's tags, by its type, by a pattern over its key.
pub async fn a_part_that_is_invalidated_takes_what_was_composed_of_it_along<F: Fixture>(fixture: F) {
    for how in [Kill::Tag(tag!("part")), Kill::Type(BETA), pattern("beta:team:9*:*"), pattern("*:team:*:*")] {
        let world = World::of(&fixture).await;
        if !keeps_what_is_composed("a_part_that_is_invalidated_takes_what_was_composed_of_it_along", &world) {
            return;
        }
        let (part, whole) = (TestKey::new(BETA, "part").naming("team", "9"), TestKey::new(ALPHA, "whole"));
        composed(&world, &part, &whole).await;
        kill(&world, &how).await;
        assert_gone(&world, &whole, &how).await;
    }
}

/// The composed value's own key need not name them.
pub async fn the_entities_of_a_parts_key_reach_what_was_composed_of_it<F: Fixture>(fixture: F) {
    let world = World::of(&fixture).await;
    if !keeps_what_is_composed("the_entities_of_a_parts_key_reach_what_was_composed_of_it", &world) {
        return;
    }
    let (part, whole) = (TestKey::new(BETA, "part").naming("team", "9"), TestKey::new(ALPHA, "whole"));
    composed(&world, &part, &whole).await;
    kill(&world, &Kill::Tag(entity_tag("team", "9"))).await;
    assert_gone(&world, &whole, &"team 9 was killed").await;
}

/// A second chain over the same tier and log starts with what the log retains: what it finds in the tier is judged by that.
pub async fn a_chain_that_joins_late_knows_what_was_invalidated_before<F: Fixture>(fixture: F) {
    for how in kills() {
        let world = World::alone(&fixture).await;
        let source = target();
        world.fill(&source, world.draft(TestValue::new("old"), &target_tags())).await;
        kill(&world, &how).await;
        let chain = Chain::builder()
            .tier(world.tier.clone())
            .log(Arc::clone(world.chain.log()))
            .clock(Arc::clone(&world.clock) as Arc<dyn Clock>)
            .keyer(world.keyer.clone())
            .build()
            .expect("the same parts built a chain before");
        assert!(matches!(chain.get(&source).await, Lookup::Miss), "a chain that was built after {how:?} served it");
    }
}

pub(super) fn leads<S: crate::sync::SyncFamily>(role: PartRole<TestValue, S>) -> crate::PartLeader<TestValue, S> {
    match role {
        PartRole::Lead(leader) => leader,
        PartRole::Follow(_) | PartRole::Alone => panic!("nobody else computes the part"),
    }
}
