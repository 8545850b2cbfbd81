//! Who may go on to the origin, at the decision point: hits are free, a refusal is an error and never an answer, and the caller is no input.
#![allow(clippy::unwrap_used, reason = "a test")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use authz::decide::{
    Admission, Asked, CheckError, CheckRequest, Consistency, DecisionPoint, ExpandRequest, ListObjectsRequest,
    ListUsersRequest, Refused, Work,
};
use authz::model::Model;
use authz::relation::{Object, Subject, SubjectKind, Tuple};
use authz::store::memory::MemoryStore;
use authz::store::{StoreId, WriteBatch};
use cache_core::Source;
use cache_core::testing::Gate;
use cache_l1::{MemoryConfig, MemoryLayer};

const MODEL: &str = "model
  schema 1.1
type user
type document
  relations
    define owner: [user]
    define viewer: [user] or owner
";
const RETRY_AFTER: Duration = Duration::from_millis(1_500);

async fn world() -> (Arc<DecisionPoint>, StoreId) {
    let tier = MemoryLayer::new(MemoryConfig { budget_bytes: 1 << 20, ..MemoryConfig::default() }).unwrap();
    let point = DecisionPoint::builder(Arc::new(MemoryStore::default())).tier(tier).build().await.unwrap();
    let store = point.create_store("test").await.unwrap().id;
    point.write_model(store, &Model::from_dsl(MODEL).unwrap()).await.unwrap();
    let tuples = vec![Tuple::parse("document:a", "owner", "user:ann").unwrap()];
    point.write(store, None, WriteBatch::of(tuples)).await.unwrap();
    (Arc::new(point), store)
}

fn question(store: StoreId, subject: &str) -> CheckRequest {
    CheckRequest::new(store, Subject::parse(subject).unwrap(), "viewer", Object::parse("document:a").unwrap())
}

/// Lets nobody through, or everybody, after a gate; remembers what was asked.
struct Door {
    open: bool,
    gate: Gate,
    asked: Mutex<Vec<(Option<String>, String, Work)>>,
}

impl Door {
    fn new(open: bool) -> Arc<Self> {
        Arc::new(Self { open, gate: Gate::default(), asked: Mutex::default() })
    }

