//! Deliberate mistakes, behind the feature `mistakes`: a test that can't find them proves nothing.
//!
//! Without the feature the question "is it planted?" is the constant `false`, and the compiler removes the branch.

/// A mistake that can be planted. Each one is a hole of the protocol if a rule is left out.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
#[non_exhaustive]
pub enum Mistake {
    /// Values are served without asking the horizon; only deletion protects.
    NoHorizonCheck = 1,
    /// The head is a revision: the maximum of those applied.
    HeadFromRevision,
    /// The head is loaded after the look-ups of the tags.
    HeadAfterLookup,
    /// The head is published before the kills are in the map.
    HeadBeforeMap,
    /// A fill counts as checked at the head of its end instead of its beginning.
    CheckedAtFill,
    /// The stamp is taken after the read.
    StampAfterRead,
    /// A composed value is stamped anew instead of with the lowest stamp of its parts.
    ComposedStampedNow,
    /// A promoted value is stamped anew.
    PromotionStampedNow,
    /// The horizon forgets without raising the floor.
    ForgetWithoutFloor,
    /// A follower takes the leader's result without checking it.
    FollowerUnchecked,
    /// The lease is not looked at.
    LeaseIgnored,
    /// A key leaves out its fields.
    KeyWithoutAField,
    /// A read set holds only what was found.
    FoundOnly,
    /// A read set leaves out the negated side.
    PositiveSideOnly,
}

#[cfg(feature = "mistakes")]
mod planting {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::Mistake;

    static PLANTED: AtomicU32 = AtomicU32::new(0);

    /// Whether a mistake is planted.
    #[must_use]
    pub fn planted(mistake: Mistake) -> bool {
        PLANTED.load(Ordering::Relaxed) == mistake as u32
    }

    /// Plants a mistake in this process, until the guard is dropped. One at a time.
    #[must_use]
    pub fn plant(mistake: Mistake) -> Planted {
        let before = PLANTED.swap(mistake as u32, Ordering::SeqCst);
        assert_eq!(before, 0, "one mistake at a time");
        Planted(())
    }

    /// A mistake is planted while this lives.
    #[derive(Debug)]
    pub struct Planted(());

    impl Drop for Planted {
        fn drop(&mut self) {
            PLANTED.store(0, Ordering::SeqCst);
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
