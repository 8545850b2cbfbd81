//! What an answer rests on, named; and waiting until a name is covered here.
//!
//! A name is an **upper bound**: whatever an answer that was made before rests on is in the state that it names, so that nobody who asks with it,
//! of any process over the same origin, gets an answer of an older state. It may name more than the answer contains: a change that was
//! applied while the answer was on its way.

use cache_core::{Identity, Position, Revision};

use super::DecisionPoint;
use super::error::CheckError;

impl DecisionPoint {
    /// A number for [`Self::state`]: another one whenever that is another state. Ask after the answer was made. None before the origin has joined its log.
    #[inline]
    #[must_use]
    pub fn state_number(&self) -> Option<u64> {
        self.origin.applied_number(self.chain.remote_hits())
    }

    /// The state of a number that was just given, or a later one, and the history that it is of.
    #[must_use]
    pub fn state(&self, number: u64) -> Option<(Identity, Position)> {
        Some((self.history()?, self.origin.applied(number)?))
    }

    /// Another number whenever a store may have come or gone: whatever was found out about which stores there are, after this number was asked for, holds
    /// for as long as it stays the same. None while nobody tells this process: then only the origin knows.
    #[inline]
    #[must_use]
    pub fn stores_number(&self) -> Option<u64> {
        // The time first, and the number last: what was acknowledged before the lease was seen to hold is counted by then.
        let now = self.chain.clock().now();
        self.chain.lease().holds(now).then(|| self.log.stores())
    }

    /// Waits until all that was in force in a state of this history is in force here: whatever is asked for after this rests on no older one.
    ///
    /// # Errors
    /// Where the origin fails, takes too long, did not give this position, or can't tell any more what it means.
    pub async fn apply_state(&self, position: &Position) -> Result<(), CheckError> {
        Ok(self.origin.apply_position(position).await?)
    }

    /// Waits until a committed change is applied here: whatever is asked for after this rests on a state that contains it.
    ///
    /// # Errors
    /// Where the origin fails, takes too long, or can't tell any more what the revision means.
    pub async fn apply_through(&self, revision: Revision) -> Result<(), CheckError> {
        Ok(self.origin.apply_through(revision).await?)
    }
}
