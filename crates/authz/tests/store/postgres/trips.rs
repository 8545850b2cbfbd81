//! Round trips: as many as an evaluation has levels, whatever stands around them.

use authz::relation::Object;
use authz::store::{Store, TupleRead};

use super::world;
use crate::support::{enumerate, reverse, tuple};

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
