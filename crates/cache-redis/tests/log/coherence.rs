//! What one instance invalidates, the other one no longer serves.

use cache_core::testing::{ALPHA, BETA, TYPES};
use cache_core::{Kill, Source};

use crate::support::{Bed, L1, L2, Origin};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_invalidation_through_one_instance_is_in_force_at_the_other() {
    let Some(bed) = Bed::start() else { return };
    let (a, b) = (bed.instance().await, bed.instance().await);
    let origin = Origin::with(&[("x", "old"), ("y", "same")]);
    for name in ["x", "y"] {
        a.get(name, &origin).await;
        b.get(name, &origin).await;
    }
    assert_eq!(b.get("x", &origin).await, ("old".to_owned(), L1));
    origin.write("x", "new");
    let revision = a.invalidate("x").await;
    assert_eq!(a.get("x", &origin).await.0, "new", "in force at once where it was appended");
    b.applied(revision).await;
    assert_eq!(b.get("x", &origin).await, ("new".to_owned(), L2));
    assert_eq!(b.get("y", &origin).await, ("same".to_owned(), L1), "what was not invalidated is served as before");
}

/// The race that deleting loses: B loads what A invalidates meanwhile, and ends later. What B answers from then on.
pub(crate) async fn answer_after_a_race(bed: &Bed) -> String {
    let (a, b) = (bed.instance().await, bed.instance().await);
    let origin = Origin::with(&[("x", "old")]);
    a.invalidate("x").await;
    origin.gate.close();
    let change = async {
        origin.gate.reached().await;
        origin.write("x", "new");
        let revision = a.invalidate("x").await;
        b.applied(revision).await;
        origin.gate.open();
    };
    let (asked_before, ()) = tokio::join!(b.get("x", &origin), change);
    assert_eq!(asked_before.0, "old", "it was asked before the change");
    b.get("x", &origin).await.0
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_that_was_under_way_does_not_bring_back_what_was_invalidated() {
    let Some(bed) = Bed::start() else { return };
    assert_eq!(answer_after_a_race(&bed).await, "new");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_load_that_ends_before_the_invalidation_has_arrived_is_killed_by_it() {
    let Some(bed) = Bed::start() else { return };
    let (a, b) = (bed.instance().await, bed.instance_apart(crate::support::config()).await);
    let origin = Origin::with(&[("x", "old")]);
    bed.cut_off();
    b.until(|status| status.failures > 0).await;
    // What B reads now has a stamp from before, however late it is read.
    assert_eq!(b.get("x", &origin).await, ("old".to_owned(), Source::Origin));
    origin.write("x", "new");
    let revision = a.invalidate("x").await;
    assert_eq!(
        b.get("x", &origin).await.0,
        "old",
        "it has not arrived: this is what a log without leases can't promise"
    );
    bed.heal();
    b.applied(revision).await;
    assert_eq!(b.get("x", &origin).await.0, "new");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fill_of_redis_that_lands_late_is_dead_on_arrival_everywhere() {
    let Some(bed) = Bed::start() else { return };
    let (a, b) = (bed.instance().await, bed.instance().await);
    let origin = Origin::with(&[("x", "old")]);
    b.l2.fills().close();
    let change = async {
        b.l2.fills().reached().await;
        origin.write("x", "new");
        a.invalidate("x").await;
        b.l2.fills().open();
    };
    let (asked_before, ()) = tokio::join!(b.get("x", &origin), change);
    assert_eq!(asked_before.0, "old");
    assert_eq!(a.get("x", &origin).await, ("new".to_owned(), Source::Origin), "what Redis has is older than the kill");
    let newcomer = bed.instance().await;
    assert_eq!(newcomer.get("x", &origin).await.0, "new");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_read_after_an_invalidation_is_cached_at_once() {
    let Some(bed) = Bed::start() else { return };
    let a = bed.instance().await;
    let origin = Origin::with(&[("x", "old")]);
    for _ in 0..20 {
        a.invalidate("x").await;
        assert_eq!(a.get("x", &origin).await.1, Source::Origin);
        assert_eq!(a.get("x", &origin).await.1, L1, "the stamp is above the invalidation");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_by_type_by_pattern_and_of_everything_reach_the_other_instance() {
    let Some(bed) = Bed::start() else { return };
    let (a, b) = (bed.instance().await, bed.instance().await);
    let origin = Origin::with(&[("x", "old")]);
    let pattern = |text| Kill::parse_pattern(text, &TYPES).unwrap();
    for (kill, hits) in [
        (Kill::Type(BETA), true),
        (Kill::Type(ALPHA), false),
        (pattern("alpha:user:ann*:*"), true),
        (pattern("*"), false),
        (Kill::All, false),
    ] {
        b.get("x", &origin).await;
        let revision = a.kill(vec![kill.clone()]).await;
        b.applied(revision).await;
        assert_eq!(b.get("x", &origin).await.1 == L1, hits, "{kill:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_restarts_finds_redis_warm_and_nothing_of_it_stale() {
    let Some(bed) = Bed::start() else { return };
    let (a, b) = (bed.instance().await, bed.instance().await);
    let origin = Origin::with(&[("x", "old"), ("y", "same")]);
    for name in ["x", "y"] {
        a.get(name, &origin).await;
    }
    drop(a);
    origin.write("x", "new");
    b.invalidate("x").await;
    let restarted = bed.instance().await;
    assert_eq!(restarted.log.status().identity, b.log.status().identity);
    assert_eq!(restarted.get("y", &origin).await, ("same".to_owned(), L2));
    assert_eq!(restarted.get("x", &origin).await, ("new".to_owned(), Source::Origin));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_changes_through_two_instances_leave_no_instance_with_an_old_value() {
    let Some(bed) = Bed::start() else { return };
    let (a, b) = (bed.instance().await, bed.instance().await);
    let origin = Origin::with(&[]);
    let names: Vec<String> = (0..8).map(|number| format!("row {number}")).collect();
    let writes = |instance: &'static str| {
        let (one, names, origin) = (if instance == "a" { &a } else { &b }, &names, &origin);
        async move {
            let mut last = cache_core::Revision::ZERO;
            for round in 0..50 {
                let name = &names[round % names.len()];
                origin.write(name, &format!("{instance} {round}"));
                last = one.invalidate(name).await;
                one.get(name, origin).await;
            }
            last
        }
    };
    let reads = |one: &'static str| {
        let (one, names, origin) = (if one == "a" { &a } else { &b }, &names, &origin);
        async move {
            for round in 0..400 {
                one.get(&names[round % names.len()], origin).await;
            }
        }
    };
    let (last_a, last_b, (), ()) = tokio::join!(writes("a"), writes("b"), reads("a"), reads("b"));
    for instance in [&a, &b] {
        instance.applied(last_a.max(last_b)).await;
        for name in &names {
            assert_eq!(instance.get(name, &origin).await.0, origin.text(name), "{name}");
        }
    }
}
