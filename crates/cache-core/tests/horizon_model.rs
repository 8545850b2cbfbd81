//! The horizon against a model that forgets nothing: a list of every kill, gone through at each look-up.
//!
//! With room enough the two agree on every entry. Without, the horizon may refuse what the model would use, and never the other way round.

use cache_core::testing::{ALPHA, BETA, TYPES, TestKey, TestValue};
use cache_core::{
    CacheType, Draft, Entry, Horizon, HorizonConfig, Kill, MIN_HORIZON_BYTES, Moment, Revision, Stamp, Tag, TypeSet,
    Verdict, entity_tag,
};
use proptest::collection::vec;
use proptest::prelude::*;

const KINDS: [&str; 2] = ["user", "team"];
const IDS: [&str; 4] = ["a", "ab", "b", "abc"];

/// A kill that the model understands without the product's help.
#[derive(Clone, Debug)]
enum Killed {
    Tag(u64),
    Entity(usize, usize),
    Type(usize),
    /// A type or all of them, a kind, and an id or what it begins with.
    Rule(Option<usize>, usize, usize, bool),
    All,
}

#[derive(Clone, Debug)]
struct Subject {
    stamp: u64,
    tags: Vec<u64>,
    own_type: usize,
    part_types: Vec<usize>,
    entities: Vec<(usize, usize)>,
    composed: bool,
}

#[derive(Clone, Debug)]
enum Step {
    /// Changes that arrive together, in whatever order.
    Apply(Vec<(u64, Vec<Killed>)>),
    RaiseFloor(u64),
    /// A look at one of the subjects. Repeated looks go by the fast path.
    Check(prop::sample::Index),
}

fn killed(tags: u64) -> impl Strategy<Value = Killed> {
    prop_oneof![
        10 => (0..tags).prop_map(Killed::Tag),
        3 => (0..KINDS.len(), 0..IDS.len()).prop_map(|(kind, id)| Killed::Entity(kind, id)),
        1 => (0..TYPES.len()).prop_map(Killed::Type),
        2 => (proptest::option::of(0..TYPES.len()), 0..KINDS.len(), 0..IDS.len(), any::<bool>())
            .prop_map(|(cache_type, kind, id, prefix)| Killed::Rule(cache_type, kind, id, prefix)),
        1 => Just(Killed::All),
    ]
}

fn subject(tags: u64, revisions: u64) -> impl Strategy<Value = Subject> {
    (
        1..revisions + 2,
        vec(0..tags, 0..5),
        0..TYPES.len(),
        vec(0..TYPES.len(), 0..2),
        vec((0..KINDS.len(), 0..IDS.len()), 0..3),
        prop::bool::weighted(0.2),
    )
        .prop_map(|(stamp, tags, own_type, part_types, entities, composed)| Subject {
            stamp,
            tags,
            own_type,
            part_types,
            entities,
            composed,
        })
}

fn step(tags: u64, revisions: u64, kills: usize) -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => vec((1..=revisions, vec(killed(tags), 1..4)), 1..kills).prop_map(Step::Apply),
        1 => (1..=revisions / 4).prop_map(Step::RaiseFloor),
        8 => any::<prop::sample::Index>().prop_map(Step::Check),
    ]
}

impl Killed {
    fn kill(&self) -> Kill {
        match self {
            Self::Tag(tag) => Kill::Tag(Tag::from_hash(*tag)),
            Self::Entity(kind, id) => Kill::Tag(entity_tag(KINDS[*kind], IDS[*id])),
            Self::Type(cache_type) => Kill::Type(TYPES[*cache_type]),
            Self::Rule(cache_type, kind, id, prefix) => {
                let cache_type = cache_type.map_or("*", |cache_type| TYPES[cache_type].name());
                let star = if *prefix { "*" } else { "" };
                let pattern = format!("{cache_type}:{}:{}{star}:*", KINDS[*kind], IDS[*id]);
                Kill::parse_pattern(&pattern, &TYPES).expect("a pattern")
            }
            Self::All => Kill::All,
        }
    }

    fn reaches(&self, subject: &Subject) -> bool {
        match self {
            Self::Tag(tag) => subject.tags.contains(tag),
            Self::Entity(kind, id) => subject.entities.contains(&(*kind, *id)),
            Self::Type(cache_type) => subject.is_of(*cache_type),
            // An exact id of any type is an entity's tag, which composed values carry where it matters.
            Self::Rule(None, kind, id, false) => subject.entities.contains(&(*kind, *id)),
            Self::Rule(cache_type, kind, id, prefix) => {
                cache_type.is_none_or(|cache_type| subject.is_of(cache_type))
                    && (subject.composed
                        || subject.entities.iter().any(|(of_kind, of_id)| {
                            let (named, wanted) = (IDS[*of_id], IDS[*id]);
                            of_kind == kind && if *prefix { named.starts_with(wanted) } else { named == wanted }
                        }))
            }
            Self::All => true,
        }
    }
}

impl Subject {
    fn is_of(&self, cache_type: usize) -> bool {
        self.own_type == cache_type || self.part_types.contains(&cache_type)
    }

    fn key(&self) -> TestKey {
        let key = TestKey::new(TYPES[self.own_type], "subject");
        self.entities.iter().fold(key, |key, (kind, id)| key.naming(KINDS[*kind], IDS[*id]))
    }

