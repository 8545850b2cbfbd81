//! The end of a lease, and the mistakes that can be made about it. A mistake is planted for the whole process, so that these tests take turns.

mod leased;

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cache_core::testing::{ALPHA, FakeLayer, TestClock, TestKey, TestValue};
use cache_core::{
    BoxFuture, Chain, Clock, Draft, Identity, InProcessLog, Kill, Lease, Mistake, Moment, ReadSet, Revision, TypeSet,
    plant,
};
use leased::Leased;

const LENGTH: Duration = Duration::from_secs(1);

static TURN: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

fn chain(clock: Arc<dyn Clock>, lease: &Arc<Lease>) -> Chain<TestValue> {
    let log = Leased { inner: InProcessLog::with_identity(Identity([1; 16])), lease: Arc::clone(lease) };
    Chain::builder().tier(FakeLayer::local("local")).log(Arc::new(log)).clock(clock).build().expect("the parts fit")
}

/// A clock at whose nth reading from now something happens, as if the process had been stopped there.
#[derive(Default)]
struct Interrupted {
    time: TestClock,
    left: AtomicU64,
    interruption: Mutex<Option<Box<dyn FnOnce() + Send>>>,
}

impl Clock for Interrupted {
    fn now(&self) -> Moment {
        if self.left.fetch_sub(1, Ordering::SeqCst) == 1
            && let Some(interruption) = self.interruption.lock().expect("not poisoned").take()
        {
            interruption();
        }
        self.time.now()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        self.time.sleep(duration)
    }
}

/// The lease is over, and a change was acknowledged without this process. In the middle of a look-up it joins again: it applies the change, and its
/// lease holds.
async fn what_was_cached_before_is_found() -> bool {
    let mut found = false;
    for reading in 1..=4 {
        let (clock, lease) = (Arc::<Interrupted>::default(), Arc::new(Lease::over()));
        let chain = chain(Arc::clone(&clock) as Arc<dyn Clock>, &lease);
        let (horizon, key) = (Arc::clone(chain.horizon()), TestKey::new(ALPHA, "revoked"));
        let draft = Draft {
            value: TestValue::new("old"),
            stamp: chain.ticket().stamp(),
            read_set: ReadSet::new(),
            types: TypeSet::default(),
            hard_expiry: Moment::NEVER,
        };
        chain.fill(&chain.ticket(), &key, draft).await;
        let time = clock.time.now();
        *clock.interruption.lock().expect("not poisoned") = Some(Box::new(move || {
            horizon.apply(Revision::new(7), &[Kill::All]);
            lease.extend(time, LENGTH);
        }));
        clock.left.store(reading, Ordering::SeqCst);
        found |= chain.get_now(&key).hit().is_some();
    }
    found
}

/// Looks for many keys at once, as a load does for its parts, with the lease over.
async fn a_part_is_found() -> bool {
    let (clock, lease) = (Arc::<TestClock>::default(), Arc::new(Lease::over()));
    let chain = chain(Arc::clone(&clock) as Arc<dyn Clock>, &lease);
    let key = TestKey::new(ALPHA, "part");
    lease.extend(clock.now(), LENGTH);
    chain.get_or_load(&key, |_| async { Ok::<_, io::Error>(TestValue::new("part")) }).await.expect("loaded");
    clock.advance(LENGTH);
    chain.find_many(&[chain.key(&key)]).await.remove(0).hit().is_some()
}

#[tokio::test]
async fn a_lease_that_comes_back_in_the_middle_of_a_look_up_saves_nothing_that_was_cached_before() {
    let _turn = TURN.lock().await;
    assert!(!what_was_cached_before_is_found().await);
    for mistake in [Mistake::LeaseAfterTheHorizon, Mistake::LeaseIgnored] {
        let _planted = plant(mistake);
        assert!(what_was_cached_before_is_found().await, "{mistake} was not found");
    }
}

#[tokio::test]
async fn a_load_finds_no_parts_once_the_lease_is_over() {
    let _turn = TURN.lock().await;
    assert!(!a_part_is_found().await);
    let _planted = plant(Mistake::CachedPartWithTheLeaseOver);
    assert!(a_part_is_found().await, "it was not found");
}
