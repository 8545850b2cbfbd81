//! What many checks of one list cost together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use authz::condition::Context;
use authz::decide::{CheckError, Consistency};
use authz::evaluate::Limits;
use authz::model::Model;
use authz::relation::{Relationship, RelationshipCondition, Subject, Tuple};
use serde_json::json;

use super::support::World;

/// Whoever is looked for in `viewer` is a candidate, because the condition reads the document.
const COSTLY: &str = "model
  schema 1.1
type user
type document
  relations
    define viewer: [user with costly]

condition costly(resource: map<any>, numbers: list<int>) {
  numbers.all(number, number < 1000) && resource.type == \"document\"
}
";

const EXCLUDING: &str = "model
  schema 1.1
type user
type folder
  relations
    define viewer: [user]
type document
  relations
    define parent: [folder]
    define blocked: [user]
    define viewer: viewer from parent
    define reader: viewer but not blocked
";

/// A list of so many documents, each under a condition that looks at so many numbers.
async fn costly(limits: Limits, documents: usize, numbers: usize) -> World {
    let mut world = World::new(limits, &Model::from_dsl(COSTLY).unwrap()).await;
    let condition = Arc::new(RelationshipCondition { name: "costly".into(), context: Context::default() });
    let document = |id: usize| Relationship {
        tuple: Tuple::parse(&format!("document:{id}"), "viewer", "user:ann").unwrap(),
        condition: Some(Arc::clone(&condition)),
    };
    world.write((0..documents).map(document)).await;
    world.context = Context::new([("numbers".into(), json!(vec![1; numbers]))]);
    world
}

async fn count(world: &World, relation: &str) -> Result<usize, CheckError> {
    let ann = Subject::parse("user:ann").unwrap();
    Ok(world.objects(&ann, relation, "document", Consistency::Full).await?.items.len())
}

#[tokio::test]
async fn the_conditions_of_a_list_have_one_budget() {
    let limits = Limits { max_condition_steps: 1_000, ..Limits::default() };
    assert_eq!(count(&costly(limits, 10, 100).await, "viewer").await.unwrap(), 10);
    let error = count(&costly(limits, 40, 100).await, "viewer").await.unwrap_err();
    insta::assert_snapshot!(error, @"the question is too complex: the number of steps of the conditions of one list is over 16000; make the model flatter, or raise the limit");
    let generous = Limits { max_condition_steps: 10_000, ..limits };
    assert_eq!(count(&costly(generous, 40, 100).await, "viewer").await.unwrap(), 40);
}

/// How often another task had its turn while a list was computed.
async fn turns_of_others(world: &World) -> usize {
    let turns = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&turns);
    let other = tokio::spawn(async move {
        loop {
            counted.fetch_add(1, Ordering::SeqCst);
            tokio::task::yield_now().await;
        }
    });
    count(world, "viewer").await.unwrap();
    other.abort();
    turns.load(Ordering::SeqCst)
}

#[tokio::test(flavor = "current_thread")]
async fn a_list_with_costly_conditions_gives_others_their_turn() {
    let cheap = turns_of_others(&costly(Limits::default(), 40, 1).await).await;
    let dear = turns_of_others(&costly(Limits::default(), 40, 2_500).await).await;
    println!("others had {cheap} turns, then {dear}");
    // Some 300,000 steps more.
    assert!(dear >= cheap + 10, "others had {cheap} turns, then {dear}");
}

#[tokio::test]
async fn checks_that_are_too_large_together_are_taken_in_smaller_parts() {
    let world = World::new(Limits { max_nodes: 20, ..Limits::default() }, &Model::from_dsl(EXCLUDING).unwrap()).await;
    let mut tuples = vec![Tuple::parse("folder:plans", "viewer", "user:ann").unwrap()];
    for id in 0..300 {
        tuples.push(Tuple::parse(&format!("document:{id}"), "parent", "folder:plans").unwrap());
        if id % 3 == 0 {
            tuples.push(Tuple::parse(&format!("document:{id}"), "blocked", "user:ann").unwrap());
        }
    }
    world.write(tuples).await;
    assert_eq!(count(&world, "reader").await.unwrap(), 200);
}
