//! Each mistake is found, in a run that the protocol passes without it.
//!
//! The search goes breadth first, and a stale allow is one state: what is printed is a shortest way to it. What else can be wrong has many states, so that the way to it is
//! only a short one.

use super::bounds::Bounds;
use super::checking::{self, planted};
use super::mistake::Mistake;
use super::promises::{NO_STALE_ALLOW, THE_ACKNOWLEDGEMENT_COMES, WHAT_IS_ACKNOWLEDGED_IS_COMMITTED};
use super::protocol::Protocol;

/// The mistake leads to a stale allow.
fn revives(mistake: Mistake, bounds: Bounds) {
    is_found(mistake, bounds, NO_STALE_ALLOW);
}

/// The mistake leads to an acknowledgement of what did not happen.
fn lies(mistake: Mistake, bounds: Bounds) {
    is_found(mistake, bounds, WHAT_IS_ACKNOWLEDGED_IS_COMMITTED);
}

/// With the mistake somebody waits for an acknowledgement that never comes.
fn stalls(mistake: Mistake, bounds: Bounds) {
    is_found(mistake, bounds, THE_ACKNOWLEDGEMENT_COMES);
}

fn is_found(mistake: Mistake, bounds: Bounds, broken: &'static str) {
    checking::is_found(mistake, Protocol { bounds, mistake: Some(mistake) }, broken);
}

fn is_harmless(mistake: Mistake, bounds: Bounds) {
    checking::is_harmless(mistake, Protocol { bounds, mistake: Some(mistake) });
}

planted! {
    acknowledgement_at_the_commit: revives(AcknowledgementAtTheCommit, lease);
    acknowledgement_before_the_commit: lies(AcknowledgementBeforeTheCommit, lease);
    confirmation_by_the_highest: revives(ConfirmationByTheHighest, lease);
    confirmation_at_the_snapshot: revives(ConfirmationAtTheSnapshot, lease);
    members_before_the_commit: revives(MembersBeforeTheCommit, join);

    no_fencing: revives(NoFencing, lease);
    fencing_without_the_counter: revives(FencingWithoutTheCounter, lease);
    row_swept_by_somebody: revives(RowSweptBySomebody, lease);
    judge_never_looks_again: stalls(JudgeNeverLooksAgain, progress);

    lease_from_the_reply: revives(LeaseFromTheReply, lease);
    answer_to_an_earlier_renewal: revives(AnswerToAnEarlierRenewal, lease);
    lease_ignored: revives(LeaseIgnored, lease);
    lease_last_without_the_incarnation: revives(LeaseLastWithoutTheIncarnation, lease_last);
    clock_by_a_ticker: revives(ClockByATicker, lease);
    cached_part_with_the_lease_over: revives(CachedPartWithTheLeaseOver, parts);

    snapshot_before_the_registration: revives(SnapshotBeforeTheRegistration, join);
    start_without_the_log: revives(StartWithoutTheLog, join);
    row_deleted_before_the_gate_closes: revives(RowDeletedBeforeTheGateCloses, leaving);

    members_lost: revives(MembersLost, crash);
    renewal_not_durable: revives(RenewalNotDurable, crash);
    fencing_not_durable: revives(FencingNotDurable, crash);
    identity_missing: revives(IdentityMissing, failover);
    renewal_in_any_history: revives(RenewalInAnyHistory, failover);
    renewal_at_the_old_server: revives(RenewalAtTheOldServer, failover);
    no_silence_after_a_failover: revives(NoSilenceAfterAFailover, failover_join);
    no_silence_after_a_start: revives(NoSilenceAfterAStart, failover_join);

    promotion_stamped_now: revives(PromotionStampedNow, promotion);
    follower_unchecked: revives(FollowerUnchecked, flights);

    // What passed the gate was asked before the row was gone, and so before any acknowledgement that did not wait for this instance.
    leaving_without_draining_is_harmless: is_harmless(LeavingWithoutDraining, leaving);
    leaving_without_draining_is_harmless_with_the_lease_last: is_harmless(LeavingWithoutDraining, leaving_lease_last);
    // Who is of another history can't renew, and its leases are over when the judge's silence is.
    confirmation_from_any_history_is_harmless_with_silence: is_harmless(ConfirmationFromAnyHistory, failover);
}
