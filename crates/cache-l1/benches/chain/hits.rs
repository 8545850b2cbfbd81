//! A hit through the chain beside a bare get of the library below it, which holds an `Arc` of the value and nothing that it was computed from.

use std::hint::black_box;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use cache_core::{Chain, Digest, Draft, Key, Lookup, Moment, Policy, Tag, TypeSet, Verdict};
use cache_l1::{MemoryConfig, MemoryLayer};
use quick_cache::UnitWeighter;
use quick_cache::sync::{Cache, DefaultLifecycle};

use super::workload::{Decision, Question, Trivial, mix, zipf};
use super::{Effort, Line, pairs, time};

/// A chain that holds every key. Its budget is no concern here: what is measured is hits. Its tables are as large as those of the bare
/// caches beside it.
pub(crate) fn filled(questions: &[Question], tags: usize) -> Chain<Decision> {
    let budget_bytes = 1 << 30;
    let expected_entry_bytes = budget_bytes / (2 * questions.len() as u64).max(1_024);
    let config = MemoryConfig { budget_bytes, expected_entry_bytes, ..MemoryConfig::default() };
    let layer = MemoryLayer::new(config).expect("the settings are within their bounds");
    let policy = Policy::default().default_ttl(Duration::from_secs(86_400));
    let chain = Chain::builder().tier(layer).policy(policy).build().expect("the parts fit");
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

/// Whether a look-up begins before the one before it has its answer, as a processor does where nothing depends on it, or waits for it, as a
/// request does. The first measures how much is done, the second how long it takes.
#[derive(Clone, Copy, PartialEq)]
enum Pace {
    Overlapping,
    OneByOne,
}

/// Runs `get` for every draw, on as many threads as there are lists of draws, and gives the time of the slowest.
fn run_threads(draws: &[Vec<u32>], pace: Pace, get: &(impl Fn(usize) -> u64 + Sync)) -> Duration {
    let barrier = Barrier::new(draws.len());
    let run = |draws: &[u32]| {
        barrier.wait();
        time(|| {
            // No answer is this number, which only the optimiser does not know.
            let never = black_box(u64::MAX);
            let (mut sum, mut waits_for) = (0_u64, 0);
            for draw in draws {
                let answer = get(*draw as usize + waits_for);
                if pace == Pace::OneByOne {
                    waits_for = usize::from(black_box(answer) == never);
                }
                sum = sum.wrapping_add(answer);
            }
            black_box(sum);
        })
    };
    let Some((own, others)) = draws.split_first() else {
        return Duration::ZERO;
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = others.iter().map(|draws| scope.spawn(|| run(draws))).collect();
        let own = run(own);
        threads.into_iter().map(|thread| thread.join().expect("a thread of the bench")).fold(own, Duration::max)
    })
}

fn answer(lookup: &Lookup<Decision>) -> u64 {
    match lookup {
        Lookup::Hit(hit) => hit.value().granted_at_ms,
        other => panic!("every key is there, and yet {other:?}"),
    }
}

/// What the promise costs a hit: reading the kernel's clock, the lease, and the horizon for an entry that is at hand. One by one a processor does
/// that while it waits for the entry; overlapping, where it has other work at hand, it takes its time.
fn comparison(effort: Effort, chain: &Chain<Decision>, keys: &[Key<'_>], questions: &[Question]) -> [Line; 2] {
    const HOT: usize = 1_000;
    let entries: Vec<_> = keys[..HOT]
        .iter()
        .map(|key| match chain.find_now(key) {
            Lookup::Hit(hit) => hit.entry,
            other => panic!("every key is there, and yet {other:?}"),
        })
        .collect();
    let draws: Vec<Vec<u32>> = vec![(0..effort.gets).map(|at| (at * 7 % HOT) as u32).collect()];
    let (clock, lease, horizon) = (chain.clock(), chain.lease(), chain.horizon());
    let value = |at: usize| entries[at % HOT].value().granted_at_ms;
    let compared = |at: usize| {
        let holds =
            lease.holds(clock.now()) && horizon.check(&entries[at % HOT], &questions[at % HOT]) == Verdict::Usable;
        assert!(holds, "nothing was killed");
        value(at)
    };
    [(Pace::OneByOne, "one by one"), (Pace::Overlapping, "overlapping")].map(|(pace, how)| {
        pairs(
            format!("clock, lease and horizon over the value alone, {how}"),
            effort,
            effort.gets,
            0.0,
            || run_threads(&draws, pace, &value),
            || run_threads(&draws, pace, &compared),
        )
        .by_difference(15.0)
    })
}

pub(crate) fn run(effort: Effort) -> Vec<Line> {
    let questions: Vec<Question> = (0..effort.keys).map(Question::number).collect();
    let chain = filled(&questions, 8);
    let keys: Vec<Key<'_>> = questions.iter().map(|question| chain.key(question)).collect();

    let by_question = Cache::<Question, Arc<Decision>>::new(effort.keys * 2);
    let by_digest = Cache::<Digest, Arc<Decision>, UnitWeighter, Trivial>::with(
        effort.keys * 2,
        effort.keys as u64 * 2,
        UnitWeighter,
        Trivial::default(),
        DefaultLifecycle::default(),
    );
    for (number, (question, key)) in questions.iter().zip(&keys).enumerate() {
        let decision = || Arc::new(Decision { allowed: number % 2 == 0, granted_at_ms: number as u64 });
        by_question.insert(question.clone(), decision());
        by_digest.insert(key.digest(), decision());
    }
    let usage = chain.statistics().tiers[0].usage;
    assert_eq!(usage.entries as usize, effort.keys, "the chain holds every key");
    assert_eq!((by_question.len(), by_digest.len()), (effort.keys, effort.keys), "so do the bare caches");

    let mut lines = Vec::from(comparison(effort, &chain, &keys, &questions));
    for (threads, pace, how) in [
        (1, Pace::OneByOne, "one by one"),
        (1, Pace::Overlapping, "overlapping"),
        (2, Pace::OneByOne, "one by one, 2 threads"),
        (2, Pace::Overlapping, "overlapping, 2 threads"),
    ] {
        let draws: Vec<Vec<u32>> =
            (0..threads).map(|thread| zipf(effort.keys, effort.gets, 7 + thread as u64)).collect();
        lines.push(pairs(
            format!("hit by a 60-byte request, {how}"),
            effort,
            effort.gets,
            1.3,
            || run_threads(&draws, pace, &|at| by_question.get(&questions[at]).map_or(0, |found| found.granted_at_ms)),
            || run_threads(&draws, pace, &|at| answer(&chain.get_now(&questions[at]))),
        ));
        lines.push(pairs(
            format!("hit by a prepared 16-byte key, {how}"),
            effort,
            effort.gets,
            1.3,
            // The digest comes out of the same list of keys: the list's own cache misses are nobody's merit.
            || {
                run_threads(&draws, pace, &|at| {
                    by_digest.get(&keys[at].digest()).map_or(0, |found| found.granted_at_ms)
                })
            },
            || run_threads(&draws, pace, &|at| answer(&chain.find_now(&keys[at]))),
        ));
    }
    lines
}
