//! Who may be kept from the origin: what tiers hold is free, each caller is asked about for itself, and nobody pays for another's refusal.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cache_core::testing::{ALPHA, FakeLayer, Gate, TestKey, TestValue};
use cache_core::{Answer, Chain, Error, ErrorKind, Load, Source, tag};
use tokio::task::JoinHandle;

/// A chain, an origin that is counted, and a door before it.
struct World {
    chain: Chain<TestValue>,
    near: FakeLayer,
    door: Gate,
    origin: Gate,
    asked: AtomicUsize,
    loads: AtomicUsize,
}

#[derive(Debug, thiserror::Error)]
#[error("not now")]
struct TurnedAway;

impl World {
    fn new() -> Arc<Self> {
        let near = FakeLayer::local("near");
        let chain = Chain::builder().tier(near.clone()).tier(FakeLayer::remote("far")).build().expect("the parts fit");
        let (door, origin, asked, loads) = Default::default();
        Arc::new(Self { chain, near, door, origin, asked, loads })
    }

    async fn ask(self: Arc<Self>, welcome: bool) -> Result<Answer<TestValue>, Error> {
        let source = key();
        let world = &self;
        let admit = || async move {
            world.asked.fetch_add(1, Ordering::SeqCst);
            world.door.pass().await;
            if welcome { Ok(()) } else { Err(TurnedAway) }
        };
        let load = |load: Load| async move {
            world.loads.fetch_add(1, Ordering::SeqCst);
            load.read(tag!("row"));
            world.origin.pass().await;
            Ok(TestValue::new("loaded"))
        };
        self.chain.load_admitted(&self.chain.key(&source), admit, load).await
    }

    fn spawn(self: &Arc<Self>, welcome: bool) -> JoinHandle<Result<Answer<TestValue>, Error>> {
        tokio::spawn(Arc::clone(self).ask(welcome))
    }

    /// Lets every task run as far as it comes.
    async fn settle(&self) {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }

    fn counts(&self) -> (usize, usize) {
        (self.asked.load(Ordering::SeqCst), self.loads.load(Ordering::SeqCst))
    }
}

fn key() -> TestKey {
    TestKey::new(ALPHA, "one")
}

fn is_refusal(result: &Result<Answer<TestValue>, Error>) -> bool {
    result.as_ref().is_err_and(|error| error.kind() == ErrorKind::Load && error.downcast_load::<TurnedAway>().is_some())
}

#[tokio::test]
async fn what_a_tier_holds_is_free_even_for_who_would_be_turned_away() {
    let world = World::new();
    assert_eq!(Arc::clone(&world).ask(true).await.expect("welcome").source, Source::Origin);
    assert_eq!(world.counts(), (1, 1));
    let hit = Arc::clone(&world).ask(false).await.expect("the near tier has it");
    assert_eq!(hit.source, Source::Tier("near"));
    world.chain.switch_tier("near", false);
    let hit = Arc::clone(&world).ask(false).await.expect("the far tier has it");
    assert_eq!(hit.source, Source::Tier("far"));
    assert_eq!(world.counts(), (1, 1), "nobody was asked about, and nothing was loaded");
}

#[tokio::test]
async fn who_is_turned_away_gets_its_own_refusal_and_leaves_nothing_behind() {
    let world = World::new();
    assert!(is_refusal(&Arc::clone(&world).ask(false).await));
    assert_eq!(world.counts(), (1, 0));
    assert_eq!(world.near.calls(cache_core::testing::Operation::Fill), 0, "a refusal is no value");
    assert_eq!(Arc::clone(&world).ask(true).await.expect("welcome").source, Source::Origin);
    assert_eq!(world.counts(), (2, 1));
}

#[tokio::test]
async fn a_follower_is_not_turned_away_with_its_leader() {
    let world = World::new();
    world.door.close();
    let leader = world.spawn(false);
    world.door.reached().await;
    let followers: Vec<_> = (0..100).map(|_| world.spawn(true)).collect();
    world.settle().await;
    assert_eq!(world.counts(), (1, 0), "followers wait, and nobody asks about them");
    world.door.open();
    assert!(is_refusal(&leader.await.expect("the task ends")));
    for follower in followers {
        assert_eq!(follower.await.expect("the task ends").expect("welcome").value(), &TestValue::new("loaded"));
    }
    assert_eq!(world.counts(), (101, 1), "each was asked about once, and one loaded for all");
}

#[tokio::test]
async fn followers_of_a_leader_that_was_let_in_cost_nothing() {
    let world = World::new();
    world.origin.close();
    let leader = world.spawn(true);
    world.origin.reached().await;
    let followers: Vec<_> = (0..100).map(|_| world.spawn(false)).collect();
    world.settle().await;
    world.origin.open();
    assert!(leader.await.expect("the task ends").is_ok());
    for follower in followers {
        // They came after the read began, so that they judge what they get like a cached value.
        assert!(follower.await.expect("the task ends").is_ok());
    }
    assert_eq!(world.counts(), (1, 1));
}

#[tokio::test]
async fn many_that_are_turned_away_are_asked_about_once_each_and_together() {
    let world = World::new();
    world.door.close();
    let callers: Vec<_> = (0..1_000).map(|at| world.spawn(at % 100 == 99)).collect();
    world.settle().await;
    assert_eq!(world.counts(), (1, 0));
    world.door.open();
    let mut refused = 0;
    for caller in callers {
        let result = caller.await.expect("the task ends");
        refused += usize::from(is_refusal(&result));
        assert!(result.is_ok() || is_refusal(&result));
    }
    assert_eq!((refused, world.counts()), (990, (1_000, 1)));
}

#[tokio::test]
async fn who_is_cancelled_at_the_door_sets_its_followers_free() {
    let world = World::new();
    world.door.close();
    let leader = world.spawn(true);
    world.door.reached().await;
    let follower = world.spawn(true);
    world.settle().await;
    leader.abort();
    assert!(leader.await.expect_err("aborted").is_cancelled());
    world.door.open();
    assert!(follower.await.expect("the task ends").is_ok());
    assert_eq!(world.counts(), (2, 1));
}
