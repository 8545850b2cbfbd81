//! How far a change has got among those who answer from what they have cached.

use std::time::Duration;

/// With whom a change is in force.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Standing {
    /// With how many. Whoever lost its lease and was fenced is none of them any more.
    pub confirmed_by: usize,
    /// The others.
    pub lagging: Vec<Laggard>,
    /// There may be others who can't be known of, for so long: the history is new.
    pub silence: Duration,
}

/// One in whose answers a change may not be in force.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Laggard {
    /// What it is called.
    pub name: String,
    /// For how long it has not been heard of, as far as whoever says so has watched.
    pub silent: Duration,
}

impl Standing {
    /// In force in the only process that there is.
    #[must_use]
    pub const fn alone() -> Self {
        Self { confirmed_by: 1, lagging: Vec::new(), silence: Duration::ZERO }
    }

    /// Whether it is in force everywhere.
    #[must_use]
    pub fn is_in_force(&self) -> bool {
        self.lagging.is_empty() && self.silence.is_zero()
    }
}
