//! What can be planted: each one breaks a rule of the protocol, and the search must find what comes of it.

/// A rule that is not kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mistake {
    // Confirming.
    /// A change is acknowledged when it commits.
    AcknowledgementAtTheCommit,
    /// A change is acknowledged when everybody has been fenced, before it commits.
    AcknowledgementBeforeTheCommit,
    /// A change is confirmed where a higher revision was applied.
    ConfirmationByTheHighest,
    /// A member reports what a poll has seen, before it is applied.
    ConfirmationAtTheSnapshot,
    /// The judge asks who the members are, and then commits.
    MembersBeforeTheCommit,

    // Judging who is silent.
    /// Who is silent for longer than a lease is passed over, and a renewal that comes late is as good as any.
    NoFencing,
    /// Who is fenced may have renewed since the judge looked.
    FencingWithoutTheCounter,
    /// Who reads the table removes rows that have been silent for long, whatever they say now.
    RowSweptBySomebody,
    /// The judge that lost the race against a renewal waits for the counter that it once saw.
    JudgeNeverLooksAgain,

    // Leases.
    /// A lease runs from when the answer to the renewal arrived.
    LeaseFromTheReply,
    /// The answer to a renewal that was given up is taken for the answer to the next one.
    AnswerToAnEarlierRenewal,
    /// Cached values are used whether the lease runs or not.
    LeaseIgnored,
    /// The lease is looked at after the horizon, and nobody asks whether it is still the same one.
    LeaseLastWithoutTheIncarnation,
    /// Whether the lease runs is what a thread of the process has last said of it.
    ClockByATicker,
    /// Cached parts are used with the lease over.
    CachedPartWithTheLeaseOver,

    // Joining and leaving.
    /// The snapshot of the log that an instance starts from is older than its registration.
    SnapshotBeforeTheRegistration,
    /// Tiers are asked as soon as the registration is there.
    StartWithoutTheLog,
    /// The row is deleted, and then cached values are no longer used.
    RowDeletedBeforeTheGateCloses,
    /// The row is deleted while questions that have passed the gate are still under way.
    LeavingWithoutDraining,

    // The server.
    /// A crash of the server empties the table of members.
    MembersLost,
    /// A crash of the server undoes registrations and renewals that were answered.
    RenewalNotDurable,
    /// A crash of the server undoes a fencing that was answered.
    FencingNotDurable,
    /// Nothing carries the identity of the history.
    IdentityMissing,
    /// Renewals don't ask for the history that the member is of.
    RenewalInAnyHistory,
    /// The server that was replaced goes on and grants renewals, because it commits without asking its standby.
    RenewalAtTheOldServer,
    /// A judge takes what a member of another history has reported for a confirmation.
    ConfirmationFromAnyHistory,
    /// The first acknowledgement of a new history waits for those alone who are in its table.
    NoSilenceAfterAFailover,
    /// A process that starts takes the history that it finds for an old one.
    NoSilenceAfterAStart,

    // Tiers.
    /// A promoted value has a stamp of now.
    PromotionStampedNow,
    /// A follower takes the result of a load as it comes.
    FollowerUnchecked,
}
