//! The law of the race can fail: which combinations of a path and an invalidation each planted mistake breaks.
//!
//! A mistake is planted for the whole process, so that these tests take turns.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use cache_core::testing::laws::{self, Asker, Broken, Path, overtaken_everywhere};
use cache_core::testing::{FakeLayer, Fixture, Setting, SharedLayer};
use cache_core::{Mistake, plant};
use tokio::sync::Mutex;

/// How many kinds of invalidation the law knows.
const KINDS: usize = 9;

static TURN: Mutex<()> = Mutex::const_new(());

#[derive(Default)]
struct LocalBeforeRemote;

impl Fixture for LocalBeforeRemote {
    async fn layer(&self, _: &Setting) -> SharedLayer {
        SharedLayer::new(FakeLayer::local("local"))
    }

    fn below(&self, _: &Setting) -> Vec<SharedLayer> {
        vec![SharedLayer::new(FakeLayer::remote("remote"))]
    }
}

/// What a mistake breaks, printed as a table.
#[expect(clippy::print_stdout, reason = "which mistake breaks what is worth a table")]
async fn broken_by(mistake: Mistake) -> Vec<Broken> {
    let _turn = TURN.lock().await;
    let planted = plant(mistake);
    let broken = overtaken_everywhere(&LocalBeforeRemote).await;
    drop(planted);
    let mut table: BTreeMap<Path, Vec<&Broken>> = BTreeMap::new();
    broken.iter().for_each(|found| table.entry(found.path).or_default().push(found));
    for path in Path::ALL {
        let found = table.get(path).map(Vec::as_slice).unwrap_or_default();
        let told = found.first().map_or("", |found| found.what.as_str());
        println!("{mistake}: {path:?}: {} of {} combinations; {told}", found.len(), KINDS * Asker::ALL.len());
    }
    broken
}

/// The paths that a mistake breaks by every kind of invalidation, and demands that it breaks no other by any.
fn paths(broken: &[Broken]) -> Vec<Path> {
    let breaks = |path: &Path| {
        let mut kinds: Vec<_> = broken.iter().filter(|found| found.path == *path).map(|found| found.kind).collect();
        kinds.sort_unstable();
        kinds.dedup();
        assert!(kinds.is_empty() || kinds.len() == KINDS, "{path:?} is broken by {kinds:?} alone");
        !kinds.is_empty()
    };
    Path::ALL.iter().copied().filter(breaks).collect()
}

#[tokio::test]
async fn a_horizon_that_is_not_asked_breaks_every_path() {
    assert_eq!(paths(&broken_by(Mistake::NoHorizonCheck).await), Path::ALL);
}

#[tokio::test]
async fn deletion_alone_breaks_every_path() {
    assert_eq!(paths(&broken_by(Mistake::DeletionOnly).await), Path::ALL);
}

#[tokio::test]
async fn a_stamp_that_is_taken_after_the_read_breaks_every_load_that_has_no_other() {
    assert_eq!(paths(&broken_by(Mistake::StampAfterRead).await), [Path::Load, Path::LoadWithFollowers, Path::Refresh]);
}

#[tokio::test]
async fn a_follower_that_checks_nothing_breaks_every_flight() {
    let broken = broken_by(Mistake::FollowerUnchecked).await;
    assert!(broken.iter().all(|found| found.asker == Asker::Caller), "{broken:?}");
    let flights = [
        Path::Load,
        Path::LoadFromASnapshot,
        Path::SlowFill,
        Path::LoadWithFollowers,
        Path::Refresh,
        Path::Composition,
        Path::Part,
    ];
    assert_eq!(paths(&broken), flights);
}

/// What no race of one thread finds, other laws do.
#[test]
fn stamps_of_now_are_found_by_the_laws_about_stamps() {
    finds(Mistake::PromotionStampedNow, laws::the_stamp_survives_promotion(LocalBeforeRemote));
    let composed = laws::a_composed_value_takes_the_lowest_stamp_the_earliest_end_and_all_tags(LocalBeforeRemote);
    finds(Mistake::ComposedStampedNow, composed);
}

fn finds(mistake: Mistake, law: impl Future<Output = ()>) {
    let _turn = TURN.blocking_lock();
    let planted = plant(mistake);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let kept = catch_unwind(AssertUnwindSafe(|| runtime.block_on(law)));
    drop(planted);
    assert!(kept.is_err(), "{mistake} was not found");
}
