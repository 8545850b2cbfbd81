//! Who follows the log, and how a change becomes known to be in force with all of them.
//!
//! Invariants:
//! - A member uses what it has cached only while it holds its lease, and holds that only by a renewal that was durable, that began after a poll of
//!   the same round was applied, and that is counted from before it was sent.
//! - A change is in force where every member has reported a position that sees it, after having applied it, or was fenced after its lease was over.
//! - A member that was fenced can't renew. It joins anew, as another one, and uses nothing cached until it has applied a poll that began after.
//!
//! So whoever asks after the acknowledgement gets no answer from what was cached before the change, anywhere.

mod config;
mod judge;
mod keeper;
mod suspension;

pub use config::{DEFAULT_LEASE, MemberConfig};
pub(crate) use judge::Judge;
pub(crate) use keeper::{Keeper, Membership};
