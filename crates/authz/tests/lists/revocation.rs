//! What kills a cached list: every change that could alter it, and an administrator's invalidation of whatever took part. Nothing else.

use authz::decide::{Consistency, ExpandRequest, Userset, UsersetTree};
use authz::evaluate::Limits;
use authz::model::Model;
use authz::relation::{Object, Subject, SubjectKind, Tuple};
use authz::store::{InvalidationScope, WriteBatch};
use cache_core::Source;

use super::support::World;

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
    define blocked: [user]
    define owner: [user]
    define viewer: owner or viewer from parent
    define reader: viewer but not blocked
";

async fn world(limits: Limits) -> World {
    let world = World::new(limits, &Model::from_dsl(MODEL).unwrap()).await;
    let tuples = [
        ("team:inner", "member", "user:ann"),
        ("team:outer", "member", "team:inner#member"),
        ("folder:plans", "viewer", "team:outer#member"),
        ("document:a", "parent", "folder:plans"),
        ("document:b", "parent", "folder:plans"),
        ("document:c", "owner", "user:ann"),
    ];
    world.write(tuples.map(|(object, relation, subject)| Tuple::parse(object, relation, subject).unwrap())).await;
    world
}

async fn objects(world: &World, relation: &str) -> (Vec<String>, Source) {
    let ann = Subject::parse("user:ann").unwrap();
    let listed = world.objects(&ann, relation, "document", Consistency::MinimizeLatency).await.unwrap();
    (listed.items.iter().map(ToString::to_string).collect(), listed.source)
}

async fn users(world: &World, relation: &str) -> (Vec<String>, Source) {
    let (object, kind) =
        (Object::parse("document:a").unwrap(), SubjectKind { type_name: "user".into(), relation: None });
    let listed = world.users(&object, relation, kind, Consistency::MinimizeLatency).await.unwrap();
    (listed.items.iter().map(ToString::to_string).collect(), listed.source)
}

async fn change(world: &World, writes: &[(&str, &str, &str)], deletes: &[(&str, &str, &str)]) {
    let read = |list: &[(&str, &str, &str)]| -> Vec<Tuple> {
        list.iter().map(|(object, relation, subject)| Tuple::parse(object, relation, subject).unwrap()).collect()
    };
    let batch = WriteBatch { deletes: read(deletes), ..WriteBatch::of(read(writes)) };
    world.point.write(world.store, None, batch).await.unwrap();
}

const L1: Source = Source::Tier("l1");

/// With read sets as they are, and with read sets that are coarsened at once.
fn bounds() -> [Limits; 2] {
    [Limits::default(), Limits { max_read_set: 1, ..Limits::default() }]
}

#[tokio::test]
async fn the_list_after_a_revocation_is_right() {
    for limits in bounds() {
        let world = world(limits).await;
        for relation in ["viewer", "reader"] {
            assert_eq!(
                objects(&world, relation).await,
                (vec!["a".to_owned(), "b".to_owned(), "c".to_owned()], Source::Origin)
            );
            assert_eq!(objects(&world, relation).await.1, L1);
            assert_eq!(users(&world, relation).await, (vec!["user:ann".to_owned()], Source::Origin));
            assert_eq!(users(&world, relation).await.1, L1);
            // From the middle of the way.
            let membership = [("team:outer", "member", "team:inner#member")];
            change(&world, &[], &membership).await;
            assert_eq!(objects(&world, relation).await.0, ["c"]);
            assert_eq!(users(&world, relation).await.0, Vec::<String>::new());
            change(&world, &membership, &[]).await;
            assert_eq!(objects(&world, relation).await.0, ["a", "b", "c"]);
            assert_eq!(users(&world, relation).await.0, ["user:ann"]);
        }
    }
}

#[tokio::test]
async fn a_list_grows_by_what_was_looked_for_and_not_found() {
    for limits in bounds() {
        let world = world(limits).await;
        objects(&world, "viewer").await;
        users(&world, "viewer").await;
        change(&world, &[("document:d", "owner", "user:ann"), ("document:a", "owner", "user:bob")], &[]).await;
        assert_eq!(objects(&world, "viewer").await.0, ["a", "b", "c", "d"]);
        assert_eq!(users(&world, "viewer").await.0, ["user:ann", "user:bob"]);
        change(&world, &[("folder:plans", "viewer", "user:*")], &[]).await;
        assert_eq!(users(&world, "viewer").await.0, ["user:ann", "user:bob", "user:*"]);
    }
}

