//! Deliberate mistakes, behind the feature `mistakes`: a test that can't find them proves nothing.
//!
//! Without the feature the question "is it planted?" is the constant `false`, and the compiler removes the branch.

use std::fmt;
use std::str::FromStr;
use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::CLOCK_TICK;

/// Makes the list of mistakes from one table: each with its name, as it is given from outside.
macro_rules! mistakes {
    ($($(#[doc = $about:literal])+ $variant:ident = $name:literal,)+) => {
        /// A mistake that can be planted. Each one is a hole of the protocol if a rule is left out.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u32)]
        #[non_exhaustive]
        pub enum Mistake {
            $($(#[doc = $about])+ $variant,)+
        }

        impl Mistake {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The name that it is planted by.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)+
                }
            }
        }
    };
}

mistakes! {
    /// Values are served without asking the horizon; only deletion protects.
    NoHorizonCheck = "no-horizon-check",
    /// The head is a revision: the maximum of those applied.
    HeadFromRevision = "head-from-revision",
    /// The head is loaded after the look-ups of the tags.
    HeadAfterLookup = "head-after-lookup",
    /// The head is published before the kills are in the map.
    HeadBeforeMap = "head-before-map",
    /// A fill counts as checked at the head of its end instead of its beginning.
    CheckedAtFill = "checked-at-fill",
    /// The stamp is taken after the read.
    StampAfterRead = "stamp-after-read",
    /// A composed value is stamped anew instead of with the lowest stamp of its parts.
    ComposedStampedNow = "composed-stamped-now",
    /// A promoted value is stamped anew.
    PromotionStampedNow = "promotion-stamped-now",
    /// The horizon forgets without raising the floor.
    ForgetWithoutFloor = "forget-without-floor",
    /// A follower takes the leader's result without checking it.
    FollowerUnchecked = "follower-unchecked",
    /// A kill deletes what lies in the tiers, and nothing is compared.
    DeletionOnly = "deletion-only",
    /// The lease is not looked at.
    LeaseIgnored = "lease-ignored",
    /// The lease is looked at after the horizon, and nobody asks whether it is still the same one.
    LeaseAfterTheHorizon = "lease-after-the-horizon",
    /// Cached parts are used with the lease over.
    CachedPartWithTheLeaseOver = "cached-part-with-the-lease-over",
    /// Whether the lease runs is told by the time that a thread of the process has last noted.
    ClockByATicker = "clock-by-a-ticker",
    /// A key leaves out its fields.
    KeyWithoutAField = "key-without-a-field",
    /// A read set holds only what was found.
    FoundOnly = "found-only",
    /// A read set leaves out the negated side.
    PositiveSideOnly = "positive-side-only",

    // The log on PostgreSQL.
    /// A poll asks for what lies above the highest number that was seen, and for nothing that was running below it.
    CursorByTheHighest = "cursor-by-the-highest",
    /// A process takes a position when it starts, and leaves the log before it unread.
    StartWithoutTheLog = "start-without-the-log",
    /// After a gap the floor is the highest kill that was read.
    FloorByTheHighestKill = "floor-by-the-highest-kill",
    /// Nothing carries the identity of the history.
    IdentityMissing = "identity-missing",

    // Members, leases, acknowledgement.
    /// A change is acknowledged when it commits.
    AcknowledgementAtTheCommit = "acknowledgement-at-the-commit",
    /// A change is confirmed where a higher one was applied.
    ConfirmationByTheHighest = "confirmation-by-the-highest",
    /// A member reports what a poll has seen, before it is applied.
    ConfirmationAtTheSnapshot = "confirmation-at-the-snapshot",
    /// Who is silent for longer than its lease is passed over, and may renew it after that.
    NoFencing = "no-fencing",
    /// A lease runs from when the answer to its renewal came.
    LeaseFromTheReply = "lease-from-the-reply",
    /// The snapshot of the log that a member starts from is older than its row.
    SnapshotBeforeTheRegistration = "snapshot-before-the-registration",
    /// The row of a member is deleted first, and what is cached is used no more after that.
    GateClosedAfterTheRow = "gate-closed-after-the-row",
    /// A crash of the server empties the table of members.
    MembersLost = "members-lost",
    /// The first acknowledgement in a new history waits for those alone who are in its table.
    NoSilenceAfterAFailover = "no-silence-after-a-failover",

    // Views.
    /// The view is refreshed first, and asked how old it is afterwards.
    AsOfAfterTheRefresh = "as-of-after-the-refresh",
    /// The stamp of a view never falls, not even in another history.
    AsOfByGreatest = "as-of-by-greatest",
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// There is no mistake of that name.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct UnknownMistake(String);

impl fmt::Display for UnknownMistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = Mistake::ALL.iter().map(|mistake| mistake.name()).collect();
        write!(f, "there is no mistake `{}`; those that can be planted are {}", self.0, names.join(", "))
    }
}

