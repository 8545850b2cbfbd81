//! What sessions were told of a version's age, and for how long they go by it.
//!
//! The join that reads a row and the age of its view in one snapshot costs more than the row. A stamp that was read first is as safe (it may always be lower): what a
//! session reads later is at least as new as what it read before, since refreshes of a version follow one another, each with a later snapshot. That
//! holds within one session alone: another one may be with a server that is behind. So a single row is asked for by itself for a short
//! time after the same session was told the age, and by the join otherwise.

use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use cache_core::{Identity, Moment, Stamp};

/// For how long. Not what safety needs: a refresh by another process counts for single rows after that time at the latest.
const GOOD_FOR: Duration = Duration::from_millis(50);

/// How new a version's content is at least, and whose history that is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Age {
    pub(crate) as_of: Stamp,
    pub(crate) identity: Identity,
}

/// For each session the age that it was told, and until when that is gone by.
#[derive(Default, Debug)]
pub(crate) struct Told(RwLock<Vec<(u64, Moment, Age)>>);

impl Told {
    pub(crate) fn age(&self, session: u64, now: Moment) -> Option<Age> {
        let told = self.0.read().unwrap_or_else(PoisonError::into_inner);
        told.iter().find(|(of, until, _)| *of == session && now < *until).map(|(_, _, age)| *age)
    }

    /// Notes the answer to what was asked at `asked`. Sessions that are no more are forgotten.
    pub(crate) fn note(&self, session: u64, asked: Moment, age: Age) {
        let mut told = self.0.write().unwrap_or_else(PoisonError::into_inner);
        told.retain(|(of, until, _)| *of != session && asked < *until);
        told.push((session, asked.after(GOOD_FOR), age));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_gone_by_in_its_own_session_and_for_a_short_time() {
        let at = |ms: u64| Moment::from_millis(1_000 + ms);
        let age = |as_of| Age { as_of: Stamp::new(as_of), identity: Identity([7; 16]) };
        let told = Told::default();
        assert_eq!(told.age(1, at(0)), None);
        told.note(1, at(0), age(10));
        told.note(2, at(20), age(11));
        assert_eq!(told.age(1, at(49)), Some(age(10)));
        assert_eq!(told.age(2, at(49)), Some(age(11)));
        assert_eq!(told.age(1, at(50)), None);
        assert_eq!(told.age(3, at(20)), None);
        told.note(1, at(60), age(12));
        assert_eq!(told.age(1, at(60)), Some(age(12)));
        told.note(2, at(200), age(13));
        assert_eq!(told.0.read().expect("no panic").len(), 1, "what is over is forgotten");
    }
}
