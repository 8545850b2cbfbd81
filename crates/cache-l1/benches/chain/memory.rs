//! What an entry really takes, beside what the tier's budget says.

use cache_core::Chain;
use cache_l1::{MemoryConfig, MemoryLayer};

use super::hits::fill;
use super::workload::Question;
use super::{Effort, Figure, Line};

/// More entries of this size than there is room for.
const BYTES_PER_ENTRY: u64 = 166;

/// What the process has in memory, in bytes, as the kernel counts it.
fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: u64 = statm.split_whitespace().nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages * 4_096
}

pub(crate) fn run(effort: Effort) -> Vec<Line> {
    let budget_bytes = effort.budget_bytes;
    let entries = (budget_bytes / BYTES_PER_ENTRY) as usize;
    let layer = MemoryLayer::new(MemoryConfig { budget_bytes, ..MemoryConfig::default() });
    let chain =
        Chain::builder().tier(layer.expect("the settings are within their bounds")).build().expect("the parts fit");
    let questions: Vec<Question> = (0..entries).map(Question::number).collect();
    // What a fill allocates besides, it allocates here.
    fill(&chain, &questions[..1_000], |number| 8 + number % 5);
    let before = resident_bytes();
    fill(&chain, &questions, |number| 8 + number % 5);
    let grown = resident_bytes().saturating_sub(before);
    let usage = chain.statistics().tiers[0].usage;
    println!(
        "memory: {} entries of 8 to 12 tags held out of {entries}, {} bytes an entry by weight, {} by resident memory",
        usage.entries,
        usage.weight_bytes / usage.entries,
        grown / usage.entries,
    );
    vec![Line {
        what: format!("resident memory of a tier of {} MB", budget_bytes / 1_000_000),
        base: format!("{:.0} MB", budget_bytes as f64 / 1e6),
        measured: format!("{:.0} MB", grown as f64 / 1e6),
        more: 0.0,
        figure: Figure::Ratio(grown as f64 / budget_bytes as f64),
        goal: 1.1,
    }]
}
