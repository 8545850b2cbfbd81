//! What kills cost: those who look up after them, and those who kill.

use std::cell::Cell;
use std::hint::black_box;

use cache_core::{Chain, Kill, Lookup, Revision, Tag};

use super::hits::filled;
use super::workload::{Decision, Question, zipf};
use super::{Effort, Line, pairs, time};

const OTHER_TAGS: u64 = 1_000;

fn get(chain: &Chain<Decision>, question: &Question) {
    assert!(matches!(black_box(chain.get_now(question)), Lookup::Hit(_)));
}

/// A tag that no entry carries.
fn other(number: u64) -> [Kill; 1] {
    [Kill::Tag(Tag::from_hash(number % OTHER_TAGS))]
}

pub(crate) fn run(effort: Effort) -> Vec<Line> {
    let questions: Vec<Question> = (0..effort.keys).map(Question::number).collect();
    let chain = filled(&questions, 8);
    let gets = effort.gets.min(1_000_000);
    let draws = zipf(effort.keys, gets, 11);
    let revision = Cell::new(1);
    let kill = |chain: &Chain<Decision>| {
        // Straight into the horizon: what is measured is who looks up, not the log.
        revision.set(revision.get() + 1);
        chain.horizon().apply(Revision::new(revision.get()), &other(revision.get()));
    };
    let sweep = || time(|| draws.iter().for_each(|draw| get(&chain, &questions[*draw as usize])));

    let mut lines = Vec::new();
    lines.push(pairs("hit, the next million after 1,000 kills of other tags", effort, gets, 1.5, sweep, || {
        (0..OTHER_TAGS).for_each(|_| kill(&chain));
        sweep()
    }));
    let alone = time(|| draws.iter().for_each(|_| kill(&chain)));
    lines.push(pairs("hit, a kill of another tag before each", effort, gets, 3.0, sweep, || {
        let both = time(|| {
            draws.iter().for_each(|draw| {
                kill(&chain);
                get(&chain, &questions[*draw as usize]);
            });
        });
        let alone = time(|| draws.iter().for_each(|_| kill(&chain))).min(alone);
        both.saturating_sub(alone)
    }));

    let few = filled(&questions[..1_000], 8);
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let kills = 100_000;
    let kill_many = |chain: &Chain<Decision>| {
        time(|| {
            runtime.block_on(async {
                for number in 0..kills as u64 {
                    chain.invalidate(Tag::from_hash(number % OTHER_TAGS)).await.expect("the log takes it");
                }
            });
        })
    };
    let what = format!("kill, {} entries beside 1,000", effort.keys);
    lines.push(pairs(what, effort, kills, 1.5, || kill_many(&few), || kill_many(&chain)));
    lines
}
