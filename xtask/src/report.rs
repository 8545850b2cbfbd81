//! Every command is a list of steps; every step ends in exactly one visible outcome, and a skipped one says why.

use std::fmt::Write as _;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::process;

/// How a step ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    Passed,
    /// With what to look at, when the output above does not say it already.
    Failed(String),
    /// With the reason, and what would make it run.
    Skipped(String),
    /// An earlier failure or an interruption came first.
    NotRun,
}

impl Outcome {
    fn word(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed(_) => "FAILED",
            Self::Skipped(_) => "SKIPPED",
            Self::NotRun => "not run",
        }
    }

    fn detail(&self) -> &str {
        match self {
            Self::Failed(why) | Self::Skipped(why) => why,
            Self::Passed | Self::NotRun => "",
        }
    }
}

/// The steps so far.
#[derive(Debug, Default)]
pub(crate) struct Report {
    steps: Vec<Step>,
    stop_at_failure: bool,
}

#[derive(Debug)]
struct Step {
    name: String,
    outcome: Outcome,
    took: Duration,
}

impl Report {
    /// From now on a step after a failed one is not run, only listed.
    pub(crate) fn stop_at_failure(&mut self) {
        self.stop_at_failure = true;
    }

    /// Runs `work` as the next step and prints how it begins and ends.
    pub(crate) fn step(&mut self, name: impl Into<String>, work: impl FnOnce() -> Outcome) {
        let name = name.into();
        if process::interrupted() || (self.stop_at_failure && self.failed() > 0) {
            self.steps.push(Step { name, outcome: Outcome::NotRun, took: Duration::ZERO });
            return;
        }
        println!("\n==> {name}");
        flush();
        let began = Instant::now();
        let mut outcome = work();
        if process::interrupted() {
            outcome = Outcome::Failed("interrupted".to_owned());
        }
        let took = began.elapsed();
        let separator = if outcome.detail().is_empty() { "" } else { ": " };
        println!("    {} {name} ({}){separator}{}", outcome.word(), duration(took), outcome.detail());
        flush();
        self.steps.push(Step { name, outcome, took });
    }

    /// Prints the table and the closing line, and says how the process should end.
    pub(crate) fn finish(&self) -> ExitCode {
        if self.steps.is_empty() {
            return ExitCode::SUCCESS;
        }
        println!("\n{}", self.table());
        flush();
        if process::interrupted() {
            ExitCode::from(130)
        } else if self.failed() > 0 {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        }
    }

    fn failed(&self) -> usize {
        self.count(|outcome| matches!(outcome, Outcome::Failed(_)))
    }

    fn count(&self, like: impl Fn(&Outcome) -> bool) -> usize {
        self.steps.iter().filter(|step| like(&step.outcome)).count()
    }

    fn table(&self) -> String {
        let width = self.steps.iter().map(|step| step.name.chars().count()).max().unwrap_or(0);
        let mut text = String::new();
        for Step { name, outcome, took } in &self.steps {
            let line = format!("{:7}  {name:width$}  {:>8}  {}", outcome.word(), duration(*took), outcome.detail());
            let _ = writeln!(text, "{}", line.trim_end());
        }
        let verdict = if self.failed() > 0 { "FAILED" } else { "ok" };
        let passed = self.count(|outcome| *outcome == Outcome::Passed);
        let _ = write!(text, "{verdict}: {passed} passed, {} failed", self.failed());
        for (count, word) in [
            (self.count(|outcome| matches!(outcome, Outcome::Skipped(_))), "SKIPPED"),
            (self.count(|outcome| *outcome == Outcome::NotRun), "not run"),
        ] {
            if count > 0 {
                let _ = write!(text, ", {count} {word}");
            }
        }
        let _ = write!(text, " in {}", duration(self.steps.iter().map(|step| step.took).sum()));
        text
    }
}

/// Whoever redirects the output sees a step's heading before the lines of what it started.
fn flush() {
    let _ = std::io::stdout().flush();
}

fn duration(of: Duration) -> String {
    let seconds = of.as_secs();
    if seconds >= 60 { format!("{}m {:02}s", seconds / 60, seconds % 60) } else { format!("{:.1}s", of.as_secs_f64()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(outcomes: &[Outcome]) -> Report {
        let mut report = Report::default();
        for (number, outcome) in outcomes.iter().enumerate() {
            report.step(format!("step {number}"), || outcome.clone());
        }
        report
    }

    #[test]
    fn the_closing_line_counts_what_did_not_run() {
        let skipped = Outcome::Skipped("no tool".to_owned());
        let table = report(&[Outcome::Passed, skipped]).table();
        assert!(table.contains("ok: 1 passed, 0 failed, 1 SKIPPED in "), "{table}");
        assert!(table.contains("no tool"), "{table}");
    }

    #[test]
    fn a_failure_does_not_hide_later_steps_unless_asked() {
        let failed = Outcome::Failed(String::new());
        assert!(report(&[failed.clone(), Outcome::Passed]).table().contains("FAILED: 1 passed, 1 failed in"));

        let mut stopping = report(&[failed]);
        stopping.stop_at_failure();
        stopping.step("after", || unreachable!("a failure came before"));
        assert!(stopping.table().contains("FAILED: 0 passed, 1 failed, 1 not run"));
    }

    #[test]
    fn durations_read_well() {
        assert_eq!(duration(Duration::from_millis(1_240)), "1.2s");
        assert_eq!(duration(Duration::from_secs(61)), "1m 01s");
    }
}
