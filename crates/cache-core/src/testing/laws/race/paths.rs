//! The paths by which a value comes into a tier, each with the place where it can be overtaken: between its first read and its arrival.

use std::sync::Arc;
use std::time::Duration;

use super::super::coherence::{leads, target_tags};
use super::super::storage::found;
use super::{NEW, OLD, Race, keeper, old};
use crate::testing::{ALPHA, BETA, FixedEntropy, Fixture, Gate, Operation, SharedLayer, TestKey, TestValue, World};
use crate::{CacheLayer, Chain, Clock, Key, Lifetime, Load, Policy};

/// How many fills wait behind an answer.
const BEHIND: usize = 64;
/// After which time a value is refreshed, on the path that refreshes.
const SOFT: Duration = Duration::from_secs(10);

/// A path that fills. The chain has no other: it refreshes a stale value by the load of whoever asks next, and what fetches ahead of any question goes
/// through the batch, with a ticket from before its reads.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Path {
    /// A load that is answered by its origin after the invalidation.
    Load,
    /// The same, with the stamp of a snapshot that it read.
    LoadFromASnapshot,
    /// A load that was in time, and a tier that is slow.
    SlowFill,
    /// A load that others wait for since before the invalidation.
    LoadWithFollowers,
    /// A load on top of a value that is stale.
    Refresh,
    /// A load that is composed of a cached part, which the invalidation reaches.
    Composition,
    /// A part that one load computes for others.
    Part,
    /// Values that are filled together, as by whoever warms a cache.
    Batch,
    /// A copy from a lower tier, overtaken on its way out of that one.
    Promotion,
    /// The same for many keys at once.
    BatchPromotion,
    /// A copy from a lower tier, overtaken on its way into the upper ones.
    PromotionArriving,
    /// A fill that nobody waits for.
    FillBehind,
    /// A value that somebody else brings into the tier: another process, or the refresh of a view.
    Elsewhere,
}

