//! The verdict and the figures, for people and for machines.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde_json::{Value, json};

use crate::caused::{ALL_COME_WITHIN, Caused};
use crate::history::{Event, Kind, Outcome, SOURCES, Way};
use crate::judge::Judgement;
use crate::run::Outside;

/// What is printed.
#[derive(Debug)]
pub(crate) struct Report {
    run: String,
    instances: usize,
    judged: Judgement,
    changes: BTreeMap<String, u64>,
    /// Microseconds until 200, of changes without a fault and by fault.
    acknowledged: BTreeMap<String, Vec<u64>>,
    /// Microseconds from a commit by SQL until every instance had said that it applied it, and until every one had denied.
    applied: BTreeMap<String, Vec<u64>>,
    spread: BTreeMap<String, Vec<u64>>,
    /// Decisions by fault: of each source, and none.
    availability: BTreeMap<String, [u64; SOURCES.len() + 1]>,
    caused: Caused,
    decisions: u64,
    /// Questions without a decision, by status.
    failed: BTreeMap<String, u64>,
    compare: Option<crate::heal::Compare>,
    connections: (usize, usize),
    swallowed: u64,
    corrupted: u64,
    found: Vec<(String, Option<Duration>)>,
}

impl Report {
    pub(crate) fn of(events: &[Event], outside: &Outside, found: &[(String, Option<Duration>)]) -> Self {
        let mut report = Self {
            run: String::new(),
            instances: 0,
            judged: Judgement::of(events),
            changes: BTreeMap::new(),
            acknowledged: BTreeMap::new(),
            applied: BTreeMap::new(),
            spread: BTreeMap::new(),
            availability: BTreeMap::new(),
            caused: Caused::of(events),
            decisions: 0,
            failed: BTreeMap::new(),
            compare: outside.compare,
            connections: outside.connections,
            swallowed: outside.swallowed,
            corrupted: outside.corrupted,
            found: found.to_vec(),
        };
        let named = |fault: &str| if fault.is_empty() { "none".to_owned() } else { fault.to_owned() };
        for event in events {
            match event {
                Event::Run { seed, commit, instances, .. } => {
                    report.instances = *instances;
                    report.run = format!("seed {seed}, commit {commit}, {instances} instances");
                }
                Event::Change(change) => {
                    let title = format!("{:?} by {:?}: {:?}", change.kind, change.way, change.outcome).to_lowercase();
                    *report.changes.entry(title).or_default() += 1;
                    let by_us = change.way != Way::Sql && change.outcome == Outcome::Acknowledged;
                    if by_us && change.kind == Kind::Revoke {
                        report.acknowledged.entry(named(&change.fault)).or_default().push(change.ended - change.begun);
                    }
                }
                Event::Probe(probe) => {
                    let row = report.availability.entry(named(&probe.fault)).or_default();
                    row.iter_mut().zip(probe.sources).for_each(|(sum, more)| *sum += u64::from(more));
                    row[SOURCES.len()] += u64::from(probe.failed);
                    if probe.failed > 0 {
                        let title = format!("{}, fault {}", probe.status, named(&probe.fault));
                        *report.failed.entry(title).or_default() += 1;
                    }
                    report.decisions += u64::from(probe.allows + probe.denies);
                }
                Event::Fault { .. } => {}
                Event::Spread { applied, took, fault, .. } => {
                    report.spread.entry(named(fault)).or_default().push(*took);
                    report.applied.entry(named(fault)).or_default().extend(applied);
                }
            }
        }
        let latencies = [&mut report.acknowledged, &mut report.applied, &mut report.spread];
        latencies.into_iter().flat_map(BTreeMap::values_mut).for_each(|all| all.sort_unstable());
        report
    }

    /// Whether everything that must hold did.
    pub(crate) fn holds(&self) -> bool {
        // Where nobody asked, nothing was shown.
        self.is_kept()
            && self.caused.holds()
            && self.instances > 0
            && self.judged.unreached(self.instances).is_empty()
            && self.compare.is_none_or(|compare| compare.compared > 0)
            && self.found.iter().all(|(_, found)| found.is_some())
    }

