//! Single flight: one load for many callers, and nobody pays for another's cancellation, panic, hanging, or earlier read.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cache_core::single_flight::{Role, SingleFlight};
use cache_core::testing::{ALPHA, BETA, FakeLayer, Gate, TestClock, TestKey, TestValue};
use cache_core::{Answer, Chain, Clock, Error, ErrorKind, Keyer, Load, Source, tag};

const PATIENCE: Duration = Duration::from_secs(3);

/// A chain, an origin with a gate, and a count of its loads.
struct World {
    chain: Chain<TestValue>,
    clock: Arc<TestClock>,
    origin: Gate,
    text: std::sync::Mutex<&'static str>,
    loads: AtomicUsize,
}

impl World {
    fn new() -> Arc<Self> {
        Self::with_flights(1_000)
    }

    fn with_flights(flights: usize) -> Arc<Self> {
        let clock = Arc::new(TestClock::default());
        let chain = Chain::builder()
            .tier(FakeLayer::local("local"))
            .clock(Arc::clone(&clock) as Arc<dyn Clock>)
            .flight_patience(PATIENCE)
            .max_flights(flights)
            .build()
            .expect("the parts fit");
        let (text, loads) = (std::sync::Mutex::new("first"), AtomicUsize::new(0));
        Arc::new(Self { chain, clock, origin: Gate::default(), text, loads })
    }

    /// Reads, then comes to the gate: what is held up is an answer that was read already.
    async fn read(&self, load: Load) -> Result<TestValue, std::io::Error> {
        self.loads.fetch_add(1, Ordering::SeqCst);
        load.read(tag!("row"));
        let text = *self.text.lock().expect("nobody panics with it");
        self.origin.pass().await;
        Ok(TestValue::new(text))
    }

    async fn ask(self: Arc<Self>) -> Result<Answer<TestValue>, Error> {
        self.chain.get_or_load(&key(), |load| self.read(load)).await
    }

    fn spawn(self: &Arc<Self>) -> tokio::task::JoinHandle<Result<Answer<TestValue>, Error>> {
        tokio::spawn(Arc::clone(self).ask())
    }

    /// Lets every task run as far as it comes.
    async fn settle(&self) {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }

    async fn change(&self, text: &'static str) {
        *self.text.lock().expect("nobody panics with it") = text;
        self.chain.invalidate(tag!("row")).await.expect("the log takes it");
    }

    fn loads(&self) -> usize {
        self.loads.load(Ordering::SeqCst)
    }
}

fn key() -> TestKey {
    TestKey::new(ALPHA, "one")
}

fn text(answer: Result<Result<Answer<TestValue>, Error>, tokio::task::JoinError>) -> String {
    answer.expect("the task ends").expect("the origin answers").value().text().to_owned()
}

