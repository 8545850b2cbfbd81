//! Each mistake is found, in a run that the protocol passes without it.
//!
//! The search goes breadth first, so that what is printed is a shortest way to the wrong answer.

use super::bounds::Bounds;
use super::checking::{self, planted};
use super::mistake::Mistake;
use super::promises::{CACHING_CHANGES_NO_ANSWER, NO_STALE_ALLOW};
use super::protocol::Protocol;

/// The mistake leads to a stale allow.
fn revives(mistake: Mistake, bounds: Bounds) {
    is_found(mistake, bounds, NO_STALE_ALLOW);
}

/// The mistake leads to an answer that the origin gave at no moment.
fn invents(mistake: Mistake, bounds: Bounds) {
    is_found(mistake, bounds, CACHING_CHANGES_NO_ANSWER);
}

fn is_found(mistake: Mistake, bounds: Bounds, broken: &'static str) {
    checking::is_found(mistake, Protocol { bounds, mistake: Some(mistake) }, broken);
}

fn is_harmless(mistake: Mistake, bounds: Bounds) {
    checking::is_harmless(mistake, Protocol { bounds, mistake: Some(mistake) });
}

planted! {
    no_horizon_check: revives(NoHorizonCheck, log);
    deletion_only: revives(DeletionOnly, log);
    key_without_a_field: revives(KeyWithoutAField, tiers);

    head_from_revision: revives(HeadFromRevision, log);
    head_before_map: revives(HeadBeforeMap, log);
    head_after_lookup: revives(HeadAfterLookup, log);
    checked_at_the_fill: revives(CheckedAtTheFill, log);
    fill_marked_below_the_floor: revives(FillMarkedBelowTheFloor, forgetting);
    flight_marked_below_the_floor: revives(FlightMarkedBelowTheFloor, flights);
    appliers_interleave: revives(AppliersInterleave, pinned);

    cursor_by_the_highest: revives(CursorByTheHighest, log);
    confirmation_by_the_highest: revives(ConfirmationByTheHighest, log);
    confirmation_at_the_snapshot: revives(ConfirmationAtTheSnapshot, log);
    acknowledgement_at_the_commit: revives(AcknowledgementAtTheCommit, log);

    stamp_after_read: revives(StampAfterRead, log);
    read_inside_a_writer: invents(ReadInsideAWriter, rolled_back);
    composed_stamped_now: revives(ComposedStampedNow, composition);
    promotion_stamped_now: revives(PromotionStampedNow, tiers);
    as_of_after_the_refresh: revives(AsOfAfterTheRefresh, view);
    as_of_by_greatest: revives(AsOfByGreatest, failover_view);

    read_committed: invents(ReadCommitted, snapshot);
    parts_checked_before_the_poll: invents(PartsCheckedBeforeThePoll, snapshot);
    parts_fetched_after_the_snapshot: invents(PartsFetchedAfterTheSnapshot, snapshot);

    forgetting_without_floor: revives(ForgettingWithoutFloor, forgetting);
    forgetting_without_head: revives(ForgettingWithoutHead, forgetting);
    forgetting_by_age: revives(ForgettingByAge, forgetting);
    floor_by_the_highest_kill: revives(FloorByTheHighestKill, forgetting);
    trim_without_floor: revives(TrimWithoutFloor, start);
    trim_by_truncate: revives(TrimByTruncate, start);

    start_without_the_log: revives(StartWithoutTheLog, start);
    serving_before_joining: revives(ServingBeforeJoining, start);
    identity_missing: revives(IdentityMissing, failover);

    follower_unchecked: revives(FollowerUnchecked, flights);

    // A part that is usable once the poll of the load's own transaction is applied says what that transaction would read: its stamp may be the snapshot's.
    composed_stamped_by_a_snapshot_that_polled_is_harmless: is_harmless(ComposedStampedNow, pinned);
    // Within one history the oldest running transaction only gets younger.
    as_of_by_greatest_is_harmless_within_one_history: is_harmless(AsOfByGreatest, view_twice);
}
