//! Measuring on noisy machines: pairs that are interleaved, medians, ratios of one run, and a table that says what was wished for.
//!
//! A benchmark is a program with `harness = false` that fills a [`Report`]. It takes `--quick` for a short form and `--check` to end with a
//! status other than 0 where a goal is missed.
#![allow(clippy::print_stdout, reason = "a benchmark is a program whose output is for people")]

use std::time::Duration;

/// The pairs of a full run.
pub const PAIRS: usize = 9;
/// The pairs of a quick run.
pub const QUICK_PAIRS: usize = 3;

/// The time that `work` takes.
pub fn time<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    #[expect(clippy::disallowed_methods, reason = "this is where time is measured; nothing depends on it")]
    let start = std::time::Instant::now();
    let result = work();
    (start.elapsed(), result)
}

/// The median of some figures, 0 of none.
#[must_use]
pub fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(0.0)
}

/// The value below which a share of the figures lies.
#[must_use]
pub fn percentile(figures: &mut [f64], share: f64) -> f64 {
    figures.sort_by(f64::total_cmp);
    let at = ((figures.len() as f64 * share) as usize).min(figures.len().saturating_sub(1));
    figures.get(at).copied().unwrap_or(0.0)
}

/// Two measurements, interleaved.
#[derive(Clone, Debug)]
pub struct Pairs {
    /// The median of what was measured first in each pair.
    pub left: f64,
    /// The median of what was measured second.
    pub right: f64,
    /// The median of `left / right`, pair by pair.
    pub ratio: f64,
    /// The least and the greatest of those ratios.
    pub range: (f64, f64),
}

/// Measures two things in turn, after one pair that does not count.
pub fn pairs(count: usize, mut left: impl FnMut() -> f64, mut right: impl FnMut() -> f64) -> Pairs {
    left();
    right();
    let (mut lefts, mut rights, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for pair in 0..count {
        // Whoever comes first in one pair comes second in the next: neither profits from its place.
        let (l, r) = if pair % 2 == 0 {
            let l = left();
            (l, right())
        } else {
            let r = right();
            (left(), r)
        };
        lefts.push(l);
        rights.push(r);
        ratios.push(l / r);
    }
    let range = (
        ratios.iter().copied().fold(f64::INFINITY, f64::min),
        ratios.iter().copied().fold(f64::NEG_INFINITY, f64::max),
    );
    Pairs { left: median(lefts), right: median(rights), ratio: median(ratios), range }
}

/// What a benchmark was asked to do.
#[derive(Clone, Copy, Debug)]
pub struct Arguments {
    /// A short form: to see that it runs, not to quote.
    pub quick: bool,
    /// End with a status other than 0 where a goal is missed.
    pub check: bool,
}

impl Arguments {
    /// Those of this process.
    #[must_use]
    pub fn read() -> Self {
        let given: Vec<String> = std::env::args().collect();
        let has = |flag: &str| given.iter().any(|argument| argument == flag);
        Self { quick: has("--quick"), check: has("--check") }
    }

    /// How many pairs to measure.
    #[must_use]
    pub fn pairs(&self) -> usize {
        if self.quick { QUICK_PAIRS } else { PAIRS }
    }
}

/// A table that grows while a benchmark runs.
#[derive(Debug)]
pub struct Report {
    arguments: Arguments,
    missed: usize,
}

impl Report {
    /// Begins a table.
    #[must_use]
    pub fn new(title: &str, arguments: Arguments) -> Self {
        let form = if arguments.quick { " (quick form: do not quote)" } else { "" };
        println!("\n{title}{form}");
        Self { arguments, missed: 0 }
    }

    /// A figure without a goal.
    pub fn figure(&self, name: &str, value: impl std::fmt::Display) {
        println!("  {name:<66} {value}");
    }

    /// A figure with a goal.
    pub fn goal(&mut self, name: &str, value: f64, met: bool, goal: &str) {
        let verdict = if met { "met" } else { "MISSED" };
        println!("  {name:<66} {value:>12.2}   goal {goal:<12} {verdict}");
        self.missed += usize::from(!met);
    }

    /// A ratio that should be at most `most`.
    pub fn ratio_at_most(&mut self, name: &str, unit: &str, pairs: &Pairs, most: f64) {
        self.ratio(name, unit, pairs, pairs.ratio <= most, &format!("<= {most}"));
    }

    /// A ratio that should be at least `least`.
    pub fn ratio_at_least(&mut self, name: &str, unit: &str, pairs: &Pairs, least: f64) {
        self.ratio(name, unit, pairs, pairs.ratio >= least, &format!(">= {least}"));
    }

    fn ratio(&mut self, name: &str, unit: &str, pairs: &Pairs, met: bool, goal: &str) {
        let Pairs { left, right, ratio, range: (least, greatest) } = pairs;
        let verdict = if met { "met" } else { "MISSED" };
        println!(
            "  {name:<66} {ratio:>6.3} x ({least:.3} to {greatest:.3}; {left:.1} against {right:.1} {unit})   goal {goal} x {verdict}"
        );
        self.missed += usize::from(!met);
    }

    /// Ends the table, and the process with 1 where goals were missed and `--check` was given.
    pub fn end(self) {
        println!("  {} goals missed", self.missed);
        if self.arguments.check && !self.arguments.quick && self.missed > 0 {
            std::process::exit(1);
        }
    }
}

/// The bytes of memory that this process holds, where the system says.
#[must_use]
pub fn resident_bytes() -> Option<u64> {
    let pages: u64 = std::fs::read_to_string("/proc/self/statm").ok()?.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * 4096)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_and_a_percentile_are_figures_of_the_row() {
        assert!((median(vec![3.0, 1.0, 2.0]) - 2.0).abs() < f64::EPSILON);
        assert!((percentile(&mut [1.0, 2.0, 3.0, 4.0], 0.99) - 4.0).abs() < f64::EPSILON);
    }
}
