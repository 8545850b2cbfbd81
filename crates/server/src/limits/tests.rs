//! What is remembered of refusals, under a clock that the tests move.

use std::net::{IpAddr, Ipv4Addr};

use authz::decide::{Admission, Asked, Refused, Work};
use authz::relation::{Subject, Text};
use authz::store::memory::MemoryStore;
use authz::store::{InvalidationScope, StoreId};
use cache_core::testing::TestClock;
use ulid::Ulid;

use super::*;
use crate::config::{Quota, Rate};

const LOCAL: Payer = Payer::Address(IpAddr::V4(Ipv4Addr::LOCALHOST));

struct World {
    limits: Arc<Limits>,
    decisions: Arc<DecisionPoint>,
    clock: Arc<TestClock>,
}

impl World {
    /// Where a subject has this quota, and lists cost 3.
    async fn with(burst: u32, per_second: u32) -> Self {
        let mut settings = Settings::default();
        let none = Quota { burst: 1, per_second: 0 };
        let subject = Quota { burst, per_second };
        settings.limits.rate = Rate { enabled: true, list_weight: 3, caller: none, subject, ..Rate::default() };
        let decisions = Arc::new(DecisionPoint::builder(Arc::new(MemoryStore::default())).build().await.unwrap());
        let clock = Arc::new(TestClock::default());
        let limits = Limits::new(&settings, Arc::clone(&decisions), Arc::clone(&clock) as Arc<dyn Clock>);
        Self { limits: limits.unwrap().unwrap(), decisions, clock }
    }

    /// When ann may come again; none where she may go on.
    async fn ask(&self, work: Work) -> Option<u128> {
        let (ann, view) = (Subject::parse("user:ann").unwrap(), Text::from("view"));
        let asked = Asked { store: StoreId(Ulid(1)), subject: Some(&ann), action: &view, work };
        let meter = Meter::new(&self.limits, LOCAL);
        let Refused { retry_after } = meter.admit(&asked).await.err()?;
        Some(retry_after.as_millis())
    }

    fn wait_ms(&self, ms: u64) {
        self.clock.advance(Duration::from_millis(ms));
    }
}

#[tokio::test]
async fn a_refusal_holds_until_its_time_and_not_longer() {
    let world = World::with(2, 10).await;
    assert_eq!((world.ask(Work::Check).await, world.ask(Work::Check).await), (None, None));
    assert_eq!(world.ask(Work::Check).await, Some(100));
    world.wait_ms(60);
    assert_eq!(world.ask(Work::Check).await, Some(40), "it is remembered with its end");
    world.wait_ms(39);
    assert_eq!(world.ask(Work::Check).await, Some(1));
    world.wait_ms(1);
    assert_eq!(world.ask(Work::Check).await, None);
    assert_eq!(world.ask(Work::Check).await, Some(100));
}

#[tokio::test]
async fn a_list_that_is_refused_keeps_no_check_out() {
    let world = World::with(3, 10).await;
    assert_eq!(world.ask(Work::Check).await, None);
    assert_eq!(world.ask(Work::List).await, Some(100));
    assert_eq!(world.ask(Work::Check).await, None, "there is room for one");
    assert_eq!(world.ask(Work::Check).await, None, "and for another one");
    assert_eq!(world.ask(Work::Check).await, Some(100));
    assert_eq!(world.ask(Work::List).await, Some(300), "what is known of one says how long it is for more");
    world.wait_ms(100);
    assert_eq!(world.ask(Work::Check).await, None);
}

#[tokio::test]
async fn an_invalidation_of_its_type_forgets_refusals() {
    let world = World::with(1, 10).await;
    assert_eq!((world.ask(Work::Check).await, world.ask(Work::Check).await), (None, Some(100)));
    let known = |world: &World| {
        let (ann, view) = (Subject::parse("user:ann").unwrap(), Text::from("view"));
        let asked = Asked { store: StoreId(Ulid(1)), subject: Some(&ann), action: &view, work: Work::Check };
        let charges = world.limits.policies.charges(&LOCAL, &asked);
        let key = world.limits.refusals.key(&charges[0].bucket);
        world.limits.refusals.find(&key, 1)
    };
    assert_eq!(known(&world), Some(Duration::from_millis(100)));
    world.decisions.invalidate(InvalidationScope::Type { name: "team_access".to_owned() }).await.unwrap();
    assert_eq!(known(&world), Some(Duration::from_millis(100)), "another type");
    world.decisions.invalidate(InvalidationScope::Type { name: "rate_limit_status".to_owned() }).await.unwrap();
    assert_eq!(known(&world), None);
    assert_eq!(world.ask(Work::Check).await, Some(100), "the bucket is as empty as it was");
}
