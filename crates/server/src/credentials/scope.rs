//! What a key may be used for.

use std::fmt;
use std::str::FromStr;

/// One thing that a key may be used for. None contains another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Scope {
    /// To ask: decisions and lists, and the models that they rest on.
    Check,
    /// To change stores, models and relationships, and to read them as they are written.
    Write,
    /// To be told why: explanations and expansions.
    Explain,
    /// To operate the server: caches, tiers, pools, stored properties, reloads.
    Admin,
}

/// Several of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scope {
    /// All of them, in the order in which they are written.
    pub const ALL: [Self; 4] = [Self::Check, Self::Write, Self::Explain, Self::Admin];

    /// As files and messages write it.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Check => "check",
            Self::Write => "write",
            Self::Explain => "explain",
            Self::Admin => "admin",
        }
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|scope| scope.label() == text)
            .ok_or_else(|| format!("there is no scope {text:?}; there are: {}", Scopes::of(&Self::ALL)))
    }
}

impl Scopes {
    /// These.
    #[must_use]
    pub fn of(scopes: &[Scope]) -> Self {
        Self(scopes.iter().fold(0, |bits, scope| bits | 1 << *scope as u8))
    }

    /// Whether this one is among them.
    #[must_use]
    pub fn contains(self, scope: Scope) -> bool {
        self.0 & (1 << scope as u8) != 0
    }

    /// One after the other.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.contains(*scope))
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let labels: Vec<&str> = self.iter().map(Scope::label).collect();
        f.pad(&labels.join(", "))
    }
}