#[tokio::test]
async fn a_candidate_that_was_refused_comes_in_when_what_refused_it_goes() {
    for limits in bounds() {
        let world = world(limits).await;
        let blocked = [("document:b", "blocked", "user:ann")];
        change(&world, &blocked, &[]).await;
        assert_eq!(objects(&world, "reader").await.0, ["a", "c"]);
        assert_eq!(objects(&world, "reader").await, (vec!["a".to_owned(), "c".to_owned()], L1));
        change(&world, &[], &blocked).await;
        assert_eq!(objects(&world, "reader").await.0, ["a", "b", "c"]);
    }
}

#[tokio::test]
async fn a_change_that_has_nothing_to_do_with_a_list_leaves_it_alone() {
    let world = world(Limits::default()).await;
    objects(&world, "viewer").await;
    users(&world, "viewer").await;
    change(&world, &[("team:other", "member", "user:bob"), ("document:z", "owner", "user:bob")], &[]).await;
    assert_eq!(objects(&world, "viewer").await.1, L1);
    assert_eq!(users(&world, "viewer").await.1, L1);
}

#[tokio::test]
async fn a_long_list_dies_by_what_concerns_it_and_not_by_others() {
    /// More than a read set has tags.
    const LONG: usize = 60;
    let world = world(Limits::default()).await;
    let name = |id: usize| format!("document:{id:02}");
    let tuple = |id: usize| Tuple::parse(&name(id), "owner", "user:bob").unwrap();
    world.write((0..LONG).map(tuple)).await;
    world.write((0..LONG).map(|id| Tuple::parse("folder:open", "viewer", &format!("user:{id:02}")).unwrap())).await;
    let objects = || async {
        let bob = Subject::parse("user:bob").unwrap();
        let listed = world.objects(&bob, "owner", "document", Consistency::MinimizeLatency).await.unwrap();
        (listed.items.len(), listed.source)
    };
    let users = || async {
        let (object, kind) =
            (Object::parse("folder:open").unwrap(), SubjectKind { type_name: "user".into(), relation: None });
        let listed = world.users(&object, "viewer", kind, Consistency::MinimizeLatency).await.unwrap();
        (listed.items.len(), listed.source)
    };
    assert_eq!((objects().await, users().await), ((LONG, Source::Origin), (LONG, Source::Origin)));
    change(&world, &[("document:61", "owner", "user:ann"), ("folder:plans", "viewer", "user:bob")], &[]).await;
    assert_eq!((objects().await, users().await), ((LONG, L1), (LONG, L1)), "others in the same relations");
    change(&world, &[("document:62", "owner", "user:bob"), ("folder:open", "viewer", "user:ann")], &[]).await;
    assert_eq!((objects().await, users().await), ((LONG + 1, Source::Origin), (LONG + 1, Source::Origin)));
    change(&world, &[], &[("document:00", "owner", "user:bob"), ("folder:open", "viewer", "user:00")]).await;
    assert_eq!((objects().await, users().await), ((LONG, Source::Origin), (LONG, Source::Origin)));
    for scope in [
        InvalidationScope::Resource { id: name(30) },
        InvalidationScope::Subject { id: "user:30".to_owned() },
        InvalidationScope::Pattern { pattern: format!("*:{}:*", name(59)) },
    ] {
        world.point.invalidate(scope.clone()).await.unwrap();
        assert_eq!((objects().await, users().await), ((LONG, Source::Origin), (LONG, Source::Origin)), "{scope:?}");
        assert_eq!((objects().await, users().await), ((LONG, L1), (LONG, L1)));
    }
}

