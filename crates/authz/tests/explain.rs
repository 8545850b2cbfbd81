//! Explanations: the path to an answer, and why tiers did or did not have it.
#![allow(clippy::unwrap_used, reason = "what tests share fails like tests")]

use std::sync::Arc;

use authz::decide::{CheckRequest, DecisionPoint, Explanation, TierReason};
use authz::evaluate::PathStep;
use authz::model::Model;
use authz::relation::{Object, Subject, Tuple};
use authz::store::memory::MemoryStore;
use authz::store::{StoreId, WriteBatch};
use cache_l1::{MemoryConfig, MemoryLayer};

const MODEL: &str = "model\n  schema 1.1\ntype user\ntype team\n  relations\n    define member: [user, team#member]\ntype doc\n  relations\n    \
     define parent: [doc]\n    define banned: [user]\n    define owner: [user]\n    define viewer: [user, team#member] or owner or viewer from parent\n    \
     define can_view: viewer but not banned\n";

struct World {
    point: DecisionPoint,
    store: StoreId,
}

impl World {
    async fn new(tuples: &[(&str, &str, &str)]) -> Self {
        let memory = MemoryConfig { budget_bytes: 1 << 20, ..MemoryConfig::default() };
        let point = DecisionPoint::builder(Arc::new(MemoryStore::default()))
            .tier(MemoryLayer::new(memory).unwrap())
            .build()
            .await
            .unwrap();
        let store = point.create_store("explained").await.unwrap().id;
        point.write_model(store, &Model::from_dsl(MODEL).unwrap()).await.unwrap();
        let writes = tuples.iter().map(|(object, relation, subject)| Tuple::parse(object, relation, subject).unwrap());
        point.write(store, None, WriteBatch::of(writes)).await.unwrap();
        Self { point, store }
    }

    fn request(&self, subject: &str, relation: &str, object: &str) -> CheckRequest {
        CheckRequest::new(self.store, Subject::parse(subject).unwrap(), relation, Object::parse(object).unwrap())
    }

    async fn explain(&self, subject: &str, relation: &str, object: &str) -> Explanation {
        self.point.explain(&self.request(subject, relation, object)).await.unwrap()
    }

    async fn delete(&self, object: &str, relation: &str, subject: &str) {
        let deletes = vec![Tuple::parse(object, relation, subject).unwrap()];
        self.point.write(self.store, None, WriteBatch { deletes, ..WriteBatch::default() }).await.unwrap();
    }
}

/// The path as lines, each step under the one that it decided.
fn lines(subject: &str, step: &PathStep) -> String {
    fn add(step: &PathStep, subject: &Subject, indent: usize, text: &mut String) {
        text.push_str(&format!("{:indent$}{}\n", "", step.line(subject)));
        for child in &step.children {
            add(child, subject, indent + 2, text);
        }
    }
    let mut text = String::new();
    add(step, &Subject::parse(subject).unwrap(), 0, &mut text);
    text
}

#[tokio::test]
async fn an_allow_is_told_by_the_one_way_that_gives_it() {
    let world = World::new(&[
        ("team:9", "member", "user:ann"),
        ("team:all", "member", "team:9#member"),
        ("doc:folder", "viewer", "team:all#member"),
        ("doc:plan", "parent", "doc:folder"),
    ])
    .await;
    let explanation = world.explain("user:ann", "can_view", "doc:plan").await;
    assert!(explanation.decision.unwrap().allowed);
    insta::assert_snapshot!(lines("user:ann", &explanation.path.unwrap()));
}

#[tokio::test]
async fn a_deny_is_told_by_every_way_that_was_looked_at() {
    let world = World::new(&[("doc:plan", "owner", "user:ann"), ("doc:plan", "banned", "user:ann")]).await;
    let banned = world.explain("user:ann", "can_view", "doc:plan").await;
    assert!(!banned.decision.unwrap().allowed);
    let nobody = world.explain("user:bob", "can_view", "doc:plan").await;
    let told = format!("{}\n{}", lines("user:ann", &banned.path.unwrap()), lines("user:bob", &nobody.path.unwrap()));
    insta::assert_snapshot!(told);
}

#[tokio::test]
async fn a_circle_is_told_as_what_left_it_open() {
    let world = World::new(&[("doc:a", "parent", "doc:b"), ("doc:b", "parent", "doc:a")]).await;
    let explanation = world.explain("user:ann", "viewer", "doc:a").await;
    assert!(!explanation.decision.unwrap().allowed);
    assert_eq!(explanation.not_kept, Some("a circle of relationships left it open"));
    insta::assert_snapshot!(lines("user:ann", &explanation.path.unwrap()));
}

#[tokio::test]
async fn each_tier_says_why_it_did_not_answer() {
    let world = World::new(&[("doc:plan", "owner", "user:ann")]).await;
    let reason = |explanation: &Explanation| explanation.tiers[0].reason.clone();
    let first = world.explain("user:ann", "can_view", "doc:plan").await;
    assert_eq!((reason(&first), first.tiers[0].held.is_some()), (TierReason::Absent, false));
    let second = world.explain("user:ann", "can_view", "doc:plan").await;
    assert_eq!(reason(&second), TierReason::Usable);
    let held = second.tiers[0].held.clone().unwrap();
    assert_eq!(held.allowed, Some(true));
    assert!(second.tags.iter().all(|tag| held.tags.contains(tag)), "the entry carries what the path rests on");
    world.delete("doc:plan", "owner", "user:ann").await;
    let revoked = world.explain("user:ann", "can_view", "doc:plan").await;
    assert!(!revoked.decision.as_ref().unwrap().allowed);
    assert_eq!(reason(&revoked), TierReason::Invalidated);
    assert_eq!(revoked.tiers[0].held.clone().unwrap().allowed, Some(true), "what it would have said is told");
    world.point.switch_tier("l1", false);
    assert_eq!(reason(&world.explain("user:ann", "can_view", "doc:plan").await), TierReason::Off);
}

#[tokio::test]
async fn an_endless_path_is_cut_and_says_so() {
    let tuples: Vec<(String, String)> =
        (0..60).map(|number| ("doc:plan".to_owned(), format!("doc:{number}"))).collect();
    let mut all: Vec<(&str, &str, &str)> =
        tuples.iter().map(|(object, parent)| (object.as_str(), "parent", parent.as_str())).collect();
    all.truncate(95);
    let world = World::new(&all).await;
    for number in 0..9 {
        let parents = (0..60).map(|at| (format!("doc:{number}"), format!("doc:{number}-{at}")));
        let writes = parents.map(|(object, parent)| Tuple::parse(&object, "parent", &parent).unwrap());
        world.point.write(world.store, None, WriteBatch::of(writes)).await.unwrap();
    }
    let explanation = world.explain("user:ann", "viewer", "doc:plan").await;
    let told = lines("user:ann", &explanation.path.unwrap());
    assert!(told.contains("more, which is not told"));
    assert!(told.lines().count() < authz::evaluate::MAX_PATH_STEPS + 20, "{}", told.lines().count());
}