    fn asked(&self) -> Vec<(Option<String>, String, Work)> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

#[async_trait]
impl Admission for Door {
    async fn admit(&self, asked: &Asked<'_>) -> Result<(), Refused> {
        let Asked { store: _, subject, action, work } = asked;
        self.asked.lock().unwrap().push((subject.map(ToString::to_string), action.to_string(), *work));
        self.gate.pass().await;
        if self.open { Ok(()) } else { Err(Refused { retry_after: RETRY_AFTER }) }
    }
}

fn is_refusal<T>(result: &Result<T, CheckError>) -> bool {
    matches!(result, Err(CheckError::RateLimited(Refused { retry_after })) if *retry_after == RETRY_AFTER)
}

#[tokio::test]
async fn a_hit_is_free_and_a_miss_is_asked_about_once() {
    let (point, store) = world().await;
    let (closed, open) = (Door::new(false), Door::new(true));
    let ann = question(store, "user:ann");
    let result = point.check_admitted(&ann, &*closed).await;
    assert!(is_refusal(&result), "{result:?}");
    let asked = (Some("user:ann".to_owned()), "viewer".to_owned(), Work::Check);
    assert_eq!(closed.asked(), std::slice::from_ref(&asked));
    let decision = point.check_admitted(&ann, &*open).await.unwrap();
    assert_eq!((decision.allowed, decision.source), (true, Source::Origin));
    assert_eq!(open.asked(), [asked]);
    let decision = point.check_admitted(&ann, &*closed).await.unwrap();
    assert_eq!((decision.allowed, decision.source), (true, Source::Tier("l1")));
    assert_eq!(closed.asked(), [], "what one caller was let in for serves all callers");
}

#[tokio::test]
async fn a_full_read_is_asked_about_although_a_tier_has_an_answer() {
    let (point, store) = world().await;
    point.check(&question(store, "user:ann")).await.unwrap();
    let full = CheckRequest { consistency: Consistency::Full, ..question(store, "user:ann") };
    let closed = Door::new(false);
    assert!(is_refusal(&point.check_admitted(&full, &*closed).await));
    assert_eq!(closed.asked().len(), 1);
    let open = Door::new(true);
    assert!(point.check_admitted(&full, &*open).await.unwrap().allowed);
    assert_eq!(open.asked().len(), 1);
}

#[tokio::test]
async fn a_question_that_makes_no_sense_costs_nothing() {
    let (point, store) = world().await;
    let open = Door::new(true);
    let unknown = CheckRequest { relation: "editor".into(), ..question(store, "user:ann") };
    assert!(matches!(point.check_admitted(&unknown, &*open).await, Err(CheckError::UnknownRelation { .. })));
    assert_eq!(open.asked(), []);
}

#[tokio::test]
async fn who_waits_for_a_caller_that_is_refused_asks_for_itself() {
    let (point, store) = world().await;
    let (closed, open) = (Door::new(false), Door::new(true));
    closed.gate.close();
    let ask = |door: &Arc<Door>| {
        let (point, door) = (Arc::clone(&point), Arc::clone(door));
        tokio::spawn(async move { point.check_admitted(&question(store, "user:ann"), &*door).await })
    };
    let leader = ask(&closed);
    closed.gate.reached().await;
    let followers: Vec<_> = (0..20).map(|_| ask(&open)).collect();
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    assert_eq!(open.asked(), [], "they wait");
    closed.gate.open();
    assert!(is_refusal(&leader.await.unwrap()));
    for follower in followers {
        assert!(follower.await.unwrap().unwrap().allowed);
    }
    assert_eq!(point.statistics().loads, 1);
}

#[tokio::test]
async fn lists_are_asked_about_as_lists_and_free_where_they_are_cached() {
    let (point, store) = world().await;
    let objects = ListObjectsRequest {
        store,
        model: None,
        subject: Subject::parse("user:ann").unwrap(),
        relation: "viewer".into(),
        object_type: "document".into(),
        contextual_tuples: Vec::new(),
        context: Default::default(),
        properties: Default::default(),
        consistency: Consistency::MinimizeLatency,
    };
    let users = ListUsersRequest {
        store,
        model: None,
        object: Object::parse("document:a").unwrap(),
        relation: "viewer".into(),
        filters: vec![SubjectKind { type_name: "user".into(), relation: None }],
        contextual_tuples: Vec::new(),
        context: Default::default(),
        properties: Default::default(),
        consistency: Consistency::MinimizeLatency,
    };
    let (closed, open) = (Door::new(false), Door::new(true));
    assert!(is_refusal(&point.list_objects_admitted(&objects, &*closed).await));
    assert!(is_refusal(&point.list_users_admitted(&users, &*closed).await));
    let expected =
        [(Some("user:ann".to_owned()), "viewer".to_owned(), Work::List), (None, "viewer".into(), Work::List)];
    assert_eq!(closed.asked(), expected);
    assert_eq!(point.list_objects_admitted(&objects, &*open).await.unwrap().items.len(), 1);
    assert_eq!(point.list_users_admitted(&users, &*open).await.unwrap().items.len(), 1);
    assert_eq!(open.asked(), expected, "the checks of a list are part of it");
    assert!(point.list_objects_admitted(&objects, &*closed).await.is_ok());
    assert!(point.list_users_admitted(&users, &*closed).await.is_ok());
    assert_eq!(closed.asked(), []);
}

#[tokio::test]
async fn an_expansion_always_reads_the_origin_and_is_asked_about() {
    let (point, store) = world().await;
    let request = ExpandRequest {
        store,
        model: None,
        object: Object::parse("document:a").unwrap(),
        relation: "owner".into(),
        contextual_tuples: Vec::new(),
    };
    let closed = Door::new(false);
    assert!(is_refusal(&point.expand_admitted(&request, &*closed).await));
    assert_eq!(closed.asked(), [(None, "owner".to_owned(), Work::Expand)]);
    assert!(point.expand_admitted(&request, &*Door::new(true)).await.is_ok());
}
