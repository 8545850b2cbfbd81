//! Round trips: as many as an evaluation has levels, whatever stands around them.

use std::sync::Arc;

use authz::decide::{CheckRequest, DecisionPoint};
use authz::model::Model;
use authz::relation::{Object, Subject, Tuple};
use authz::store::postgres::PostgresStore;
use authz::store::{Store, SystemWallClock, TupleRead, WriteBatch};

use cache_core::Source;
use cache_l1::{MemoryConfig, MemoryLayer};

use super::{server, until, world};
use crate::support::{Postgres, enumerate, reverse, tuple};

#[tokio::test]
async fn a_level_is_one_round_trip_and_the_beginning_is_none() {
    let (world, _psql) = world!();
    world.write(&["doc:1#viewer@user:ann"]).await;
    let level = || {
        vec![
            TupleRead::Point(tuple("doc:1#viewer@user:ann")),
            TupleRead::Point(tuple("doc:2#viewer@user:ann")),
            enumerate("doc:1", "viewer", "user"),
            enumerate("doc:1", "viewer", "team#member"),
            reverse("user:ann", "doc", "viewer"),
            TupleRead::Properties(Object::parse("user:ann").unwrap()),
        ]
    };
    for levels in 1..=5 {
        let before = world.origin.round_trips();
        let mut snapshot = world.origin.snapshot().await.unwrap();
        for _ in 0..levels {
            snapshot.read(world.store, level()).await.unwrap();
        }
        drop(snapshot);
        assert_eq!(world.origin.round_trips() - before, levels, "{levels} levels");
    }
    let before = world.origin.round_trips();
    drop(world.origin.snapshot().await.unwrap());
    assert_eq!(world.origin.round_trips(), before, "a snapshot that nobody reads asks nothing");
}

const MODEL: &str = "model
  schema 1.1
type user
type team
  relations
    define member: [user, team#member]
type document
  relations
    define viewer: [team#member]
";

/// On one thread: statements that are sent at once reach the connection at once, whatever else the machine does.
#[tokio::test]
async fn a_cold_check_makes_one_round_trip_for_each_level_of_depth_and_one_more_at_most() {
    // Nobody else's transaction keeps what was read just now from being used.
    let Some((_server, database)) = server().await else { return };
    let mut config = Postgres::config(database.url());
    config.log.trims = false;
    let origin = Arc::new(PostgresStore::new(config, Arc::new(SystemWallClock)).unwrap());
    // The tier keeps the model and its pointer; each chain of teams is asked for the first time.
    let tier = MemoryLayer::new(MemoryConfig::default()).unwrap();
    let point = DecisionPoint::builder(origin.clone()).tier(tier).build().await.unwrap();
    let store = point.create_store("trips").await.unwrap().id;
    point.write_model(store, &Model::from_dsl(MODEL).unwrap()).await.unwrap();
    let mut tuples = Vec::new();
    for chain in 0..=8 {
        tuples.push(Tuple::parse(&format!("team:{chain}-0"), "member", "user:ann").unwrap());
        for depth in 1..=chain {
            let (object, subject) = (format!("team:{chain}-{depth}"), format!("team:{chain}-{}#member", depth - 1));
            tuples.push(Tuple::parse(&object, "member", &subject).unwrap());
        }
        let (object, subject) = (format!("document:{chain}"), format!("team:{chain}-{chain}#member"));
        tuples.push(Tuple::parse(&object, "viewer", &subject).unwrap());
    }
    point.write(store, None, WriteBatch::of(tuples)).await.unwrap();
    let check = async |depth: u64, subject: &str| {
        let request = CheckRequest::new(
            store,
            Subject::parse(subject).unwrap(),
            "viewer",
            Object::parse(&format!("document:{depth}")).unwrap(),
        );
        let decision = point.check(&request).await.unwrap();
        (decision.allowed, decision.source)
    };
    // The model is known from here on.
    until("something comes from the tier", async || check(0, "user:ann").await == (true, Source::Tier("l1"))).await;
    for depth in 1..=8 {
        for (subject, allowed) in [("user:ann", true), ("user:eve", false)] {
            let before = origin.round_trips();
            assert_eq!(check(depth, subject).await, (allowed, Source::Origin));
            // The document's viewers, then the members of one team after the other, down to the innermost.
            let levels = depth + 2;
            let trips = origin.round_trips() - before;
            assert!((1..=levels + 1).contains(&trips), "{trips} round trips for {levels} levels ({subject})");
        }
    }
    point.close().await;
}
