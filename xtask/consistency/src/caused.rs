//! Whether a run caused the faults that it was to cause, and whether anybody was told of a change under them: where neither happened, nothing was
//! shown.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::faults::{CALM, Network, STAYS, Trouble};
use crate::history::{Change, Event, Outcome, Way};

/// How long a run lasts in which each fault comes at least once: twice the longest time that they stay, and that is calm, because what was killed has
/// to come up again.
pub(crate) const ALL_COME_WITHIN: Duration =
    Duration::from_millis(2 * (STAYS.end + CALM.end) * Trouble::ALL.len() as u64);

impl Trouble {
    /// Whether changes are acknowledged while it lasts, however short it is and whoever it befalls. Under the others leases have to end first, or nobody
    /// can write.
    fn lets_acknowledgements_through(self) -> bool {
        match self {
            Self::Redis(_)
            | Self::RedisPaused
            | Self::RedisKilled
            | Self::RedisFlushed
            | Self::Postgres(Network::Late | Network::Reset)
            | Self::SessionsEnded
            | Self::LongTransaction
            | Self::CoarseKill
            | Self::InstancePaused
            | Self::InstanceEnded => true,
            Self::Postgres(_)
            | Self::PostgresPaused
            | Self::PostgresKilled
            | Self::AnotherHistory
            | Self::InstanceKilled => false,
        }
    }
}

/// What a run caused.
#[derive(Debug, Default)]
pub(crate) struct Caused {
    /// The names of the faults that it was to cause; none in a calm one.
    wanted: Vec<String>,
    lasted: Duration,
    /// How often each was there.
    times: BTreeMap<String, u64>,
    /// How many changes were begun and acknowledged by a server while it was there.
    acknowledged: BTreeMap<String, u64>,
}

impl Caused {
    pub(crate) fn of(events: &[Event]) -> Self {
        let mut caused = Self::default();
        let mut spans = Vec::new();
        for event in events {
            match event {
                Event::Run { seconds, troubles, .. } => {
                    (caused.wanted, caused.lasted) = (troubles.clone(), Duration::from_secs(*seconds));
                }
                Event::Fault { name, begun, ended, .. } => {
                    *caused.times.entry(name.clone()).or_default() += 1;
                    spans.push((name, *begun, *ended));
                }
                _ => {}
            }
        }
        let by_a_server = |change: &&Change| change.way != Way::Sql && change.outcome == Outcome::Acknowledged;
        let changes =
            events.iter().filter_map(|event| if let Event::Change(change) = event { Some(change) } else { None });
        for change in changes.filter(by_a_server) {
            for (name, ..) in spans.iter().filter(|(_, begun, ended)| *begun <= change.begun && change.ended <= *ended)
            {
                *caused.acknowledged.entry((*name).clone()).or_default() += 1;
            }
        }
        caused
    }

    /// How often a fault was there.
    pub(crate) fn times(&self, fault: &str) -> u64 {
        self.times.get(fault).copied().unwrap_or_default()
    }

    /// Faults that did not come.
    pub(crate) fn missing(&self) -> Vec<&str> {
        self.wanted.iter().map(String::as_str).filter(|name| self.times(name) == 0).collect()
    }

    /// Faults that came and let acknowledgements through, and nobody was told of a change under them.
    pub(crate) fn unacknowledged(&self) -> Vec<String> {
        let through = Trouble::ALL.iter().filter(|trouble| trouble.lets_acknowledgements_through());
        through
            .map(|trouble| trouble.name())
            .filter(|name| self.times(name) > 0 && !self.acknowledged.contains_key(name))
            .collect()
    }

    /// Whether the run was long enough that nothing may be missing.
    pub(crate) fn is_long(&self) -> bool {
        self.lasted >= ALL_COME_WITHIN
    }

    /// Whether it showed what a run of its length has to show.
    pub(crate) fn holds(&self) -> bool {
        !self.is_long() || (self.missing().is_empty() && self.unacknowledged().is_empty())
    }

    pub(crate) fn all(&self) -> &BTreeMap<String, u64> {
        &self.times
    }

    pub(crate) fn acknowledged(&self) -> &BTreeMap<String, u64> {
        &self.acknowledged
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Kind;

    fn run(lasted: Duration, troubles: &[Trouble]) -> Event {
        Event::Run {
            seed: 1,
            commit: String::new(),
            instances: 1,
            binary: String::new(),
            seconds: lasted.as_secs(),
            troubles: troubles.iter().map(|trouble| trouble.name()).collect(),
        }
    }

    fn fault(trouble: Trouble, begun: u64) -> Event {
        Event::Fault { name: trouble.name(), target: "all".to_owned(), begun, ended: begun + 100 }
    }

    fn acknowledged(way: Way, begun: u64, ended: u64) -> Event {
        let (fault, outcome) = (String::new(), Outcome::Acknowledged);
        Event::Change(Change { keys: vec![1], kind: Kind::Revoke, way, by: 0, begun, ended, outcome, fault })
    }

    const LONG: Duration = Duration::from_secs(ALL_COME_WITHIN.as_secs() + 1);
    const BOTH: &[Trouble] = &[Trouble::RedisKilled, Trouble::PostgresPaused];

    #[test]
    fn a_fault_that_never_came_is_named_and_a_long_run_without_it_shows_nothing() {
        let events =
            |lasted| [run(lasted, BOTH), fault(Trouble::RedisKilled, 1_000), acknowledged(Way::Member, 1_001, 1_002)];
        let caused = Caused::of(&events(LONG));
        assert_eq!((caused.missing(), caused.holds()), (vec!["postgres paused"], false));
        let short = Caused::of(&events(Duration::from_secs(60)));
        assert_eq!((short.missing(), short.holds()), (vec!["postgres paused"], true));
        assert!(Caused::of(&[run(LONG, &[])]).holds(), "a calm one causes none");
    }

    #[test]
    fn where_nobody_was_told_of_a_change_under_a_fault_that_lets_them_through_a_long_run_shows_nothing() {
        let faults = [fault(Trouble::RedisKilled, 1_000), fault(Trouble::PostgresPaused, 2_000)];
        let caused = |change: Event| Caused::of(&[&[run(LONG, BOTH)], &faults[..], &[change]].concat());
        let told = caused(acknowledged(Way::Ban, 1_001, 1_099));
        assert!(told.holds(), "{told:?}");
        for late in [
            acknowledged(Way::Ban, 1_001, 1_101),
            acknowledged(Way::Ban, 999, 1_002),
            acknowledged(Way::Ban, 2_001, 2_002),
            // Nobody of ours has acknowledged that.
            acknowledged(Way::Sql, 1_001, 1_002),
        ] {
            let caused = caused(late.clone());
            assert_eq!((caused.unacknowledged(), caused.holds()), (vec!["redis killed".to_owned()], false), "{late:?}");
        }
    }
}
