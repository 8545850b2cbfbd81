//! The lease: what is cached takes part in no answer once it is over, whichever tier has it, and whoever asks.

mod leased;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use cache_core::testing::{ALPHA, FakeLayer, Operation, TestClock, TestKey, TestValue};
use cache_core::{
    Chain, Clock, Draft, Identity, InProcessLog, Lease, Lookup, Moment, PartRole, ReadSet, Source, TypeSet,
};
use leased::Leased;

const LENGTH: Duration = Duration::from_secs(1);

struct World {
    chain: Chain<TestValue>,
    lease: Arc<Lease>,
    clock: Arc<TestClock>,
    remote: FakeLayer,
}

fn world() -> World {
    let (clock, lease, remote) = (Arc::<TestClock>::default(), Arc::new(Lease::over()), FakeLayer::remote("remote"));
    let log = Leased { inner: InProcessLog::with_identity(Identity([1; 16])), lease: Arc::clone(&lease) };
    let chain = Chain::builder()
        .tier(FakeLayer::local("local"))
        .tier(remote.clone())
        .log(Arc::new(log))
        .clock(Arc::clone(&clock) as Arc<dyn Clock>)
        .build()
        .expect("the parts fit");
    World { chain, lease, clock, remote }
}

impl World {
    fn renew(&self) {
        self.lease.extend(self.clock.now(), LENGTH);
    }

    async fn ask(&self, name: &str) -> Source {
        let value = TestValue::new(name);
        let key = TestKey::new(ALPHA, name);
        let loaded = self.chain.get_or_load(&key, |_| async move { Ok::<_, io::Error>(value) }).await;
        loaded.expect("loaded").source
    }
}

#[tokio::test]
async fn what_is_cached_answers_while_the_lease_holds_and_the_origin_before_and_after() {
    let world = world();
    assert_eq!(world.ask("a").await, Source::Origin);
    assert_eq!(world.ask("a").await, Source::Origin, "it does not hold yet");
    world.renew();
    assert_eq!(world.ask("a").await, Source::Tier("local"), "what was filled before is as good as any");
    world.clock.advance(LENGTH);
    assert_eq!(world.ask("a").await, Source::Origin);
    let source = TestKey::new(ALPHA, "a");
    let key = world.chain.key(&source);
    assert!(matches!(world.chain.find(&key).await, Lookup::Miss));
    assert!(world.chain.find_many(&[key]).await.iter().all(|found| matches!(found, Lookup::Miss)));
    assert!(world.chain.statistics().untrusted >= 3);
    world.renew();
    assert_eq!(world.ask("a").await, Source::Tier("local"));
    world.lease.lose();
    world.renew();
    assert_eq!(world.ask("a").await, Source::Origin, "lost is lost");
}

#[tokio::test]
async fn a_tier_elsewhere_that_answers_too_late_has_nothing() {
    let world = world();
    world.renew();
    world.ask("a").await;
    let source = TestKey::new(ALPHA, "a");
    let key = world.chain.key(&source);
    world.chain.switch_tier("local", false);
    assert!(matches!(world.chain.find(&key).await, Lookup::Hit(_)));
    let gate = world.remote.gate(Operation::Get);
    gate.close();
    let found = tokio::join!(world.chain.find(&key), async {
        while world.remote.calls(Operation::Get) < 3 {
            tokio::task::yield_now().await;
        }
        world.clock.advance(LENGTH);
        gate.open();
    });
    assert!(matches!(found.0, Lookup::Miss), "{:?}", found.0);
    let asked = world.remote.calls(Operation::Get);
    assert!(matches!(world.chain.find(&key).await, Lookup::Miss));
    assert_eq!(world.remote.calls(Operation::Get), asked, "what could not be used is not asked for");
}

#[tokio::test]
async fn a_follower_takes_nothing_that_was_read_before_it_asked_once_the_lease_is_over() {
    let world = world();
    world.renew();
    let source = TestKey::new(ALPHA, "part");
    let key = world.chain.key(&source);
    let (first, second) = (world.chain.invoked(), world.chain.invoked());
    let PartRole::Lead(leader) = world.chain.join_part(&key, 1, first) else { panic!("nobody else leads") };
    let PartRole::Follow(follower) = world.chain.join_part(&key, u64::MAX, second) else { panic!("somebody leads") };
    let ticket = world.chain.ticket();
    let draft = Draft {
        value: TestValue::new("part"),
        stamp: ticket.stamp(),
        read_set: ReadSet::default(),
        types: TypeSet::default(),
        hard_expiry: Moment::NEVER,
    };
    world.clock.advance(LENGTH);
    world.chain.publish_part(&ticket, &key, leader, draft).await;
    assert!(world.chain.await_part(&key, follower).await.is_none());
}