    /// Whether nothing that was seen is against a promise.
    fn is_kept(&self) -> bool {
        let compared = self.compare.is_none_or(|compare| compare.differ + compare.lost + compare.unanswered == 0);
        self.judged.holds() && compared && self.connections.0 <= self.connections.1
    }

    pub(crate) fn json(&self) -> Value {
        let figures = |all: &BTreeMap<String, Vec<u64>>| {
            let rows = all.iter().map(|(fault, all)| {
                let at = |share: f64| percentile(all, share);
                (fault.clone(), json!({"count": all.len(), "p50_us": at(0.5), "p99_us": at(0.99), "p999_us": at(0.999), "max_us": all.last()}))
            });
            Value::Object(rows.collect())
        };
        json!({
            "run": self.run,
            "holds": self.holds(),
            "decisions": self.decisions,
            "after_acknowledgement": self.judged.after,
            "within_20_ms": self.judged.fresh,
            "within_20_ms_by_instance_and_endpoint": self.judged.fresh_by,
            "violations": self.judged.violations.len(),
            "fail_open": self.judged.fail_open,
            "unjudged": self.judged.unjudged,
            "outdated_denies": self.judged.outdated_denies,
            "changes": self.changes,
            "revocation_to_acknowledgement": figures(&self.acknowledged),
            "commit_by_sql_to_in_force": figures(&self.applied),
            "commit_by_sql_to_everywhere": figures(&self.spread),
            "unreached": self.judged.unreached(self.instances),
            "questions_without_a_decision": self.failed,
            "decisions_by_fault": self.availability,
            "faults": self.caused.all(),
            "acknowledged_under": self.caused.acknowledged(),
            "faults_that_did_not_come": self.caused.missing(),
            "faults_without_an_acknowledgement": self.caused.unacknowledged(),
            "compared": self.compare.map(|compare| json!({"answers": compare.compared, "differ": compare.differ, "lost": compare.lost, "unanswered": compare.unanswered})),
            "postgres_connections": {"most": self.connections.0, "cap": self.connections.1},
            "planted": self.found.iter().map(|(name, after)| (name.clone(), json!(after.map(|after| after.as_millis())))).collect::<BTreeMap<_, _>>(),
        })
    }
}

/// The value below which a share of sorted ones lies.
fn percentile(sorted: &[u64], share: f64) -> Option<u64> {
    let last = sorted.len().checked_sub(1)?;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "an index"
    )]
    let at = (last as f64 * share).round() as usize;
    sorted.get(at).copied()
}

