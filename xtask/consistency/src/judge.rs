//! Whether a history keeps the promise.
//!
//! A question that was sent after a revocation was acknowledged, and answered before anybody asked for access again, is answered with an allow by
//! nobody. A subject that nobody ever gave access has none.

use std::collections::BTreeMap;

use crate::history::{Change, Endpoint, Event, Key, Kind, Outcome, Probe};

/// What counts as right after an acknowledgement, in microseconds.
pub(crate) const FRESH: u64 = 20_000;

/// What the judge found.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Judgement {
    /// Decisions asked for after an acknowledged revocation.
    pub(crate) after: u64,
    /// Of them, those sent within [`FRESH`].
    pub(crate) fresh: u64,
    /// The same by instance and endpoint: cells that are missing were not reached.
    pub(crate) fresh_by: BTreeMap<String, u64>,
    /// Allows among them.
    pub(crate) violations: Vec<Violation>,
    /// Allows for whoever never had access.
    pub(crate) fail_open: u64,
    /// Decisions that a grant of unknown fate makes unjudgeable.
    pub(crate) unjudged: u64,
    /// Denies after an acknowledged grant, and the longest time since it, in microseconds.
    pub(crate) outdated_denies: u64,
    pub(crate) outdated_for: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Violation {
    pub(crate) key: Key,
    pub(crate) instance: usize,
    pub(crate) allows: u32,
    /// Since the acknowledgement, in microseconds.
    pub(crate) late: u64,
    pub(crate) fault: String,
    pub(crate) what: String,
}

impl Judgement {
    /// Judges events in any order.
    pub(crate) fn of(events: &[Event]) -> Self {
        let mut changes: BTreeMap<Key, Vec<&Change>> = BTreeMap::new();
        for event in events {
            if let Event::Change(change) = event {
                change.keys.iter().for_each(|key| changes.entry(*key).or_default().push(change));
            }
        }
        changes.values_mut().for_each(|of| of.sort_by_key(|change| change.begun));
        let mut judged = Self::default();
        for event in events {
            if let Event::Probe(probe) = event {
                judged.probe(probe, changes.get(&probe.key).map_or(&[], |of| &of[..]));
            }
        }
        judged
    }

    fn probe(&mut self, probe: &Probe, changes: &[&Change]) {
        let made = |change: &&&Change| change.outcome != Outcome::Refused;
        let acknowledged = |kind: Kind| {
            changes.iter().rev().find(|change| {
                change.kind == kind && change.outcome == Outcome::Acknowledged && change.ended <= probe.begun
            })
        };
        let since = |kind: Kind, begun: u64| {
            changes
                .iter()
                .filter(made)
                .any(|other| other.kind == kind && other.begun > begun && other.begun <= probe.ended)
        };
        let decisions = u64::from(probe.allows + probe.denies);
        match acknowledged(Kind::Revoke) {
            Some(revoked) if !since(Kind::Grant, revoked.begun) => {
                // It may have been made after the revocation that its writer sent later.
                let haunted = changes.iter().any(|change| {
                    change.kind == Kind::Grant && change.outcome == Outcome::Unknown && change.begun < revoked.begun
                });
                if haunted {
                    self.unjudged += decisions;
                    return;
                }
                self.after += decisions;
                let late = probe.begun - revoked.ended;
                if late <= FRESH {
                    self.fresh += decisions;
                    if decisions > 0 {
                        *self.fresh_by.entry(cell(probe.by, probe.endpoint)).or_default() += decisions;
                    }
                }
                if probe.allows > 0 {
                    self.violations.push(Violation {
                        key: probe.key,
                        instance: probe.by,
                        allows: probe.allows,
                        late,
                        fault: probe.fault.clone(),
                        what: format!("{:?}, revoked by {:?} at {}", probe.endpoint, revoked.way, revoked.by),
                    });
                }
            }
            None if probe.allows > 0 && !since(Kind::Grant, 0) => self.fail_open += u64::from(probe.allows),
            _ => {}
        }
        if let Some(granted) = acknowledged(Kind::Grant)
            && probe.denies > 0
            && !since(Kind::Revoke, granted.begun)
            // Nor one before it whose fate nobody knew.
            && !changes.iter().any(|change| change.kind == Kind::Revoke && change.outcome == Outcome::Unknown)
        {
            self.outdated_denies += u64::from(probe.denies);
            self.outdated_for = self.outdated_for.max(probe.begun - granted.ended);
        }
    }

    /// Instances and endpoints that nobody asked at once after an acknowledgement: of those nothing is known.
    pub(crate) fn unreached(&self, instances: usize) -> Vec<String> {
        let cells = (0..instances).flat_map(|by| Endpoint::ALL.map(|endpoint| cell(by, endpoint)));
        cells.filter(|cell| !self.fresh_by.contains_key(cell)).collect()
    }

