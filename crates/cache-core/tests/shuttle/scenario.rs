//! What is explored, each thing by itself; what races with invalidations of every scope is in [`race`](super::race).

use std::sync::Arc;

use cache_core::testing::{BETA, TestKey, TestValue};
use cache_core::{Draft, Error, Kill, Moment, PartRole, TypeSet, tag};
use shuttle::future::block_on;
use shuttle::sync::atomic::Ordering;
use shuttle::thread;

use super::world::{FOUND, Task, World, fact_tag, key, task, together, value, version};

/// A fill is under way while its tag is killed. The last look-up comes after everything: what was left behind must not be served either.
pub(crate) fn fill_against_invalidation() {
    let world = World::new(false);
    together(
        &world,
        vec![
            task(async |world| {
                world.warm(0).await;
                world.look(0).await;
            }),
            task(async |world| {
                world.look(0).await;
                world.look(0).await;
            }),
            task(async |world| world.change(0).await),
        ],
    );
    block_on(world.look(0));
}

/// A value in memory is compared with the horizon while two writers apply in either order.
pub(crate) fn check_against_two_writers() {
    let world = World::new(false);
    block_on(world.warm(0));
    block_on(world.warm(1));
    together(
        &world,
        vec![
            task(async |world| {
                world.look(0).await;
                world.look(0).await;
                world.look(1).await;
            }),
            task(async |world| world.change(0).await),
            task(async |world| world.change(1).await),
        ],
    );
    block_on(world.look(0));
    block_on(world.look(1));
}

/// Callers share loads while what they load is killed, once before and once beside them.
pub(crate) fn flight_against_invalidation() {
    let world = World::new(false);
    together(
        &world,
        vec![
            task(async |world| world.ask(0).await),
            task(async |world| {
                world.change(0).await;
                world.ask(0).await;
            }),
            task(async |world| {
                world.ask(0).await;
                world.ask(0).await;
            }),
        ],
    );
    block_on(world.ask(0));
    assert_eq!(world.chain.statistics().loads_failed, 0);
}

/// A value is copied upwards from a remote tier while it is killed.
pub(crate) fn promotion_against_invalidation() {
    let world = World::new(true);
    block_on(world.warm(0));
    world.chain.switch_tier("remote", false);
    block_on(world.chain.clear_tiers());
    world.chain.switch_tier("remote", true);
    // Everything was cleared; the remote tier alone gets the value.
    world.chain.switch_tier("local", false);
    block_on(world.warm(0));
    world.chain.switch_tier("local", true);
    assert!(world.remote.as_ref().is_some_and(|remote| !remote.is_empty()));
    together(
        &world,
        vec![
            task(async |world| {
                world.look(0).await;
                world.look(0).await;
            }),
            task(async |world| world.ask(0).await),
            task(async |world| world.change(0).await),
        ],
    );
    block_on(world.look(0));
    block_on(world.ask(0));
}

/// A leader goes away without a result. Its followers start over, and nobody waits for ever: that would be a deadlock, which is found too.
pub(crate) fn leader_is_cancelled() {
    let world = World::new(false);
    let leader = {
        let world = Arc::clone(&world);
        shuttle::future::spawn(async move {
            world.ask(0).await;
        })
    };
    let followers: Vec<_> = (0..2)
        .map(|_| {
            let world = Arc::clone(&world);
            shuttle::future::spawn(async move {
                world.ask(0).await;
            })
        })
        .collect();
    let writer = {
        let world = Arc::clone(&world);
        thread::spawn(move || block_on(world.change(0)))
    };
    thread::yield_now();
    leader.abort();
    writer.join().expect("the writer panicked");
    for follower in followers {
        block_on(follower).expect("a follower panicked");
    }
    block_on(world.ask(0));
}

/// A value made of two cached parts, one of which is killed beside it.
pub(crate) fn composition_against_invalidation() {
    async fn whole(world: &World) {
        let acknowledged = [0, 1].map(|fact| world.facts[fact].acknowledged.load(Ordering::SeqCst));
        let load = |load: cache_core::Load| async move {
            let mut versions = Vec::new();
            for fact in [0, 1] {
                let part = world.load(fact).await?;
                load.part(&key(fact), &part.entry);
                versions.push(version(fact, part.value()).to_string());
            }
            Ok::<_, Error>(TestValue::new(versions.join("+")))
        };
        let answer = world.chain.get_or_load(&TestKey::new(BETA, "whole"), load).await.expect("composed");
        let (first, second) = answer.value().text().split_once('+').expect("two parts");
        let versions = [first, second].map(|version| version.parse::<u64>().expect("a version"));
        assert!(versions[0] >= acknowledged[0] && versions[1] >= acknowledged[1], "{FOUND}: {answer:?}");
    }
    let world = World::new(false);
    block_on(world.warm(0));
    together(
        &world,
        vec![
            task(async |world| {
                whole(world).await;
                whole(world).await;
            }),
            task(async |world| whole(world).await),
            task(async |world| world.change(0).await),
        ],
    );
    block_on(whole(&world));
}

/// A load reads one snapshot of the origin, and publishes a part of it that another caller waits for.
pub(crate) fn part_of_an_older_snapshot() {
    let world = World::new(false);
    together(
        &world,
        vec![
            task(async |world| {
                let whole = |load: cache_core::Load| async move {
                    // The snapshot comes first, and the part is computed from it at some later time.
                    let snapshot = world.read(0);
                    let (source, ticket) = (key(0), load.ticket());
                    let part = world.chain.key(&source);
                    if let PartRole::Lead(leader) = world.chain.join_part(&part, load.order(), world.chain.invoked()) {
                        let draft = Draft {
                            value: value(0, snapshot),
                            stamp: ticket.stamp(),
                            read_set: [fact_tag(0)].into_iter().collect(),
                            types: TypeSet::default(),
                            hard_expiry: Moment::NEVER,
                        };
                        world.chain.publish_part(&ticket, &part, leader, draft).await;
                    }
                    load.read(fact_tag(0));
                    Ok::<_, Error>(TestValue::new("whole"))
                };
                world.chain.get_or_load(&TestKey::new(BETA, "whole"), whole).await.expect("composed");
            }),
            task(async |world| world.ask(0).await),
            task(async |world| {
                world.change(0).await;
                world.ask(0).await;
            }),
        ],
    );
    block_on(world.ask(0));
}

/// More is killed than the horizon remembers.
pub(crate) fn forgetting_against_look_ups() {
    let world = World::new(false);
    block_on(world.warm(0));
    together(
        &world,
        vec![
            task(async |world| {
                let others = (0..200).map(|row| Kill::Tag(tag!("row", row)));
                world.change_with(0, std::iter::once(Kill::Tag(fact_tag(0))).chain(others).collect()).await;
            }),
            task(async |world| {
                world.look(0).await;
                world.look(0).await;
            }),
        ],
    );
    block_on(world.look(0));
}

/// Nothing changes: however the callers interleave, one of them loads.
pub(crate) fn callers_of_one_key() {
    let world = World::new(false);
    together(&world, (0..3).map(|_| task(async |world| world.ask(0).await)).collect());
    assert_eq!(world.chain.statistics().loads, 1, "one load is enough for everybody");
}

/// One change falls into it: one load from before, one from after.
pub(crate) fn callers_of_one_key_and_a_change() {
    let world = World::new(false);
    let mut tasks: Vec<Task> = (0..3).map(|_| task(async |world| world.ask(0).await)).collect();
    tasks.push(task(async |world| world.change(0).await));
    together(&world, tasks);
    let loads = world.chain.statistics().loads;
    assert!(loads <= 2, "{loads} loads for one change");
}