    fn entry(&self) -> Entry<TestValue> {
        let of = |types: TypeSet, cache_type: CacheType| types.union(TypeSet::of(cache_type));
        let types =
            self.part_types.iter().fold(TypeSet::of(TYPES[self.own_type]), |types, part| of(types, TYPES[*part]));
        let draft = Draft {
            value: TestValue::nothing(),
            stamp: Stamp::new(self.stamp),
            read_set: self.tags.iter().map(|tag| Tag::from_hash(*tag)).collect(),
            types: if self.composed { types.union(TypeSet::composed()) } else { types },
            hard_expiry: Moment::NEVER,
        };
        Entry::decoded(draft, Moment::NEVER)
    }
}

/// Every kill that ever was.
#[derive(Default)]
struct Model {
    kills: Vec<(u64, Killed)>,
    floor: u64,
}

impl Model {
    fn is_usable(&self, subject: &Subject) -> bool {
        subject.stamp > self.floor
            && !self.kills.iter().any(|(revision, kill)| *revision >= subject.stamp && kill.reaches(subject))
    }
}

fn run(config: HorizonConfig, subjects: &[Subject], steps: &[Step], exact: bool) -> Result<(), TestCaseError> {
    let horizon = Horizon::<cache_core::sync::Std>::new(config);
    let mut model = Model::default();
    let entries: Vec<_> = subjects.iter().map(|subject| (subject, subject.key(), subject.entry())).collect();
    let check = |horizon: &Horizon, model: &Model, (subject, key, entry): &(&Subject, TestKey, Entry<TestValue>)| {
        let verdict = horizon.check(entry, key);
        let usable = model.is_usable(subject);
        prop_assert!(usable || verdict != Verdict::Usable, "{:?} is dead, and the horizon says usable", subject);
        prop_assert!(
            !exact || !usable || verdict == Verdict::Usable,
            "{:?} is alive, and the horizon says {:?}",
            subject,
            verdict
        );
        Ok(())
    };
    for step in steps {
        match step {
            Step::Apply(changes) => {
                let kills: Vec<(Revision, Vec<Kill>)> = changes
                    .iter()
                    .map(|(revision, kills)| (Revision::new(*revision), kills.iter().map(Killed::kill).collect()))
                    .collect();
                horizon.apply_all(kills.iter().map(|(revision, kills)| (*revision, kills.as_slice())));
                // The same once more changes nothing.
                horizon.apply(kills[0].0, &kills[0].1);
                let each = |(revision, kills): &(u64, Vec<Killed>)| {
                    kills.iter().map(|kill| (*revision, kill.clone())).collect::<Vec<_>>()
                };
                model.kills.extend(changes.iter().flat_map(each));
            }
            Step::RaiseFloor(revision) => {
                horizon.raise_floor(Revision::new(*revision));
                model.floor = model.floor.max(*revision);
            }
            Step::Check(index) => check(&horizon, &model, index.get(&entries))?,
        }
        let usage = horizon.usage();
        prop_assert!(usage.bytes <= config.budget_bytes.max(MIN_HORIZON_BYTES));
        prop_assert!(usage.rules <= config.max_rules.max(1));
    }
    entries.iter().try_for_each(|entry| check(&horizon, &model, entry))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn with_room_enough_the_horizon_agrees_with_the_model(
        subjects in vec(subject(12, 30), 1..8),
        steps in vec(step(12, 30, 4), 0..40),
    ) {
        let config = HorizonConfig { budget_bytes: 1 << 20, max_rules: 10_000 };
        run(config, &subjects, &steps, true)?;
    }

    #[test]
    fn a_horizon_that_forgets_never_uses_what_is_dead(
        subjects in vec(subject(400, 300), 1..20),
        steps in vec(step(400, 300, 40), 0..60),
        max_rules in 0_usize..4,
    ) {
        let config = HorizonConfig { budget_bytes: 0, max_rules };
        run(config, &subjects, &steps, false)?;
    }
}

#[test]
fn what_a_horizon_forgets_raises_its_floor_to_it() {
    let horizon =
        Horizon::<cache_core::sync::Std>::new(HorizonConfig { budget_bytes: MIN_HORIZON_BYTES, max_rules: 1 });
    let capacity = {
        let mut killed = 0;
        while horizon.usage().floor == Revision::ZERO {
            killed += 1;
            horizon.apply(Revision::new(killed), &[Kill::Tag(Tag::from_hash(killed))]);
        }
        killed - 1
    };
    assert_eq!(horizon.usage().floor, Revision::new(1), "the first kill goes first");
    assert_eq!(horizon.usage().tags as u64, capacity);
}

#[test]
fn a_rule_too_many_becomes_the_floor() {
    let horizon = Horizon::<cache_core::sync::Std>::new(HorizonConfig { budget_bytes: 0, max_rules: 2 });
    for (revision, pattern) in [(1, "alpha:user:a*:*"), (2, "alpha:user:b*:*"), (3, "alpha:user:c*:*")] {
        horizon.apply(Revision::new(revision), &[Kill::parse_pattern(pattern, &[ALPHA, BETA]).expect("a pattern")]);
    }
    assert_eq!((horizon.usage().rules, horizon.usage().floor), (2, Revision::new(1)));
}

#[test]
fn a_kill_that_is_old_news_does_not_move_the_head() {
    let horizon = Horizon::<cache_core::sync::Std>::new(HorizonConfig::default());
    let kills = [Kill::Tag(Tag::from_hash(1)), Kill::Type(ALPHA)];
    horizon.apply(Revision::new(2), &kills);
    let head = horizon.head();
    horizon.apply(Revision::new(2), &kills);
    horizon.apply(Revision::new(1), &kills);
    assert_eq!(horizon.head(), head, "every entry in memory would pay a check for nothing");
}
