//! The law, on random worlds: a list is what checks allow, or the error of one of them.

use std::collections::{BTreeMap, BTreeSet};

use authz::decide::{CheckError, Consistency};
use authz::evaluate::Limits;
use authz::model::Model;
use authz::relation::{Object, Relationship, Subject, Text, Tuple};

use super::generator::{Change, Generator, Question, State};
use super::seeds;
use super::support::World;

/// What an unoptimised build does in half a minute.
const WORLDS: u64 = 60;
/// Questions of each world.
const QUESTIONS: usize = 6;
/// Changes of each world.
const CHANGES: usize = 5;
/// Both ways of asking, and the first one twice: the second answer comes from a cache, where it may be kept.
const WAYS: [Consistency; 3] = [Consistency::MinimizeLatency, Consistency::MinimizeLatency, Consistency::Full];

/// Every object that is named anywhere, by type.
fn objects(state: &State, contextual: &[Relationship], of_type: &str) -> BTreeSet<Object> {
    let mut found = BTreeSet::new();
    let given = contextual.iter().map(|given| &given.tuple);
    for Tuple { object, subject, .. } in state.tuples.keys().chain(given) {
        found.insert(object.clone());
        if let Subject::Object(object) | Subject::Userset { object, .. } = subject {
            found.insert(object.clone());
        }
    }
    found.retain(|object| *object.type_name == *of_type);
    found
}

/// What a run has seen, so that it can't pass by seeing nothing.
#[derive(Default, Debug)]
struct Seen {
    lists: usize,
    items: usize,
    cached: usize,
    errors: usize,
}

async fn objects_of(
    world: &World,
    state: &State,
    contextual: &[Relationship],
    question: &Question,
    seen: &mut Seen,
    seed: u64,
) {
    let Question { subject, relation, object, context: _ } = question;
    let mut expected: BTreeSet<Text> = BTreeSet::new();
    let mut checks = Vec::new();
    let mut asked = objects(state, contextual, &object.type_name);
    // A userset is in its own relation, whether anything names it or not.
    if let Subject::Userset { object: own, .. } = subject
        && own.type_name == object.type_name
    {
        asked.insert(own.clone());
    }
    for object in asked {
        let check = world.check(subject, relation, &object).await;
        if matches!(check, Ok(true)) {
            expected.insert(object.id.clone());
        }
        checks.push((object, check));
    }
    for consistency in WAYS {
        let told =
            format!("world {seed}: objects of {} that {subject} is {relation} of, {consistency:?}", object.type_name);
        seen.lists += 1;
        match world.objects(subject, relation, &object.type_name, consistency).await {
            Ok(listed) => {
                let items: BTreeSet<Text> = listed.items.iter().cloned().collect();
                assert_eq!(items, expected, "{told}; {checks:?}");
                assert!(listed.items.is_sorted(), "{told}");
                assert_eq!(items.len(), listed.items.len(), "{told}: each once");
                seen.items += items.len();
                seen.cached += usize::from(listed.source != cache_core::Source::Origin);
            }
            Err(error) => {
                let same = |check: &Result<bool, CheckError>| matches!(check, Err(other) if other.to_string() == error.to_string());
                assert!(checks.iter().any(|(_, check)| same(check)), "{told}: {error}; but {checks:?}");
                seen.errors += 1;
            }
        }
    }
}

