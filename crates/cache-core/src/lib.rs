//! The contract and the composition of a coherent multi-level cache.
//!
//! A [`Chain`] is an ordered list of tiers ([`CacheLayer`]) with an origin behind them. What makes it coherent is one rule, which is the same
//! for every tier: a value carries a [`Stamp`] (which changes it contains) and a read set of [`Tag`]s (the predicates that it was computed
//! from); an invalidation is a record in a [`Log`] with a [`Revision`]; and a value is used only where the [`Horizon`] knows of no kill of one of its tags with
//! a revision that the stamp does not contain. Deleting is hygiene, comparing is safety: a load that finishes late, a message that was lost, a
//! tier that was away can't bring back what was invalidated.
//!
//! ```
//! # use cache_core::*;
//! # #[derive(Clone)] struct User(String);
//! # impl CacheValue for User { fn heap_bytes(&self) -> usize { self.0.capacity() } }
//! # const USER: CacheType = CacheType::new(0, "user");
//! # struct UserKey(u64);
//! # impl CacheKey for UserKey {
//! #     fn cache_type(&self) -> CacheType { USER }
//! #     fn encode(&self, encoder: &mut KeyEncoder) { let Self(id) = self; encoder.u64(*id); }
//! # }
//! # async fn find(_: u64) -> Result<User, std::io::Error> { Ok(User("ann".into())) }
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
//! let cache = Chain::<User>::builder().build().expect("a chain without tiers always builds");
//!
//! let user = cache
//!     .get_or_load(&UserKey(42), |load| async move {
//!         load.read(tag!("user", 42)); // what this value is computed from, noted before the query
//!         find(42).await
//!     })
//!     .await?;
//! assert_eq!(user.value().0, "ann");
//!
//! cache.invalidate(tag!("user", 42)).await?; // in force when it returns
//! # Ok(()) }
//! ```

mod chain;
mod clock;
mod entry;
mod error;
mod horizon;
mod key;
mod kill_bytes;
mod layer;
mod lease;
mod log;
mod lookup;
mod mistakes;
mod policy;
mod revision;
mod rule;
pub mod single_flight;
mod standing;
mod stored;
pub mod sync;
mod tag;
pub mod telemetry;
#[cfg(feature = "testing")]
pub mod testing;
mod ticket;
pub mod wrap;

pub use chain::{
    Answer, BuildError, Chain, ChainBuilder, DEFAULT_FILLS_BEHIND, DEFAULT_FLIGHT_PATIENCE, FillOutcome, Holding,
    Inspection, Invalidated, Load, PartFollower, PartLeader, PartRole, Source, Statistics, TierStatistics,
};
pub use clock::{BoxFuture, Clock, Entropy, Moment, SystemClock, SystemEntropy};
pub use entry::{CacheValue, Draft, Entry, ReadSet};
pub use error::{Error, ErrorKind, LoadError};
pub use horizon::{
    DEFAULT_HORIZON_BYTES, DEFAULT_MAX_RULES, Horizon, HorizonConfig, HorizonUsage, MIN_HORIZON_BYTES, Verdict,
};
pub use key::{CacheKey, CacheType, Digest, Key, KeyBytes, KeyEncoder, Keyer, MAX_CACHE_TYPES, TypeSet, entity_tag};
pub use layer::{CacheLayer, CacheLayerExt, Capabilities, Filled, Now, Usage};
pub use lease::{CLOCK_TICK, Lease};
pub use log::{Delta, Identity, InProcessLog, KillSink, Log, Position, RETAINED_CHANGES};
pub use lookup::{Hit, Lookup};
pub use mistakes::{Mistake, UnknownMistake, planted};
#[cfg(feature = "mistakes")]
pub use mistakes::{Planted, plant};
pub use policy::{DEFAULT_JITTER_PERCENT, DEFAULT_TTL, Lifetime, Policy};
pub use revision::{Revision, Stamp};
pub use rule::{Kill, MAX_PATTERN_BYTES, PatternError, Rule};
pub use standing::{Laggard, Standing};
pub use stored::{RowKey, RowValue, StoredValue};
pub use tag::{Tag, TagBuilder};
pub use ticket::{Fill, Ticket};