#[tokio::test]
async fn an_invalidation_reaches_lists_that_went_through_what_it_names() {
    let entity = |id: &str| InvalidationScope::Resource { id: id.to_owned() };
    for limits in bounds() {
        let world = world(limits).await;
        for scope in [
            entity("document:a"),
            entity("folder:plans"),
            entity("team:outer"),
            InvalidationScope::Subject { id: "user:ann".to_owned() },
            InvalidationScope::Type { name: "generation_rights".to_owned() },
            InvalidationScope::Type { name: "user_permissions".to_owned() },
            InvalidationScope::Type { name: "team_access".to_owned() },
            InvalidationScope::Pattern { pattern: "*:team:out*:*".to_owned() },
            InvalidationScope::All,
        ] {
            for relation in ["viewer", "reader"] {
                let before = (objects(&world, relation).await.0, users(&world, relation).await.0);
                world.point.invalidate(scope.clone()).await.unwrap();
                let after = (objects(&world, relation).await, users(&world, relation).await);
                assert_eq!((after.0.1, after.1.1), (Source::Origin, Source::Origin), "{scope:?} under {limits:?}");
                assert_eq!((after.0.0, after.1.0), before, "an invalidation changes no list");
            }
        }
    }
    let world = world(Limits::default()).await;
    objects(&world, "viewer").await;
    world.point.invalidate(entity("team:unknown")).await.unwrap();
    assert_eq!(objects(&world, "viewer").await.1, L1);
}

#[tokio::test]
async fn a_list_that_grows_past_a_bound_is_an_error_and_never_cut() {
    let tight = [
        Limits { max_reads: 3, ..Limits::default() },
        Limits { max_edges: 3, ..Limits::default() },
        Limits { max_nodes: 2, ..Limits::default() },
    ];
    for limits in tight {
        let world = world(limits).await;
        let ann = Subject::parse("user:ann").unwrap();
        let error = world.objects(&ann, "viewer", "document", Consistency::MinimizeLatency).await.unwrap_err();
        assert!(error.to_string().starts_with("the question is too complex"), "{error}");
        let (object, kind) =
            (Object::parse("document:a").unwrap(), SubjectKind { type_name: "user".into(), relation: None });
        let error = world.users(&object, "viewer", kind, Consistency::MinimizeLatency).await.unwrap_err();
        assert!(error.to_string().starts_with("the question is too complex"), "{error}");
    }
}

#[tokio::test]
async fn names_that_the_model_does_not_have_are_refused() {
    let world = world(Limits::default()).await;
    let ann = Subject::parse("user:ann").unwrap();
    let refusal = |relation: &'static str, of: &'static str| {
        let (world, ann) = (&world, &ann);
        async move { world.objects(ann, relation, of, Consistency::Full).await.unwrap_err().to_string() }
    };
    insta::assert_snapshot!(refusal("viewr", "document").await, @"type 'document' has no relation 'viewr' (did you mean 'viewer'?)");
    insta::assert_snapshot!(refusal("viewer", "dokument").await, @"type 'dokument' is not in the model (did you mean 'document'?)");
    let kind = SubjectKind { type_name: "team".into(), relation: Some("members".into()) };
    let error =
        world.users(&Object::parse("document:a").unwrap(), "viewer", kind, Consistency::Full).await.unwrap_err();
    insta::assert_snapshot!(error, @"type 'team' has no relation 'members' (did you mean 'member'?)");
}

#[tokio::test]
async fn a_tree_shows_one_level_with_what_is_written() {
    let world = world(Limits::default()).await;
    let expand = |object: &str, relation: &str| {
        let request = ExpandRequest {
            store: world.store,
            model: None,
            object: Object::parse(object).unwrap(),
            relation: relation.into(),
            contextual_tuples: vec![Tuple::parse("folder:plans", "viewer", "user:*").unwrap().into()],
        };
        let point = &world.point;
        async move { point.expand(&request).await.unwrap() }
    };
    let userset =
        |object: &str, relation: &str| Userset { object: Object::parse(object).unwrap(), relation: relation.into() };
    let subjects = ["team:outer#member", "user:*"].map(|subject| Subject::parse(subject).unwrap());
    assert_eq!(expand("folder:plans", "viewer").await, UsersetTree::Users(subjects.to_vec()));
    assert_eq!(
        expand("document:a", "viewer").await,
        UsersetTree::Union(vec![
            UsersetTree::Computed(userset("document:a", "owner")),
            UsersetTree::TupleToUserset {
                tupleset: userset("document:a", "parent"),
                computed: vec![userset("folder:plans", "viewer")],
            },
        ])
    );
    assert_eq!(
        expand("document:a", "reader").await,
        UsersetTree::Difference {
            base: Box::new(UsersetTree::Computed(userset("document:a", "viewer"))),
            subtract: Box::new(UsersetTree::Computed(userset("document:a", "blocked"))),
        }
    );
}