impl Path {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Load,
        Self::LoadFromASnapshot,
        Self::SlowFill,
        Self::LoadWithFollowers,
        Self::Refresh,
        Self::Composition,
        Self::Part,
        Self::Batch,
        Self::Promotion,
        Self::BatchPromotion,
        Self::PromotionArriving,
        Self::FillBehind,
        Self::Elsewhere,
    ];

    /// The tier of a fixture, with the lowest tier of the law behind it and all its companions.
    pub(super) async fn world<F: Fixture>(self, fixture: &F, lower: SharedLayer) -> World {
        let world = World::between(fixture, Vec::new(), vec![lower.clone()]).await;
        if self != Self::Refresh {
            return world;
        }
        let lifetime = Lifetime { hard: 6 * SOFT, soft: SOFT };
        let policy = world
            .tiers
            .iter()
            .fold(Policy::default().jitter_percent(0), |policy, tier| policy.lifetime(tier.name(), ALPHA, lifetime));
        World::with(fixture, policy, Vec::new(), vec![lower]).await
    }

    pub(super) fn applies(self, world: &World) -> bool {
        let copies = matches!(self, Self::Promotion | Self::BatchPromotion | Self::PromotionArriving);
        let above = &world.tiers[..world.tiers.len() - 1];
        !copies || above.iter().any(|tier| tier.capabilities().fillable)
    }

    /// The chain of the path, where it is another one than that of the world.
    pub(super) fn another_chain(self, world: &World) -> Option<Chain<TestValue>> {
        let behind = || {
            let builder = world.tiers.iter().cloned().fold(Chain::builder(), crate::ChainBuilder::tier);
            builder
                .log(Arc::clone(world.chain.log()))
                .clock(Arc::clone(&world.clock) as Arc<dyn Clock>)
                .entropy(Arc::new(FixedEntropy(0)))
                .keyer(world.keyer.clone())
                .fills_behind(BEHIND)
                .build()
                .expect("the same parts built a chain before")
        };
        (self == Self::FillBehind).then(behind)
    }

    /// The key that is asked for in the end.
    pub(super) fn source(self, race: &Race<'_>) -> TestKey {
        match self {
            // Its own key names nobody: it is reached through its part alone.
            Self::Composition => TestKey::new(BETA, format!("whole {}", race.number)),
            _ => race.target("target"),
        }
    }

    pub(super) async fn run(self, race: &Race<'_>, source: &TestKey) -> Result<(), String> {
        let Race { world, chain, last, lower, .. } = *race;
        let key = chain.key(source);
        match self {
            Self::Load => loaded(race, source, |_| ()).await,
            Self::LoadFromASnapshot => {
                let stamp = chain.log().stamp();
                loaded(race, source, |load| load.stamp(stamp)).await
            }
            Self::SlowFill => {
                let load = chain.get_or_load(source, |load| async move { read(&load) });
                race.overtaken(source, keeper(world).fills(), load).await.map(drop)
            }
            Self::LoadWithFollowers => {
                let gate = &Gate::default();
                let leader = chain.get_or_load(source, |load| async move {
                    let value = read(&load);
                    gate.pass().await;
                    value
                });
                // What it loads itself, where the leader's value is of no use to it, it reads after the invalidation.
                let follower = chain.get_or_load(source, |_| async { Ok::<_, std::io::Error>(TestValue::new(NEW)) });
                let both = async { tokio::join!(leader, follower) };
                let (leader, follower) = race.overtaken(source, gate, both).await?;
                // They asked before: what was read before is as good an answer as any.
                leader
                    .and(follower)
                    .map(drop)
                    .map_err(|error| format!("whoever asked before was told an error: {error}"))
            }
            Self::Refresh => {
                // Not into what a tier mirrors: that is as fresh as its origin.
                chain.fill(&chain.ticket(), source, old(world)).await;
                world.clock.advance(SOFT + Duration::from_secs(1));
                loaded(race, source, |_| ()).await
            }
            Self::Composition => {
                let part = &race.target("part");
                world.fill(part, old(world)).await;
                let gate = &Gate::default();
                let load = chain.get_or_load(source, |load| async move {
                    let found = chain.get(part).await.hit().ok_or_else(|| std::io::Error::other("no part"))?;
                    load.part(part, &found.entry);
                    gate.pass().await;
                    Ok::<_, std::io::Error>(TestValue::new(OLD))
                });
                race.overtaken(source, gate, load).await.map(drop)
            }
            Self::Part => {
                let whole = TestKey::new(BETA, format!("whole {}", race.number));
                let load = chain.get_or_load(&whole, |load| async move {
                    let leader = leads(chain.join_part(&key, load.order(), chain.invoked()));
                    chain.publish_part(&load.ticket(), &key, leader, old(world)).await;
                    load.uncacheable();
                    Ok::<_, std::io::Error>(TestValue::new("whole"))
                });
                race.overtaken(source, keeper(world).fills(), load).await.map(drop)
            }
            Self::Batch => {
                let beside = TestKey::new(BETA, format!("beside {}", race.number));
                let ticket = chain.ticket();
                let drafts = vec![(chain.key(&beside), world.draft(TestValue::new("beside"), &[])), (key, old(world))];
                race.overtaken(source, keeper(world).fills(), chain.fill_many(&ticket, drafts)).await.map(drop)
            }
            Self::Promotion => {
                lower.put(&key, old(world)).await;
                race.overtaken(source, last.gate(Operation::Get), chain.get(source)).await.map(drop)
            }
            Self::BatchPromotion => {
                lower.put(&key, old(world)).await;
                let beside = TestKey::new(BETA, format!("beside {}", race.number));
                let keys = [chain.key(&beside), key];
                race.overtaken(source, last.gate(Operation::Get), chain.find_many(&keys)).await.map(drop)
            }
            Self::PromotionArriving => {
                lower.put(&key, old(world)).await;
                race.overtaken(source, keeper(world).fills(), chain.get(source)).await.map(drop)
            }
            Self::FillBehind => {
                // What waits from before must not be taken for the fill that is to be overtaken: it has landed once this has.
                let before = TestKey::new(BETA, format!("before {}", race.number));
                chain.fill(&chain.ticket(), &before, world.draft(TestValue::new("before"), &[])).await;
                landed(lower, &chain.key(&before)).await;
                let load = async {
                    let answer = chain.get_or_load(source, |load| async move { read(&load) }).await;
                    landed(lower, &key).await;
                    answer
                };
                race.overtaken(source, lower.fills(), load).await.map(drop)
            }
            Self::Elsewhere => {
                let before = old(world);
                race.invalidate().await;
                race.ask_meanwhile(source).await?;
                world.tier.put(&key, before).await;
                Ok(())
            }
        }
    }
}

async fn landed(tier: &SharedLayer, key: &Key<'_>) {
    while found(tier, key).await.is_none() {
        tokio::task::yield_now().await;
    }
}

/// What a load reads.
fn read(load: &Load) -> Result<TestValue, std::io::Error> {
    target_tags().into_iter().for_each(|tag| load.read(tag));
    Ok(TestValue::new(OLD))
}

/// A load that is overtaken after it has read.
async fn loaded(race: &Race<'_>, source: &TestKey, notes: impl FnOnce(&Load)) -> Result<(), String> {
    let gate = &Gate::default();
    let load = race.chain.get_or_load(source, |load| async move {
        notes(&load);
        let value = read(&load);
        gate.pass().await;
        value
    });
    race.overtaken(source, gate, load).await.map(drop)
}