    /// Whether the promise was kept, as far as anybody asked.
    pub(crate) fn holds(&self) -> bool {
        self.violations.is_empty() && self.fail_open == 0
    }
}

fn cell(instance: usize, endpoint: Endpoint) -> String {
    format!("{instance} {endpoint:?}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::Way;

    fn change(kind: Kind, begun: u64, ended: u64, outcome: Outcome) -> Event {
        let fault = String::new();
        Event::Change(Change { keys: vec![1], kind, way: Way::Member, by: 0, begun, ended, outcome, fault })
    }

    fn probe(begun: u64, ended: u64, allows: u32) -> Event {
        Event::Probe(Probe {
            key: 1,
            by: 0,
            endpoint: Endpoint::Single,
            begun,
            ended,
            allows,
            denies: 1 - allows,
            failed: 0,
            status: 200,
            sources: [0; 5],
            fault: String::new(),
        })
    }

    fn judged(events: &[Event]) -> (u64, usize, u64, u64) {
        let judged = Judgement::of(events);
        (judged.after, judged.violations.len(), judged.fail_open, judged.unjudged)
    }

    const GRANT: (Kind, Outcome) = (Kind::Grant, Outcome::Acknowledged);
    const REVOKE: (Kind, Outcome) = (Kind::Revoke, Outcome::Acknowledged);

    fn at((kind, outcome): (Kind, Outcome), begun: u64, ended: u64) -> Event {
        change(kind, begun, ended, outcome)
    }

    #[test]
    fn an_allow_that_was_asked_for_after_the_acknowledgement_is_a_violation() {
        let before = [at(GRANT, 1, 2), at(REVOKE, 10, 20)];
        let with = |probe: Event| judged(&[&before[..], &[probe]].concat());
        assert_eq!(with(probe(20, 25, 1)), (1, 1, 0, 0));
        assert_eq!(with(probe(20, 25, 0)), (1, 0, 0, 0));
        assert_eq!(with(probe(19, 25, 1)), (0, 0, 0, 0), "asked before it was acknowledged");
    }

    #[test]
    fn whoever_asks_for_access_again_may_have_it_from_then_on() {
        let all = [at(GRANT, 1, 2), at(REVOKE, 10, 20), at(GRANT, 30, 40)];
        let with = |probe: Event| judged(&[&all[..], &[probe]].concat());
        assert_eq!(with(probe(21, 30, 1)), (0, 0, 0, 0));
        assert_eq!(with(probe(21, 29, 1)), (1, 1, 0, 0));
        assert_eq!(with(probe(45, 50, 1)), (0, 0, 0, 0));
    }

    #[test]
    fn a_revocation_that_nobody_acknowledged_promises_nothing_and_one_that_was_refused_is_none() {
        for outcome in [Outcome::Unknown, Outcome::Refused] {
            assert_eq!(judged(&[at(GRANT, 1, 2), change(Kind::Revoke, 10, 20, outcome), probe(30, 31, 1)]).1, 0);
        }
        let refused = change(Kind::Grant, 22, 23, Outcome::Refused);
        assert_eq!(judged(&[at(GRANT, 1, 2), at(REVOKE, 10, 20), refused, probe(30, 31, 1)]).1, 1);
    }

    #[test]
    fn a_grant_that_may_have_come_late_makes_its_subject_unjudgeable() {
        let lost = change(Kind::Grant, 1, 2, Outcome::Unknown);
        assert_eq!(judged(&[lost, at(REVOKE, 10, 20), probe(30, 31, 1)]), (0, 0, 0, 1));
    }

    #[test]
    fn whoever_never_had_access_is_allowed_by_mistake_alone() {
        assert_eq!(judged(&[probe(30, 31, 1)]).2, 1);
        assert_eq!(judged(&[at(GRANT, 32, 40), probe(30, 31, 1)]).2, 1);
        assert_eq!(judged(&[at(GRANT, 31, 40), probe(30, 31, 1)]).2, 0);
    }

    #[test]
    fn an_endpoint_that_nobody_asked_in_time_or_that_gave_no_decision_is_not_reached() {
        let before = [at(GRANT, 1, 2), at(REVOKE, 10, 20)];
        let unreached = |probe: Event| Judgement::of(&[&before[..], &[probe]].concat()).unreached(1).len();
        let mut failed = probe(21, 25, 0);
        if let Event::Probe(probe) = &mut failed {
            (probe.denies, probe.failed, probe.status) = (0, 1, 503);
        }
        assert_eq!((unreached(probe(21, 25, 0)), unreached(failed)), (4, 5));
        assert_eq!(unreached(probe(21 + FRESH, 25 + FRESH, 0)), 5);
    }

    #[test]
    fn a_deny_after_an_acknowledged_grant_is_told_with_its_age() {
        let judged = Judgement::of(&[at(GRANT, 1, 2), probe(30, 31, 0)]);
        assert_eq!((judged.outdated_denies, judged.outdated_for), (1, 28));
        assert!(judged.holds());
    }
}
