//! A hit through the chain beside a bare get of the library below it.

use std::hint::black_box;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use cache_core::{Chain, Digest, Draft, Key, Lookup, Moment, Tag, TypeSet};
use cache_l1::{MemoryConfig, MemoryLayer};
use quick_cache::UnitWeighter;
use quick_cache::sync::{Cache, DefaultLifecycle};

use super::workload::{Decision, Question, Trivial, mix, zipf};
use super::{Effort, Line, pairs};

/// A chain that holds every key. Its budget is no concern here: what is measured is hits.
pub(crate) fn filled(questions: &[Question], tags: usize) -> Chain<Decision> {
    let config = MemoryConfig { budget_bytes: 4 << 30, ..MemoryConfig::default() };
    let layer = MemoryLayer::new(config).expect("the settings are within their bounds");
    let chain = Chain::builder().tier(layer).build().expect("the parts fit");
    fill(&chain, questions, |_| tags);
    chain
}

pub(crate) fn fill(chain: &Chain<Decision>, questions: &[Question], tags: impl Fn(usize) -> usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    for (batch, some) in questions.chunks(1_000).enumerate() {
        let ticket = chain.ticket();
        let drafts = some.iter().enumerate().map(|(at, question)| {
            let number = batch * 1_000 + at;
            let draft = Draft {
                value: Decision { allowed: number % 2 == 0, granted_at_ms: number as u64 },
                stamp: ticket.stamp(),
                read_set: (0..tags(number)).map(|tag| Tag::from_hash(mix((number * 16 + tag) as u64))).collect(),
                types: TypeSet::default(),
                hard_expiry: Moment::NEVER,
            };
            (chain.key(question), draft)
        });
        runtime.block_on(chain.fill_many(&ticket, drafts.collect()));
    }
}

/// Runs `get` for every draw, on as many threads as there are lists of draws, and gives the time of the slowest.
fn run_threads(draws: &[Vec<u32>], get: &(impl Fn(usize) + Sync)) -> Duration {
    if let [draws] = draws {
        let start = Instant::now();
        draws.iter().for_each(|draw| get(*draw as usize));
        return start.elapsed();
    }
    let barrier = Barrier::new(draws.len());
    std::thread::scope(|scope| {
        let threads: Vec<_> = draws
            .iter()
            .map(|draws| {
                scope.spawn(|| {
                    barrier.wait();
                    let start = Instant::now();
                    draws.iter().for_each(|draw| get(*draw as usize));
                    start.elapsed()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("a thread of the bench")).max().unwrap_or_default()
    })
}

pub(crate) fn run(effort: Effort) -> Vec<Line> {
    let questions: Vec<Question> = (0..effort.keys).map(Question::number).collect();
    let chain = filled(&questions, 8);
    let keys: Vec<Key<'_>> = questions.iter().map(|question| chain.key(question)).collect();
    let digests: Vec<Digest> = keys.iter().map(Key::digest).collect();

    let by_question = Cache::<Question, Arc<Decision>>::new(effort.keys * 2);
    let by_digest = Cache::<Digest, Arc<Decision>, UnitWeighter, Trivial>::with(
        effort.keys * 2,
        effort.keys as u64 * 2,
        UnitWeighter,
        Trivial::default(),
        DefaultLifecycle::default(),
    );
    for (number, (question, digest)) in questions.iter().zip(&digests).enumerate() {
        let decision = || Arc::new(Decision { allowed: number % 2 == 0, granted_at_ms: number as u64 });
        by_question.insert(question.clone(), decision());
        by_digest.insert(*digest, decision());
    }
    let usage = chain.statistics().tiers[0].usage;
    assert_eq!(usage.entries as usize, effort.keys, "the chain holds every key");
    assert_eq!((by_question.len(), by_digest.len()), (effort.keys, effort.keys), "so do the bare caches");

    let mut lines = Vec::new();
    for threads in [1, 2] {
        let draws: Vec<Vec<u32>> =
            (0..threads).map(|thread| zipf(effort.keys, effort.gets, 7 + thread as u64)).collect();
        lines.push(pairs(
            format!("hit by a 60-byte request, {threads} thread(s), bare quick_cache"),
            effort,
            effort.gets,
            1.3,
            || run_threads(&draws, &|at| assert!(black_box(by_question.get(&questions[at])).is_some())),
            || run_threads(&draws, &|at| assert!(matches!(black_box(chain.get_now(&questions[at])), Lookup::Hit(_)))),
        ));
        lines.push(pairs(
            format!("hit by a prepared 16-byte key, {threads} thread(s), bare quick_cache"),
            effort,
            effort.gets,
            1.3,
            || run_threads(&draws, &|at| assert!(black_box(by_digest.get(&digests[at])).is_some())),
            || run_threads(&draws, &|at| assert!(matches!(black_box(chain.find_now(&keys[at])), Lookup::Hit(_)))),
        ));
    }
    lines
}
