//! The race that an invalidation has to win whatever it reaches: something reads, the invalidation comes, what was read is filled, somebody asks. For
//! each path by which a value comes into a tier, and each scope of an invalidation.
//!
//! Whoever asks after the acknowledgement is told nothing from before, on no path; and what is loaded after it is kept: nothing is lost to the
//! cache for good.

use std::sync::Arc;
use std::time::Duration;

use cache_core::testing::{ALPHA, TYPES};
use cache_core::{Kill, Lifetime, Policy};
use shuttle::future::block_on;

use super::world::{World, fact_tag, task, together};

/// What an invalidation reaches. The first fact is always within, the second one within some.
#[derive(Clone, Copy)]
pub(crate) enum Scope {
    /// What was computed from a predicate.
    Tag,
    /// A whole cache type.
    Type,
    /// What a pattern matches that is neither a tag nor a type.
    Pattern,
    /// Everything, as it comes from another process: what lies in the tiers stays there.
    Everything,
    /// Everything, through the chain, which clears its tiers then.
    Clear,
    /// A tag; and the tiers are cleared before it is acknowledged, as by somebody who takes that for an invalidation.
    TagAndClear,
}

impl Scope {
    /// Commits a change of the first fact, invalidates, acknowledges.
    async fn change(self, world: &World) {
        let version = world.commit(0);
        let append = async |kill| world.chain.log().append(vec![kill]).await.map(drop);
        let invalidated = match self {
            Self::Tag => append(Kill::Tag(fact_tag(0))).await,
            Self::Type => append(Kill::Type(ALPHA)).await,
            Self::Pattern => append(pattern()).await,
            Self::Everything => append(Kill::All).await,
            Self::Clear => world.chain.invalidate_all_of(vec![Kill::All]).await.map(drop),
            Self::TagAndClear => {
                let appended = append(Kill::Tag(fact_tag(0))).await;
                world.chain.clear_tiers().await;
                appended
            }
        };
        invalidated.expect("the log takes it");
        world.acknowledge(0, version);
    }
}

fn pattern() -> Kill {
    let pattern = Kill::parse_pattern("alpha:fact:0*:*", &TYPES).expect("a pattern");
    assert!(matches!(pattern, Kill::Rule(_)), "it is compared with each request: {pattern:?}");
    pattern
}

/// Whatever was left behind is served to nobody, and what is loaded now is kept.
fn settles(world: &World) {
    block_on(async {
        world.look(0).await;
        world.look_at_all().await;
        world.ask(0).await;
        assert!(world.look(0).await, "what was loaded after the invalidation is not kept");
    });
}

/// Callers who load what they don't find, and the invalidation.
fn callers_race(world: &Arc<World>, scope: Scope) {
    together(
        world,
        vec![
            task(async |world| {
                world.ask(0).await;
                world.look(0).await;
            }),
            task(async |world| {
                world.look(0).await;
                world.ask(0).await;
            }),
            task(async move |world| scope.change(world).await),
        ],
    );
    settles(world);
}

/// Callers that find nothing load it.
pub(crate) fn load(scope: Scope) {
    let world = World::new(false);
    callers_race(&world, scope);
}

/// A value is copied upwards from a lower tier, alone and with others.
pub(crate) fn promotion(scope: Scope) {
    let world = World::new(true);
    world.chain.switch_tier("local", false);
    block_on(world.warm_all());
    world.chain.switch_tier("local", true);
    assert!(world.remote.as_ref().is_some_and(|remote| remote.len() == 2));
    together(
        &world,
        vec![
            task(async |world| {
                world.look(0).await;
                world.look(0).await;
            }),
            task(async |world| world.look_at_all().await),
            task(async move |world| scope.change(world).await),
        ],
    );
    settles(&world);
}

/// A value is due to be loaded anew: whoever asks loads it on top of the one that is there.
pub(crate) fn refresh(scope: Scope) {
    // Due at once.
    let lifetime = Lifetime { hard: Duration::from_secs(60), soft: Duration::ZERO };
    let world = World::with(false, Policy::default().lifetime("local", ALPHA, lifetime));
    block_on(world.warm(0));
    callers_race(&world, scope);
}

/// Values are filled together, and asked for together.
pub(crate) fn batch(scope: Scope) {
    let world = World::new(false);
    together(
        &world,
        vec![
            task(async |world| {
                world.warm_all().await;
                world.look_at_all().await;
            }),
            task(async |world| {
                world.look_at_all().await;
                world.look_at_all().await;
            }),
            task(async move |world| scope.change(world).await),
        ],
    );
    settles(&world);
}