async fn users_of(
    world: &World,
    state: &State,
    contextual: &[Relationship],
    question: &Question,
    seen: &mut Seen,
    (seed, bounded): (u64, bool),
) {
    let Question { subject, relation, object, context: _ } = question;
    let kind = subject.kind();
    let mut asked: BTreeSet<Subject> = objects(state, contextual, &kind.type_name)
        .into_iter()
        .map(|object| match &kind.relation {
            Some(relation) => Subject::Userset { object, relation: relation.clone() },
            None => Subject::Object(object),
        })
        .collect();
    match &kind.relation {
        None => {
            asked.insert(Subject::Wildcard { type_name: kind.type_name.clone() });
        }
        Some(relation) if kind.type_name == object.type_name => {
            asked.insert(Subject::Userset { object: object.clone(), relation: relation.clone() });
        }
        Some(_) => {}
    }
    let everybody = Subject::Wildcard { type_name: kind.type_name.clone() };
    let mut allowed: BTreeSet<Subject> = BTreeSet::new();
    let mut checks = Vec::new();
    for subject in asked {
        let check = world.check(&subject, relation, object).await;
        if matches!(check, Ok(true)) {
            allowed.insert(subject.clone());
        }
        checks.push((subject, check));
    }
    // Nobody names them: they stand for whoever lies beyond what can be seen.
    let nobody = Object { type_name: kind.type_name.clone(), id: "nobody".into() };
    let stranger = match &kind.relation {
        Some(relation) => Subject::Userset { object: nobody, relation: relation.clone() },
        None => Subject::Object(nobody),
    };
    checks.push((stranger.clone(), world.check(&stranger, relation, object).await));
    for consistency in WAYS {
        let told = format!("world {seed}: {kind:?} that are {relation} of {object}, {consistency:?}");
        seen.lists += 1;
        match world.users(object, relation, kind.clone(), consistency).await {
            Ok(listed) => {
                let items: BTreeSet<Subject> = listed.items.iter().cloned().collect();
                assert!(listed.items.is_sorted() && items.len() == listed.items.len(), "{told}: {items:?}");
                // A way of which it is unknown whether it counts may bring another one within the bound of depth.
                let refused = |(subject, check): &(Subject, Result<bool, CheckError>)| {
                    items.contains(subject) && (matches!(check, Ok(false)) || (check.is_err() && !bounded))
                };
                assert!(!checks.iter().any(refused), "{told}: {items:?}; but {checks:?}");
                for subject in allowed.difference(&items) {
                    let by_wildcard = matches!(subject, Subject::Object(_)) && items.contains(&everybody);
                    assert!(by_wildcard, "{told}: {subject} is missing in {items:?}; {checks:?}");
                }
                seen.items += items.len();
                seen.cached += usize::from(listed.source != cache_core::Source::Origin);
            }
            Err(error) => {
                // Of several errors one is told, and not always the same one: a check that lacks a value may lie beyond the depth of the list.
                let is_depth = matches!(error, CheckError::TooComplex { .. });
                let same = |check: &Result<bool, CheckError>| match check {
                    Err(CheckError::Condition(_)) if is_depth => true,
                    Err(other) => other.to_string() == error.to_string(),
                    Ok(_) => false,
                };
                assert!(checks.iter().any(|(_, check)| same(check)), "{told}: {error}; but {checks:?}");
                seen.errors += 1;
            }
        }
    }
}

async fn run(seed: u64, limits: Limits, seen: &mut Seen) {
    let mut generator = Generator::new(seed);
    let mut state = generator.state();
    let mut world = World::of(limits, &state).await;
    let questions: Vec<Question> = (0..QUESTIONS).map(|_| generator.question()).collect();
    for change in 0..=CHANGES {
        let contextual = contextual(&mut generator, &state.model, change);
        world.contextual = contextual.clone();
        for question in &questions {
            world.context = question.context.clone();
            objects_of(&world, &state, &contextual, question, seen, seed).await;
            users_of(&world, &state, &contextual, question, seen, (seed, limits.max_depth < 25)).await;
        }
        let batch = generator.batch(&state);
        let change = Change::Write(batch.clone());
        world.point.write(world.store, None, batch).await.unwrap();
        state = state.after(&change);
    }
}

/// Relationships of the question, in one round of two.
fn contextual(generator: &mut Generator, model: &Model, round: usize) -> Vec<Relationship> {
    if round.is_multiple_of(2) {
        return Vec::new();
    }
    let drawn = (0..3).filter_map(|_| generator.relationship(model)).map(|drawn| (drawn.tuple.clone(), drawn));
    drawn.collect::<BTreeMap<_, _>>().into_values().collect()
}

#[tokio::test]
async fn a_list_is_what_checks_allow() {
    let mut seen = Seen::default();
    for seed in seeds(0, WORLDS) {
        run(seed, Limits::default(), &mut seen).await;
    }
    println!("{seen:?}");
    assert!(seen.errors > 0 && seen.items > seen.lists / 4 && seen.cached > seen.lists / 4, "{seen:?}");
}

#[tokio::test]
async fn a_list_is_bounded_like_its_checks() {
    let mut seen = Seen::default();
    for seed in seeds(1 << 20, WORLDS) {
        run(seed, Limits { max_depth: 1, max_read_set: 3, ..Limits::default() }, &mut seen).await;
    }
    println!("{seen:?}");
    assert!(seen.items > 0 && seen.errors > 0, "{seen:?}");
}