fn ms(us: Option<u64>) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
    us.map_or_else(|| "-".to_owned(), |us| format!("{:.1}", us as f64 / 1000.0))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let judged = &self.judged;
        writeln!(f, "\n{}", self.run)?;
        for (title, count) in &self.changes {
            writeln!(f, "  {title:<34}{count:>9}")?;
        }
        let mut row = |title: &str, value: String| writeln!(f, "{title:<60}{value:>12}");
        row("decisions", self.decisions.to_string())?;
        row("decisions after an acknowledged revocation", judged.after.to_string())?;
        row("  sent within 20 ms of it", judged.fresh.to_string())?;
        row("  violations (must be 0)", judged.violations.len().to_string())?;
        if judged.violations.is_empty() && judged.after > 0 {
            #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
            row("  their rate is below, with 95 % confidence (3/n)", format!("{:.1e}", 3.0 / judged.after as f64))?;
        }
        let unreached = judged.unreached(self.instances);
        row("  instances and endpoints not reached by them (must be 0)", unreached.len().to_string())?;
        row("allows for whoever never had access (must be 0)", judged.fail_open.to_string())?;
        row("decisions that a grant of unknown fate left unjudged", judged.unjudged.to_string())?;
        row("denies after an acknowledged grant", judged.outdated_denies.to_string())?;
        if judged.outdated_denies > 0 {
            row("  the latest one, ms after it", ms(Some(judged.outdated_for)))?;
        }
        if let Some(compare) = self.compare {
            row("compared when whole again", compare.compared.to_string())?;
            row("  answers that differ (must be 0)", compare.differ.to_string())?;
            row("  acknowledged changes that are lost (must be 0)", compare.lost.to_string())?;
            row("  answers that could not be had (must be 0)", compare.unanswered.to_string())?;
        }
        if self.connections.1 > 0 {
            row(
                "connections of PostgreSQL in use, at most of",
                format!("{} of {}", self.connections.0, self.connections.1),
            )?;
            row("bytes swallowed on the way", self.swallowed.to_string())?;
            row("bytes spoiled on the way", self.corrupted.to_string())?;
        }
        for violation in judged.violations.iter().take(10) {
            writeln!(
                f,
                "  VIOLATION: u{} on instance {}: {} allows, {} ms after, fault {:?}: {}",
                violation.key,
                violation.instance,
                violation.allows,
                ms(Some(violation.late)),
                violation.fault,
                violation.what
            )?;
        }
        for (title, all) in [
            ("revoked until acknowledged", &self.acknowledged),
            ("committed by SQL until in force everywhere", &self.applied),
            ("committed by SQL until denied everywhere", &self.spread),
        ] {
            writeln!(f, "\n{title:<43}{:>6}{:>9}{:>9}{:>9}{:>9}", "count", "p50 ms", "p99", "p99.9", "max")?;
            for (fault, all) in all {
                let at = |share| ms(percentile(all, share));
                let (count, max) = (all.len(), ms(all.last().copied()));
                writeln!(f, "  {fault:<39}{count:>8}{:>9}{:>9}{:>9}{max:>9}", at(0.5), at(0.99), at(0.999))?;
            }
        }
        write!(f, "\n{:<28}{:>6}", "decisions by fault", "times")?;
        SOURCES.iter().chain(&["none"]).try_for_each(|source| write!(f, "{source:>10}"))?;
        for (fault, row) in &self.availability {
            write!(f, "\n  {fault:<26}{:>6}", self.caused.times(fault))?;
            row.iter().try_for_each(|count| write!(f, "{count:>10}"))?;
        }
        writeln!(f, "\n\nquestions without a decision, by status (0: no answer)")?;
        for (title, count) in &self.failed {
            writeln!(f, "  {title:<52}{count:>9}")?;
        }
        self.write_what_was_missing(f)?;
        for (name, after) in &self.found {
            match after {
                Some(after) => writeln!(f, "planted {name}: found after {:.1} s", after.as_secs_f64())?,
                None => writeln!(f, "planted {name}: NOT FOUND")?,
            }
        }
        let verdict = match (self.is_kept(), self.holds()) {
            (_, true) => "The promise was kept.",
            (true, false) => {
                "NOT SHOWN: nothing speaks against the promise, and what a run has to cause, or to reach, is missing above."
            }
            (false, false) => "THE PROMISE WAS BROKEN.",
        };
        writeln!(f, "\n{verdict}")
    }
}

impl Report {
    /// The faults that the run did not cause, and those under which nobody was told of a change.
    fn write_what_was_missing(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let within = ALL_COME_WITHIN.as_secs();
        let must = match self.caused.is_long() {
            true => "must be none".to_owned(),
            false => format!("must be none in runs of {within} s and more"),
        };
        let list = |all: &[String]| if all.is_empty() { "none".to_owned() } else { all.join(", ") };
        let missing: Vec<String> = self.caused.missing().into_iter().map(str::to_owned).collect();
        writeln!(f, "\nfaults that did not come ({must}): {}", list(&missing))?;
        writeln!(f, "faults without an acknowledgement ({must}): {}", list(&self.caused.unacknowledged()))
    }
}
