//! The log: to the standard error, as lines or as JSON, and without anybody's name in clear.

use std::hash::{BuildHasher, RandomState};
use std::panic;

use authz::relation::Subject;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{Log, LogFormat};

/// Starts the log. Called once.
pub fn start(log: &Log) {
    // The level was checked with the other settings.
    let filter: Targets = log.level.parse().unwrap_or_default();
    let registry = tracing_subscriber::registry().with(filter);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    // A second start, as in tests, changes nothing.
    let _ = match log.format {
        LogFormat::Text => registry.with(lines.with_ansi(false)).try_init(),
        LogFormat::Json => registry.with(lines.json().flatten_event(true)).try_init(),
    };
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        // A message that was put together while running may hold somebody's name; one that stands in the source can't.
        let message = panic.payload().downcast_ref::<&'static str>().copied();
        tracing::error!(place, message, "a request or a task panicked");
    }));
}

/// Names for subjects in the log: the same subject has the same one until the process ends, and nobody can compute it.
#[derive(Clone, Debug, Default)]
pub struct Pseudonyms(RandomState);

impl Pseudonyms {
    /// Twelve hexadecimal digits.
    #[must_use]
    pub fn of(&self, subject: &Subject) -> String {
        format!("{:012x}", self.0.hash_one(subject) >> 16)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pseudonym_is_stable_within_a_process_and_unknown_outside() {
        let ann = Subject::object("user", "ann").unwrap();
        let (here, elsewhere) = (Pseudonyms::default(), Pseudonyms::default());
        assert_eq!(here.of(&ann), here.of(&ann));
        assert_ne!(here.of(&ann), elsewhere.of(&ann));
        assert_eq!(here.of(&ann).len(), 12);
    }
}
