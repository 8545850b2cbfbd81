//! What a hit, a kill and an entry cost, each beside what it is compared with.
//!
//! Run `cargo bench -p tiergate-cache-l1 --bench chain`; `-- --quick` takes less time and says less, `-- --check` fails where a goal is
//! missed. Times are what the threads compute, and a neighbour's process does not count. Two variants are always measured in turns, in pairs whose order alternates, so that a machine which slows down slows both; what is
//! printed is the median of the pairs' ratios.
#![allow(clippy::print_stdout, reason = "a bench prints its table")]
#![allow(missing_docs, reason = "a bench has no callers")]

mod hits;
mod kills;
mod memory;
mod workload;

use std::time::Duration;

/// How much is measured.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    /// Entries in the caches.
    pub(crate) keys: usize,
    /// Look-ups of one measurement.
    pub(crate) gets: usize,
    /// Pairs of measurements.
    pub(crate) pairs: usize,
    /// Of the tier whose memory is measured.
    pub(crate) budget_bytes: u64,
}

/// One line of the table.
pub(crate) struct Line {
    what: String,
    base: String,
    measured: String,
    /// The median of the differences, in nanoseconds.
    more: f64,
    figure: Figure,
    goal: f64,
}

/// What is compared with the goal.
enum Figure {
    Ratio(f64),
    /// How many nanoseconds more.
    More(f64),
}

impl Line {
    /// The same measurement, judged by the difference: at most so many nanoseconds.
    pub(crate) fn by_difference(mut self, goal: f64) -> Self {
        (self.figure, self.goal) = (Figure::More(self.more), goal);
        self
    }
}

/// Measures two variants in turns and gives the medians, in nanoseconds for each of `count`, with the median of the ratios.
pub(crate) fn pairs(
    what: impl Into<String>,
    effort: Effort,
    count: usize,
    goal: f64,
    mut base: impl FnMut() -> Duration,
    mut ours: impl FnMut() -> Duration,
) -> Line {
    // One of each to warm up.
    base();
    ours();
    let mut times: Vec<(f64, f64)> = Vec::new();
    for pair in 0..effort.pairs {
        let (first, second) = if pair % 2 == 0 {
            let first = base();
            (first, ours())
        } else {
            let second = ours();
            (base(), second)
        };
        times.push((first.as_nanos() as f64 / count as f64, second.as_nanos() as f64 / count as f64));
    }
    let of = |value: &dyn Fn(&(f64, f64)) -> f64| median(times.iter().map(value).collect());
    Line {
        what: what.into(),
        base: format!("{:.0} ns", of(&|(base, _)| *base)),
        measured: format!("{:.0} ns", of(&|(_, ours)| *ours)),
        more: of(&|(base, ours)| ours - base),
        figure: Figure::Ratio(of(&|(base, ours)| ours / base)),
        goal,
    }
}

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The time that this thread computes for `run`. Not the time on the wall: on a machine with neighbours that would mostly measure them.
pub(crate) fn time(run: impl FnOnce()) -> Duration {
    let now = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
    };
    let start = now();
    run();
    now().saturating_sub(start)
}

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    if !has("--bench") {
        println!("nothing is measured without optimisation; run cargo bench -p tiergate-cache-l1 --bench chain");
        return;
    }
    let effort = if has("--quick") {
        Effort { keys: 50_000, gets: 50_000, pairs: 3, budget_bytes: 10_000_000 }
    } else {
        Effort { keys: 1_000_000, gets: 500_000, pairs: 7, budget_bytes: 200_000_000 }
    };
    let only = |name: &str| {
        let named = arguments.iter().any(|argument| ["hits", "kills", "memory"].contains(&argument.as_str()));
        !named || has(name)
    };

    let mut lines = Vec::new();
    if only("memory") {
        // First, because memory that others have freed would be used again and not show.
        lines.extend(memory::run(effort));
    }
    if only("hits") {
        lines.extend(hits::run(effort));
    }
    if only("kills") {
        lines.extend(kills::run(effort));
    }

    println!("\n{:<62} {:>12} {:>12} {:>7} {:>7}", "", "base", "measured", "ratio", "goal");
    let mut missed = 0;
    for line in &lines {
        let Line { what, base, measured, figure, goal, .. } = line;
        let (figure, unit) = match figure {
            Figure::Ratio(ratio) => (*ratio, "x"),
            Figure::More(ns) => (*ns, "ns"),
        };
        let verdict = if figure <= *goal { "" } else { "  MISSED" };
        missed += usize::from(!verdict.is_empty());
        println!("{what:<62} {base:>12} {measured:>12} {figure:>6.2}{unit} {goal:>6.2}{unit}{verdict}");
    }
    if missed > 0 && has("--check") {
        std::process::exit(1);
    }
}
