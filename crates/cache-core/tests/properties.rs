//! Properties of the small parts: patterns, read sets, lifetimes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use cache_core::testing::{ALPHA, BETA, FakeLayer, FixedEntropy, TYPES, TestClock, TestKey, TestValue};
use cache_core::{
    CacheLayerExt, Chain, Clock, Draft, Kill, Lifetime, MAX_PATTERN_BYTES, Moment, Policy, ReadSet, Tag, TypeSet,
    entity_tag,
};
use proptest::collection::vec;
use proptest::prelude::*;

/// Ids with the characters that a pattern gives a meaning to, but for the star.
fn id() -> impl Strategy<Value = String> {
    "[a-c:#@./-]{1,6}"
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_the_parser_panic_and_what_it_takes_is_bounded(text in "(\\PC|[*:\\x00]){0,40}") {
        if Kill::parse_pattern(&text, &TYPES).is_ok() {
            prop_assert!(text.len() <= MAX_PATTERN_BYTES);
            prop_assert!(text.ends_with('*'));
        }
    }

    #[test]
    fn an_exact_id_of_any_type_is_the_tag_of_the_entity(id in id()) {
        let kill = Kill::parse_pattern(&format!("*:user:{id}:*"), &TYPES).expect("a pattern");
        prop_assert_eq!(kill, Kill::Tag(entity_tag("user", &id)));
    }

    #[test]
    fn a_pattern_matches_by_type_kind_and_beginning(wanted in id(), named in id(), prefix: bool, other_type: bool, other_kind: bool) {
        let star = if prefix { "*" } else { "" };
        let kill = Kill::parse_pattern(&format!("alpha:user:{wanted}{star}:*"), &TYPES).expect("a pattern");
        let Kill::Rule(rule) = kill else { panic!("a rule") };
        let cache_type = if other_type { BETA } else { ALPHA };
        let key = TestKey::new(cache_type, "").naming(if other_kind { "team" } else { "user" }, &named);
        let id_fits = if prefix { named.starts_with(&wanted) } else { named == wanted };
        prop_assert_eq!(rule.matches(&key, TypeSet::of(cache_type)), id_fits && !other_type && !other_kind);
    }

    #[test]
    fn a_read_set_is_a_sorted_set(batches in vec((any::<bool>(), vec(0_u64..40, 0..30)), 0..6)) {
        let (mut set, mut model) = (ReadSet::new(), BTreeSet::new());
        for (at_once, hashes) in batches {
            let tags = hashes.into_iter().map(Tag::from_hash);
            if at_once {
                set.extend(tags.clone());
                model.extend(tags);
            } else {
                for tag in tags {
                    prop_assert_eq!(set.insert(tag), model.insert(tag));
                }
            }
        }
        prop_assert_eq!(set.tags(), model.iter().copied().collect::<Vec<_>>());
        prop_assert_eq!((set.len(), set.is_empty()), (model.len(), model.is_empty()));
        prop_assert_eq!(model.into_iter().collect::<ReadSet>(), set);
    }

    #[test]
    fn a_lifetime_is_shortened_by_chance_and_never_lengthened(
        hard_ms in 0_u64..1_000_000,
        soft_ms in 0_u64..1_000_000,
        own_ms in proptest::option::of(1_u64..1_000_000),
        jitter in 0_u8..=110,
        chance: u64,
    ) {
        let clock = Arc::new(TestClock::default());
        let lifetime = Lifetime { hard: Duration::from_millis(hard_ms), soft: Duration::from_millis(soft_ms) };
        let layer = FakeLayer::local("tier");
        let chain = Chain::builder()
            .tier(layer.clone())
            .clock(Arc::clone(&clock) as Arc<dyn Clock>)
            .entropy(Arc::new(FixedEntropy(chance)))
            .policy(Policy::default().jitter_percent(jitter).lifetime("tier", ALPHA, lifetime))
            .build()
            .expect("the parts fit");
        let now = clock.now();
        let own_end = own_ms.map_or(Moment::NEVER, |ms| now.after(Duration::from_millis(ms)));
        let source = TestKey::new(ALPHA, "one");
        let draft = Draft {
            value: TestValue::nothing(),
            stamp: chain.ticket().stamp(),
            read_set: ReadSet::new(),
            types: TypeSet::default(),
            hard_expiry: own_end,
        };
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let entry = runtime.block_on(async {
            chain.fill(&chain.ticket(), &source, draft).await;
            layer.get(&chain.key(&source)).await.expect("asked").expect("filled")
        });
        let shortest = |ms: u64| now.after(Duration::from_millis(ms - ms * u64::from(jitter.min(100)) / 100));
        let longest = |ms: u64| now.after(Duration::from_millis(ms));
        prop_assert!(entry.hard_expiry() <= longest(hard_ms).min(own_end));
        prop_assert!(entry.hard_expiry() >= shortest(hard_ms).min(own_end));
        prop_assert!(entry.soft_expiry() <= longest(soft_ms).min(entry.hard_expiry()));
        prop_assert!(entry.soft_expiry() >= shortest(soft_ms).min(entry.hard_expiry()));
    }
}
