//! What an administrator's invalidation reaches: whole decisions and what they were computed from, whether that came from a cache or not.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::Arc;

use authz::decide::{CheckRequest, DecisionPoint};
use authz::evaluate::Limits;
use authz::model::Model;
use authz::relation::{Object, Subject, Tuple};
use authz::store::memory::MemoryStore;
use authz::store::{InvalidationScope, StoreId, WriteBatch};
use cache_core::Source;
use cache_l1::{MemoryConfig, MemoryLayer};

const MODEL: &str = "model
  schema 1.1
type user
type team
  relations
    define member: [user, team#member]
type folder
  relations
    define viewer: [user, user:*, team#member]
type document
  relations
    define parent: [folder]
    define viewer: viewer from parent
";

async fn world(limits: Limits) -> (DecisionPoint, StoreId) {
    let tier = MemoryLayer::new(MemoryConfig { budget_bytes: 1 << 20, ..MemoryConfig::default() }).unwrap();
    let point =
        DecisionPoint::builder(Arc::new(MemoryStore::default())).tier(tier).limits(limits).build().await.unwrap();
    let store = point.create_store("test").await.unwrap().id;
    point.write_model(store, &Model::from_dsl(MODEL).unwrap()).await.unwrap();
    let writes = [
        ("team:inner", "member", "user:ann"),
        ("team:outer", "member", "team:inner#member"),
        ("folder:plans", "viewer", "team:outer#member"),
        ("document:a", "parent", "folder:plans"),
    ];
    let writes = writes.map(|(object, relation, subject)| Tuple::parse(object, relation, subject).unwrap()).to_vec();
    point.write(store, None, WriteBatch::of(writes)).await.unwrap();
    (point, store)
}

async fn ask(point: &DecisionPoint, store: StoreId, subject: &str) -> (bool, Source) {
    let request =
        CheckRequest::new(store, Subject::parse(subject).unwrap(), "viewer", Object::parse("document:a").unwrap());
    let decision = point.check(&request).await.unwrap();
    (decision.allowed, decision.source)
}

/// Whether a scope reaches an allow that was computed where nothing was cached, and a deny that was computed where everything but the deny was.
async fn reaches(scope: InvalidationScope, limits: Limits) -> (bool, bool) {
    let cached = Source::Tier("l1");
    let (point, store) = world(limits).await;
    let mut reached = Vec::new();
    for subject in ["user:ann", "user:bob"] {
        let (allowed, _) = ask(&point, store, subject).await;
        assert_eq!(allowed, subject == "user:ann");
        assert_eq!(ask(&point, store, subject).await, (allowed, cached));
        point.invalidate(scope.clone()).await.unwrap();
        let (again, source) = ask(&point, store, subject).await;
        assert_eq!(again, allowed, "an invalidation changes no answer");
        reached.push(source != cached);
    }
    (reached[0], reached[1])
}

fn entity(id: &str) -> InvalidationScope {
    InvalidationScope::Resource { id: id.to_owned() }
}

fn of_type(name: &str) -> InvalidationScope {
    InvalidationScope::Type { name: name.to_owned() }
}

fn pattern(pattern: &str) -> InvalidationScope {
    InvalidationScope::Pattern { pattern: pattern.to_owned() }
}

#[tokio::test]
async fn an_invalidation_reaches_decisions_that_went_through_what_it_names() {
    // With read sets as they are, and with read sets that are coarsened at once.
    for limits in [Limits::default(), Limits { max_read_set: 1, ..Limits::default() }] {
        for scope in [
            entity("document:a"),
            entity("folder:plans"),
            entity("team:outer"),
            of_type("generation_rights"),
            of_type("user_permissions"),
            of_type("team_access"),
            pattern("generation_rights:*"),
            pattern("*:document:a:*"),
            pattern("*:team:out*:*"),
            pattern("user_permissions:team:*:*"),
            InvalidationScope::All,
        ] {
            assert_eq!(reaches(scope.clone(), limits).await, (true, true), "{scope:?} under {limits:?}");
        }
        let of_ann = InvalidationScope::Subject { id: "user:ann".to_owned() };
        assert!(reaches(of_ann, limits).await.0);
        // The allow comes by a team and does not rest on whether the folder is public; the deny rests on its not being public.
        assert_eq!(reaches(of_type("project_visibility"), limits).await, (false, true), "{limits:?}");
    }
}

#[tokio::test]
async fn an_invalidation_leaves_alone_what_has_nothing_to_do_with_it() {
    for scope in
        [entity("document:b"), entity("team:unknown"), of_type("media_access_tokens"), pattern("media_access_tokens:*")]
    {
        assert_eq!(reaches(scope.clone(), Limits::default()).await, (false, false), "{scope:?}");
    }
}

#[tokio::test]
async fn a_scope_that_cannot_be_read_is_refused_and_invalidates_nothing() {
    let (point, store) = world(Limits::default()).await;
    ask(&point, store, "user:ann").await;
    for scope in [entity("no colon"), entity("team:*"), of_type("unknown"), pattern("a"), pattern("*:user:*a:*")] {
        assert!(point.invalidate(scope.clone()).await.is_err(), "{scope:?}");
    }
    assert_eq!(ask(&point, store, "user:ann").await, (true, Source::Tier("l1")));
    assert_eq!(point.statistics().invalidations, 0);
    point.invalidate(InvalidationScope::All).await.unwrap();
    assert_eq!(point.statistics().invalidations, 1);
}