impl std::error::Error for UnknownMistake {}

impl FromStr for Mistake {
    type Err = UnknownMistake;

    fn from_str(name: &str) -> Result<Self, UnknownMistake> {
        let named = Self::ALL.iter().find(|mistake| mistake.name() == name);
        named.copied().ok_or_else(|| UnknownMistake(name.to_owned()))
    }
}

#[cfg(feature = "mistakes")]
mod planting {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::Mistake;

    /// Where no mistake is planted.
    const NONE: u32 = u32::MAX;

    static PLANTED: AtomicU32 = AtomicU32::new(NONE);

    /// Whether a mistake is planted.
    #[must_use]
    pub fn planted(mistake: Mistake) -> bool {
        PLANTED.load(Ordering::Relaxed) == mistake as u32
    }

    /// Plants a mistake in this process, until the guard is dropped. One at a time.
    #[must_use]
    pub fn plant(mistake: Mistake) -> Planted {
        let before = PLANTED.swap(mistake as u32, Ordering::SeqCst);
        assert_eq!(before, NONE, "one mistake at a time");
        Planted(())
    }

    /// A mistake is planted while this lives.
    #[derive(Debug)]
    pub struct Planted(());

    impl Drop for Planted {
        fn drop(&mut self) {
            PLANTED.store(NONE, Ordering::SeqCst);
        }
    }
}

#[cfg(feature = "mistakes")]
pub use planting::{Planted, plant, planted};

/// Whether a mistake is planted: never, in this build.
#[cfg(not(feature = "mistakes"))]
#[must_use]
#[inline(always)]
pub const fn planted(_: Mistake) -> bool {
    false
}

/// What [`Mistake::ClockByATicker`] takes for the time.
pub(crate) fn ticked(read: fn() -> u64) -> u64 {
    static TIME: AtomicU64 = AtomicU64::new(0);
    static TICKER: Once = Once::new();
    TICKER.call_once(|| {
        TIME.store(read(), Ordering::Release);
        std::thread::spawn(move || {
            loop {
                #[expect(clippy::disallowed_methods, reason = "this is what a ticker does, and why it is a mistake")]
                std::thread::sleep(CLOCK_TICK);
                TIME.store(read(), Ordering::Release);
            }
        });
    });
    TIME.load(Ordering::Acquire)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_found_by_its_name_which_is_that_of_the_variant() {
        for mistake in Mistake::ALL {
            assert_eq!(mistake.to_string().parse(), Ok(*mistake));
            let variant: String = mistake.name().split('-').map(capital).collect();
            assert_eq!(variant, format!("{mistake:?}"));
        }
    }

    #[test]
    fn a_name_that_is_none_is_refused_with_the_list() {
        let told = "lease-ignore".parse::<Mistake>().unwrap_err().to_string();
        assert!(told.contains("`lease-ignore`") && told.contains("deletion-only, lease-ignored"), "{told}");
    }

    fn capital(word: &str) -> String {
        word[..1].to_uppercase() + &word[1..]
    }
}
