//! Parts: what several loads are composed of is computed by one of them, and the others wait.
//!
//! Invariant: a load waits only for parts of older loads, so that waiting never goes round in a circle.

use super::Chain;
use super::load::{Followed, Landing, Published};
use crate::single_flight::{Follower, Invocation, Leader, Role};
use crate::sync::SyncFamily;
use crate::{CacheValue, Draft, Hit, Key, Ticket};

/// What a load that composes parts does about one of them that no tier has.
#[derive(Debug)]
pub enum PartRole<V: CacheValue, S: SyncFamily> {
    /// Compute it, and publish it.
    Lead(PartLeader<V, S>),
    /// An older load computes it: wait.
    Follow(PartFollower<V, S>),
    /// Compute it for oneself. A younger load is at it, and waiting for younger ones could go round in a circle.
    Alone,
}

/// The right and the duty to compute a part for others. Dropped, it sets them free.
#[derive(Debug)]
pub struct PartLeader<V: CacheValue, S: SyncFamily>(Leader<Landing<V>, S>);

/// A wait for a part.
#[derive(Debug)]
pub struct PartFollower<V: CacheValue, S: SyncFamily>(Follower<Landing<V>, S>);

impl<V: CacheValue, S: SyncFamily> Chain<V, S> {
    /// A place in the order of invocations and loads, for [`Chain::join_part`].
    #[must_use]
    pub fn invoked(&self) -> Invocation {
        self.flights.invoked()
    }

    /// Joins the flight of a part on behalf of a load of age `order`, which was invoked at `invocation`. The part's first read counts as
    /// begun when that load began: whoever was invoked since judges the part like a cached value.
    #[must_use]
    pub fn join_part(&self, key: &Key<'_>, order: u64, invocation: Invocation) -> PartRole<V, S> {
        match self.role(key, invocation) {
            Role::Leader(leader) => {
                leader.began_reads_with(order);
                PartRole::Lead(PartLeader(leader))
            }
            Role::Follower(follower) if follower.order() < order => PartRole::Follow(PartFollower(follower)),
            Role::Follower(_) | Role::Full => PartRole::Alone,
        }
    }

    /// Fills a part into the tiers and hands it to those who wait.
    pub async fn publish_part(&self, ticket: &Ticket, key: &Key<'_>, leader: PartLeader<V, S>, draft: Draft<V>) {
        let entry = Self::entry(key, draft.clone());
        self.fill_many(ticket, vec![(*key, draft)]).await;
        leader.0.finish(Ok(Published { entry, cacheable: true }));
    }

    /// Waits for a part: none where its leader gave up, failed, was too late, or read before a change that this caller must see.
    pub async fn await_part(&self, key: &Key<'_>, follower: PartFollower<V, S>) -> Option<Hit<V>> {
        match self.follow(key, &follower.0, self.flight_patience).await {
            // A part of another load is a cached value to this one, fresh or not: it must be usable during this call.
            Followed::Answer(Ok(answer)) if self.is_usable(key, &answer.entry) => {
                Some(Hit { entry: answer.entry, tier: "flight" })
            }
            Followed::Answer(_) | Followed::Again | Followed::TurnedAway | Followed::OutOfPatience => None,
        }
    }
}
