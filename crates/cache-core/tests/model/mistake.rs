//! What can be planted: each one breaks a rule of the protocol, and the search must find what comes of it.

/// A rule that is not kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mistake {
    // What an entry is compared with.
    /// Cached values are used as they lie.
    NoHorizonCheck,
    /// A kill deletes what lies in the tiers, and nothing is compared.
    DeletionOnly,
    /// The decision and its parts share one place.
    KeyWithoutAField,

    // The head.
    /// The head is the highest revision applied.
    HeadFromRevision,
    /// The head moves before the map was written.
    HeadBeforeMap,
    /// The head is loaded after the tags were looked up.
    HeadAfterLookup,
    /// A fill counts as checked at the head of its end.
    CheckedAtTheFill,
    /// A fill has the head of its ticket although its stamp is below the floor.
    FillMarkedBelowTheFloor,
    /// The same of the result that a load hands to those who wait for it.
    FlightMarkedBelowTheFloor,
    /// A load applies what its transaction saw of the log while the reader of the log is between map and head.
    AppliersInterleave,

    // Reading the log, and telling how far.
    /// A poll asks for what lies above the highest revision applied.
    CursorByTheHighest,
    /// A change is confirmed where a higher revision was applied.
    ConfirmationByTheHighest,
    /// A change is confirmed where a poll has seen it, before it is applied.
    ConfirmationAtTheSnapshot,
    /// A change is acknowledged when it commits.
    AcknowledgementAtTheCommit,

    // Stamps.
    /// The snapshot of the stamp is taken after the reads.
    StampAfterRead,
    /// A load reads in a transaction that has written.
    ReadInsideAWriter,
    /// A composed value has the stamp of its youngest part.
    ComposedStampedNow,
    /// A promoted value has a stamp of now.
    PromotionStampedNow,
    /// The view is refreshed first, and then asked how old it is.
    AsOfAfterTheRefresh,
    /// The view's stamp never falls, not even in another history.
    AsOfByGreatest,

    // One snapshot.
    /// Each statement of a load has a snapshot of its own.
    ReadCommitted,
    /// Cached parts are checked before what the load's transaction saw of the log is applied.
    PartsCheckedBeforeThePoll,
    /// Cached parts are fetched after the load's snapshot was taken.
    PartsFetchedAfterTheSnapshot,

    // Forgetting.
    /// The horizon forgets, and its floor stays.
    ForgettingWithoutFloor,
    /// The horizon forgets and raises its floor, and the head stays.
    ForgettingWithoutHead,
    /// The horizon forgets a kill, without a floor, as soon as no tier holds anything that it could kill.
    ForgettingByAge,
    /// After a gap the floor is the highest kill known.
    FloorByTheHighestKill,
    /// Rows of the log go, and the floor's row stays.
    TrimWithoutFloor,
    /// Rows of the log go for snapshots that were taken before, too.
    TrimByTruncate,

    // Beginnings.
    /// A start takes a position and leaves the log before it unread.
    StartWithoutTheLog,
    /// Tiers are asked before the log was applied.
    ServingBeforeJoining,
    /// Nothing carries the identity of the log.
    IdentityMissing,

    // Flights.
    /// A follower takes the result of a load as it comes.
    FollowerUnchecked,
}
