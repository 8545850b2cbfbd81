//! Single rows: what they say, and where they say nothing.

use authz::condition::Context;
use authz::decide::{CheckRequest, Consistency};
use authz::relation::{Object, Relationship, RelationshipCondition, Subject, Tuple};
use authz::store::{MAX_WRITE_BATCH, WriteBatch};
use authz::views::{MAX_NESTING, MAX_ROW_EDGES, MAX_ROW_SUBJECTS};
use cache_core::Source;

use crate::mirror::{Kind, Mirror};

const GROUPS: &str = "model
  schema 1.1
type user
type group
  relations
    define member: [user, group#member]
type team
  relations
    define member: [user, group#member]
type doc
  relations
    define viewer: [user, user:*, team#member]
";

fn tuple(object: &str, relation: &str, subject: &str) -> Tuple {
    Tuple::parse(object, relation, subject).unwrap()
}

async fn write(mirror: &Mirror, tuples: &[(&str, &str, &str)]) {
    mirror
        .write(WriteBatch::of(tuples.iter().map(|(object, relation, subject)| tuple(object, relation, subject))))
        .await;
}

async fn write_many(mirror: &Mirror, tuples: &[Tuple]) {
    for some in tuples.chunks(MAX_WRITE_BATCH) {
        mirror.write(WriteBatch::of(some.iter().cloned())).await;
    }
}

/// The answer, and where it came from.
async fn ask(mirror: &Mirror, subject: &str, relation: &str, object: &str) -> (bool, Source) {
    let request =
        CheckRequest::new(mirror.store, Subject::parse(subject).unwrap(), relation, Object::parse(object).unwrap());
    let full = mirror.point.check(&CheckRequest { consistency: Consistency::Full, ..request.clone() }).await.unwrap();
    let cached = mirror.point.check(&request).await.unwrap();
    assert_eq!(cached.allowed, full.allowed, "{subject} {relation} {object} by {:?}", cached.source);
    (cached.allowed, cached.source)
}

const VIEWS: Source = Source::Tier("l3");

#[tokio::test]
async fn memberships_through_groups_are_answered_by_one_row_either_way() {
    let Some(mut mirror) = Mirror::new(Kind::Mirrored, false).await else { return };
    mirror.model(GROUPS).await;
    write(&mirror, &[("group:a", "member", "user:ann"), ("group:b", "member", "group:a#member")]).await;
    write(&mirror, &[("team:t", "member", "group:b#member"), ("team:u", "member", "user:ann")]).await;
    mirror.refresh().await;
    for (object, allowed) in
        [("team:t", true), ("team:u", true), ("team:v", false), ("group:b", true), ("group:c", false)]
    {
        assert_eq!(ask(&mirror, "user:ann", "member", object).await, (allowed, VIEWS), "{object}");
    }
    assert_eq!(ask(&mirror, "user:nobody", "member", "team:t").await, (false, VIEWS), "no row is an answer");
    assert_eq!(ask(&mirror, "group:a#member", "member", "team:t").await, (true, Source::Origin));
}

#[tokio::test]
async fn a_deny_is_killed_by_a_way_out_of_anything_that_was_reached() {
    let Some(mut mirror) = Mirror::new(Kind::Mirrored, false).await else { return };
    mirror.model(GROUPS).await;
    write(&mirror, &[("group:a", "member", "user:ann"), ("group:b", "member", "group:a#member")]).await;
    mirror.refresh().await;
    for object in ["team:t", "team:u"] {
        assert_eq!(ask(&mirror, "user:ann", "member", object).await, (false, VIEWS));
    }
    write(&mirror, &[("team:t", "member", "group:b#member")]).await;
    assert_eq!(ask(&mirror, "user:ann", "member", "team:t").await, (true, Source::Origin));
    // It went through what group:b is in, whichever team that is.
    assert_eq!(ask(&mirror, "user:ann", "member", "team:u").await, (false, Source::Origin));
    assert_eq!(ask(&mirror, "user:bob", "member", "team:t").await, (false, VIEWS), "bob has nothing to do with it");
}

#[tokio::test]
async fn an_allow_is_killed_by_the_loss_of_any_step_of_its_way_and_of_no_other() {
    let Some(mut mirror) = Mirror::new(Kind::Mirrored, false).await else { return };
    mirror.model(GROUPS).await;
    let steps = [
        ("group:a", "member", "user:ann"),
        ("group:b", "member", "group:a#member"),
        ("team:t", "member", "group:b#member"),
    ];
    write(&mirror, &steps).await;
    write(&mirror, &[("group:c", "member", "user:ann"), ("team:t", "member", "user:bob")]).await;
    for (object, relation, subject) in steps {
        mirror.refresh().await;
        let aside = WriteBatch { deletes: vec![tuple("group:c", "member", "user:ann")], ..WriteBatch::default() };
        mirror.write(aside).await;
        assert_eq!(ask(&mirror, "user:ann", "member", "team:t").await, (true, VIEWS), "another membership went");
        let step = WriteBatch { deletes: vec![tuple(object, relation, subject)], ..WriteBatch::default() };
        mirror.write(step).await;
        assert_eq!(ask(&mirror, "user:ann", "member", "team:t").await, (false, Source::Origin), "{object} {subject}");
        write(&mirror, &[(object, relation, subject), ("group:c", "member", "user:ann")]).await;
    }
}

#[tokio::test]
async fn a_model_that_makes_a_type_a_team_later_does_not_ask_a_view_that_left_it_out() {
    let Some(mut mirror) = Mirror::new(Kind::Mirrored, false).await else { return };
    let before = "model
  schema 1.1
type user
type team
  relations
    define member: [user]
type doc
  relations
    define viewer: [user]
";
    mirror.model(before).await;
    write(&mirror, &[("team:t", "member", "user:ann")]).await;
    mirror.refresh().await;
    mirror.model(&before.replace("viewer: [user]", "viewer: [user, team#member]")).await;
    assert_eq!(ask(&mirror, "user:ann", "member", "team:t").await, (true, Source::Origin));
    mirror.refresh().await;
    assert_eq!(ask(&mirror, "user:ann", "member", "team:t").await, (true, VIEWS));
}

#[tokio::test]
async fn a_condition_on_the_way_is_not_passed_over() {
    let Some(mut mirror) = Mirror::new(Kind::Mirrored, false).await else { return };
    mirror.model(GROUPS).await;
    let conditional = Relationship {
        tuple: tuple("group:a", "member", "user:ann"),
        condition: Some(RelationshipCondition { name: "of_another_model".into(), context: Context::default() }.into()),
    };
    mirror.write(WriteBatch::of([conditional])).await;
    write(&mirror, &[("team:t", "member", "group:a#member"), ("team:t", "member", "user:bob")]).await;
    mirror.refresh().await;
    assert_eq!(
        ask(&mirror, "user:ann", "member", "team:t").await,
        (false, Source::Origin),
        "the model has no such condition"
    );
    assert_eq!(ask(&mirror, "user:bob", "member", "team:t").await, (true, VIEWS));
}

#[tokio::test]
async fn what_is_nested_too_deep_or_in_a_circle_is_left_to_the_origin() {
    let Some(mut mirror) = Mirror::new(Kind::Mirrored, false).await else { return };
    mirror.model(GROUPS).await;
    let nested = |from: usize, to: usize| {
        (from..to).map(|level| tuple(&format!("group:{}", level + 1), "member", &format!("group:{level}#member")))
    };
    mirror.write(WriteBatch::of(nested(0, MAX_NESTING + 4))).await;
    write(&mirror, &[("group:0", "member", "user:deep"), ("group:9", "member", "user:less")]).await;
    write(&mirror, &[("group:x", "member", "group:y#member"), ("group:y", "member", "group:x#member")]).await;
    write(&mirror, &[("group:x", "member", "user:round")]).await;
    mirror.refresh().await;
    let top = format!("group:{}", MAX_NESTING + 4);
    assert_eq!(ask(&mirror, "user:deep", "member", &top).await, (true, Source::Origin));
    assert_eq!(ask(&mirror, "user:less", "member", &top).await, (true, VIEWS));
    assert_eq!(ask(&mirror, "user:round", "member", "group:y").await, (true, Source::Origin));
}

#[tokio::test]
async fn what_is_too_much_for_a_row_is_left_to_the_origin() {
    let Some(mut mirror) = Mirror::new(Kind::Mirrored, false).await else { return };
    mirror.model(GROUPS).await;
    for (object, count) in [("doc:full", MAX_ROW_SUBJECTS), ("doc:over", MAX_ROW_SUBJECTS + 1)] {
        let teams: Vec<_> = (0..count).map(|team| tuple(object, "viewer", &format!("team:{team}#member"))).collect();
        write_many(&mirror, &teams).await;
    }
    for (subject, count) in [("user:full", MAX_ROW_EDGES), ("user:over", MAX_ROW_EDGES + 1)] {
        let groups: Vec<_> = (0..count).map(|group| tuple(&format!("group:{group}"), "member", subject)).collect();
        write_many(&mirror, &groups).await;
    }
    mirror.refresh().await;
    let full: i64 = mirror
        .client
        .query_one("SELECT json_array_length(value::json)::bigint FROM team_access_v1 WHERE object_id = 'full'", &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(full as usize, MAX_ROW_SUBJECTS);
    let over = "SELECT count(*) FROM team_access_v1 WHERE object_id = 'over' AND value IS NULL";
    assert_eq!(mirror.client.query_one(over, &[]).await.unwrap().get::<_, i64>(0), 1);
    assert_eq!(ask(&mirror, "user:full", "member", "group:7").await, (true, VIEWS));
    assert_eq!(ask(&mirror, "user:over", "member", "group:7").await, (true, Source::Origin));
    assert_eq!(ask(&mirror, "user:full", "viewer", "doc:over").await, (false, Source::Origin));
}

#[tokio::test]
async fn an_invalidation_of_any_entity_reaches_what_went_through_one() {
    let Some(mut mirror) = Mirror::new(Kind::Mirrored, false).await else { return };
    mirror.model(GROUPS).await;
    write(&mirror, &[("group:a", "member", "user:ann"), ("team:t", "member", "group:a#member")]).await;
    mirror.refresh().await;
    assert_eq!(ask(&mirror, "user:ann", "member", "team:t").await, (true, VIEWS));
    let scope = authz::store::InvalidationScope::Resource { id: "group:a".to_owned() };
    mirror.point.invalidate(scope).await.unwrap();
    assert_eq!(ask(&mirror, "user:ann", "member", "team:t").await, (true, Source::Origin));
    mirror.refresh().await;
    assert_eq!(ask(&mirror, "user:ann", "member", "team:t").await, (true, VIEWS));
    let scope = authz::store::InvalidationScope::Pattern { pattern: "*:group:a*:*".to_owned() };
    mirror.point.invalidate(scope).await.unwrap();
    assert_eq!(ask(&mirror, "user:ann", "member", "team:t").await, (true, Source::Origin));
}

#[tokio::test]
async fn a_refresh_writes_no_row_that_nothing_changed() {
    let Some(mut mirror) = Mirror::new(Kind::Mirrored, false).await else { return };
    mirror.model(GROUPS).await;
    let mut tuples = Vec::new();
    for user in 0..30 {
        for group in 0..4 {
            tuples.push(tuple(&format!("group:{}", (user * 7 + group) % 20), "member", &format!("user:{user}")));
        }
    }
    for group in 0..20 {
        tuples.push(tuple(&format!("team:{}", group % 5), "member", &format!("group:{group}#member")));
    }
    write_many(&mirror, &tuples).await;
    mirror.refresh().await;
    let versions = async |mirror: &Mirror| {
        let sql = "SELECT (SELECT array_agg(xmin::text || subject_id ORDER BY subject_id) FROM authorization_context_v1),
                          (SELECT array_agg(xmin::text || object_id ORDER BY object_id, subject_type) FROM team_access_v1)";
        let row = mirror.client.query_one(sql, &[]).await.unwrap();
        [row.get::<_, Vec<String>>(0), row.get::<_, Vec<String>>(1)]
    };
    let before = versions(&mirror).await;
    // Another row of the table moves, and everything that is counted with it.
    write(&mirror, &[("group:0", "member", "group:x#member"), ("doc:1", "viewer", "team:1#member")]).await;
    mirror.refresh().await;
    let after = versions(&mirror).await;
    assert_eq!(after[0], before[0]);
    let kept = before[1].iter().filter(|row| after[1].contains(row)).count();
    assert_eq!((kept, after[1].len()), (before[1].len(), before[1].len() + 2));
}