#[tokio::test]
async fn a_thousand_callers_cause_one_load() {
    let world = World::new();
    world.origin.close();
    let callers: Vec<_> = (0..1_000).map(|_| world.spawn()).collect();
    world.origin.reached().await;
    world.settle().await;
    world.origin.open();
    let mut shared = 0;
    for caller in callers {
        let answer = caller.await.expect("the task ends").expect("the origin answers");
        assert_eq!(answer.value(), &TestValue::new("first"));
        shared += usize::from(answer.source == Source::Shared);
    }
    assert_eq!((world.loads(), shared), (1, 999));
    assert_eq!(world.chain.statistics().shared, 999);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_callers_on_many_threads_cause_one_load() {
    for _ in 0..20 {
        let world = World::new();
        let callers: Vec<_> = (0..1_000).map(|_| world.spawn()).collect();
        for caller in callers {
            assert_eq!(text(caller.await), "first");
        }
        assert_eq!(world.loads(), 1);
    }
}

#[tokio::test]
async fn an_error_is_shared_and_not_kept() {
    let world = World::new();
    world.origin.close();
    let fail = |world: Arc<World>| async move {
        let load = |_| async {
            world.loads.fetch_add(1, Ordering::SeqCst);
            world.origin.pass().await;
            Err::<TestValue, _>(std::io::Error::other("no row for you"))
        };
        world.chain.get_or_load(&key(), load).await
    };
    let callers: Vec<_> = (0..10).map(|_| tokio::spawn(fail(Arc::clone(&world)))).collect();
    world.origin.reached().await;
    world.settle().await;
    world.origin.open();
    for caller in callers {
        let error = caller.await.expect("the task ends").expect_err("the load fails");
        assert_eq!((error.kind(), error.place()), (ErrorKind::Load, "origin"));
        assert_eq!(
            error.downcast_load::<std::io::Error>().expect("the loader's own error").to_string(),
            "no row for you"
        );
    }
    assert_eq!(world.loads(), 1);
    assert_eq!(text(world.spawn().await), "first", "an error is nobody's answer but of those who waited");
}

#[tokio::test]
async fn a_leader_that_is_cancelled_sets_its_followers_free() {
    let world = World::new();
    world.origin.close();
    let leader = world.spawn();
    world.origin.reached().await;
    let followers: Vec<_> = (0..10).map(|_| world.spawn()).collect();
    world.settle().await;
    leader.abort();
    assert!(leader.await.expect_err("aborted").is_cancelled());
    world.settle().await;
    world.origin.open();
    for follower in followers {
        assert_eq!(text(follower.await), "first");
    }
    assert_eq!(world.loads(), 2, "the cancelled one and one more");
}

#[tokio::test]
async fn a_leader_that_panics_sets_its_followers_free() {
    let world = World::new();
    world.origin.close();
    let leader = {
        let world = Arc::clone(&world);
        tokio::spawn(async move {
            let load = |_| async {
                world.origin.pass().await;
                if world.loads() == 0 {
                    std::panic::resume_unwind(Box::new("the loader's bug"));
                }
                Ok::<_, std::io::Error>(TestValue::nothing())
            };
            world.chain.get_or_load(&key(), load).await
        })
    };
    world.origin.reached().await;
    let followers: Vec<_> = (0..10).map(|_| world.spawn()).collect();
    world.settle().await;
    world.origin.open();
    assert!(leader.await.expect_err("panicked").is_panic());
    for follower in followers {
        assert_eq!(text(follower.await), "first");
    }
    assert_eq!(world.loads(), 1, "one of the followers loads for all of them");
}

#[tokio::test]
async fn a_leader_that_hangs_is_left_behind_when_patience_ends() {
    let world = World::new();
    let stuck = Arc::new(Gate::default());
    stuck.close();
    let leader = {
        let (world, stuck) = (Arc::clone(&world), Arc::clone(&stuck));
        tokio::spawn(async move {
            let load = |load: Load| async move {
                load.read(tag!("row"));
                stuck.pass().await;
                Ok::<_, std::io::Error>(TestValue::new("late"))
            };
            world.chain.get_or_load(&key(), load).await
        })
    };
    stuck.reached().await;
    let followers: Vec<_> = (0..10).map(|_| world.spawn()).collect();
    world.settle().await;
    world.clock.advance(PATIENCE - Duration::from_millis(1));
    world.settle().await;
    assert_eq!(world.loads(), 0, "patience has not ended yet");
    world.clock.advance(Duration::from_millis(1));
    for follower in followers {
        assert_eq!(text(follower.await), "first");
    }
    assert_eq!(world.loads(), 1, "one of them loads for all of them");
    world.change("second").await;
    stuck.open();
    assert_eq!(text(leader.await), "late", "who asked first and waited longest gets what it read");
    assert_eq!(text(world.spawn().await), "second", "what it read is too old for everybody else");
}

#[tokio::test]
async fn a_caller_after_an_invalidation_never_gets_what_was_read_before_it() {
    let world = World::new();
    world.origin.close();
    let early = world.spawn();
    world.origin.reached().await;
    world.change("second").await;
    let late: Vec<_> = (0..1_000).map(|_| world.spawn()).collect();
    world.settle().await;
    world.origin.open();
    assert_eq!(text(early.await), "first", "it asked before the change");
    for late in late {
        assert_eq!(text(late.await), "second");
    }
    assert_eq!(world.loads(), 2, "however many waited");
}

#[tokio::test]
async fn what_holds_for_one_call_is_shared_with_those_who_asked_before_it_was_read_and_with_nobody_else() {
    let world = World::new();
    world.origin.close();
    let once = |world: Arc<World>| async move {
        let load = |load: Load| {
            load.uncacheable();
            world.read(load)
        };
        world.chain.get_or_load(&key(), load).await
    };
    let first = tokio::spawn(once(Arc::clone(&world)));
    world.origin.reached().await;
    let second = tokio::spawn(once(Arc::clone(&world)));
    world.settle().await;
    world.origin.open();
    assert_eq!(text(first.await), "first");
    assert_eq!(text(second.await), "first");
    assert_eq!(world.loads(), 2, "the second caller asked after the first one's read");
    assert_eq!(world.chain.statistics().uncacheable, 2);
    assert_eq!(world.chain.statistics().tiers[0].stored, 0);
}

#[tokio::test]
async fn one_load_too_many_is_refused_and_says_so() {
    let world = World::with_flights(1);
    world.origin.close();
    let leader = world.spawn();
    world.origin.reached().await;
    let other = TestKey::new(BETA, "other");
    let refused = world.chain.get_or_load(&other, |load| world.read(load)).await.expect_err("one load at a time");
    assert_eq!(refused.kind(), ErrorKind::Overloaded);
    assert!(refused.is_retryable());
    let follower = world.spawn();
    world.settle().await;
    world.origin.open();
    assert_eq!((text(leader.await), text(follower.await)), ("first".to_owned(), "first".to_owned()));
    assert!(world.chain.get_or_load(&other, |load| world.read(load)).await.is_ok(), "there is room again");
}

#[test]
fn one_follower_too_many_is_refused() {
    let flights = SingleFlight::<u8>::new(10, 2);
    let source = key();
    let digest = Keyer::with_secret((1, 2)).key(&source).digest();
    let Role::Leader(leader) = flights.join(digest, flights.invoked()) else { panic!("nobody is there yet") };
    let followers = [(); 2].map(|()| flights.join(digest, flights.invoked()));
    assert!(followers.iter().all(|role| matches!(role, Role::Follower(_))));
    assert!(matches!(flights.join(digest, flights.invoked()), Role::Full));
    drop(followers);
    assert!(matches!(flights.join(digest, flights.invoked()), Role::Follower(_)));
    assert_eq!(flights.len(), 1);
    drop(leader);
    assert!(flights.is_empty());
}

#[tokio::test]
async fn a_follower_gets_nothing_that_a_kill_below_the_floor_killed() {
    use cache_core::{Kill, Revision, Stamp};
    let world = World::new();
    // Revision 11 was forgotten while the writer of revision 10 is still open.
    world.chain.horizon().raise_floor(Revision::new(11));
    world.origin.close();
    let leader = tokio::spawn({
        let world = Arc::clone(&world);
        async move {
            world
                .chain
                .get_or_load(&key(), |load| {
                    load.stamp(Stamp::new(10));
                    world.read(load)
                })
                .await
        }
    });
    world.origin.reached().await;
    // The writer commits, and its kill is applied: from here on it may be acknowledged.
    *world.text.lock().unwrap() = "second";
    world.chain.horizon().apply(Revision::new(10), &[Kill::Tag(tag!("row"))]);
    let follower = world.spawn();
    world.settle().await;
    world.origin.open();
    assert_eq!(text(leader.await), "first");
    assert_eq!(text(follower.await), "second");
}
