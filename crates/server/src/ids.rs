//! Identifiers of requests and decisions: ULIDs, so that they sort by time. They name, and authorize nothing.

use authz::store::{SystemWallClock, WallClock};
use ulid::Ulid;

/// A new identifier.
pub(crate) fn new_id() -> Ulid {
    Ulid::from_parts(SystemWallClock.unix_millis(), fastrand::u128(..))
}
