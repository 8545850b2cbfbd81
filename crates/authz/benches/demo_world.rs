//! The demo world: how long a decision takes from memory and from the origin, what a million of them weigh, how fast one can write.
//!
//! `cargo xtask bench demo_world`, or with `--quick` a short form.
#![allow(clippy::print_stdout, missing_docs, clippy::unwrap_used, reason = "a benchmark is a program for people")]

use std::sync::Arc;

use authz::decide::{CheckRequest, Consistency, DecisionPoint};
use authz::demo::{self, Question, Size, World};
use authz::relation::Tuple;
use authz::store::sqlite::{SqliteConfig, SqliteStore};
use authz::store::{StoreId, SystemWallClock, WriteBatch};
use cache_core::testing::measure::{Arguments, Report, pairs, percentile, resident_bytes, time};
use cache_l1::{MemoryConfig, MemoryLayer};

const WRITERS: usize = 64;

fn main() {
    let arguments = Arguments::read();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let size = if arguments.quick { Size::SMALL } else { Size::FULL };
        let world = World::new(size);
        let (point, store) = load(&world, directory.path()).await;
        misses(&world, &point, store, arguments).await;
        memory(&world, &point, store, arguments).await;
        writes(&point, store, arguments).await;
        point.close().await;
    });
}

async fn load(world: &World, directory: &std::path::Path) -> (Arc<DecisionPoint>, StoreId) {
    let origin = Arc::new(
        SqliteStore::open(SqliteConfig::new(directory.join("bench.sqlite")), Arc::new(SystemWallClock)).unwrap(),
    );
    let builder = DecisionPoint::builder(origin.clone()).tier(MemoryLayer::new(MemoryConfig::default()).unwrap());
    let mut policy = cache_core::Policy::default();
    for cache_type in authz::decide::CACHE_TYPES {
        // Long enough that nothing expires while it is measured.
        let lifetime = cache_core::Lifetime::of(std::time::Duration::from_secs(3_600));
        policy = policy.lifetime("l1", cache_type, lifetime);
    }
    let point = Arc::new(builder.policy(policy).build().await.unwrap());
    let store = point.create_store("bench").await.unwrap().id;
    let report = Report::new("Loading", Arguments { quick: false, check: false });
    let tuples: Vec<Tuple> = world.tuples().collect();
    let count = tuples.len();
    #[expect(clippy::disallowed_methods, reason = "measured, and nothing depends on it")]
    let start = std::time::Instant::now();
    origin.load(store, tuples, |_| {}).await.unwrap();
    report.figure("relationships", count);
    report.figure("a second", (count as f64 / start.elapsed().as_secs_f64()) as u64);
    point.write_model(store, &demo::model()).await.unwrap();
    (point, store)
}

fn request(store: StoreId, question: Question) -> CheckRequest {
    let Question { subject, relation, object } = question;
    CheckRequest {
        store,
        model: None,
        subject,
        relation,
        object,
        contextual_tuples: Vec::new(),
        consistency: Consistency::MinimizeLatency,
    }
}

/// What nobody asked before, with and without parts in the caches.
async fn misses(world: &World, point: &DecisionPoint, store: StoreId, arguments: Arguments) {
    let mut report = Report::new("A miss (SQLite, warm pages)", arguments);
    let count = if arguments.quick { 300 } else { 5_000 };
    for (name, consistency, seed) in
        [("without any cached part", Consistency::Full, 11), ("with cached parts", Consistency::MinimizeLatency, 12)]
    {
        // A first round warms the pages.
        for round in 0..2 {
            let mut figures = Vec::with_capacity(count);
            for question in world.questions(seed + round * 100).take(count) {
                let request = CheckRequest { consistency, ..request(store, question) };
                #[expect(clippy::disallowed_methods, reason = "measured, and nothing depends on it")]
                let start = std::time::Instant::now();
                let decision = point.check(&request).await.unwrap();
                if decision.source == cache_core::Source::Origin {
                    figures.push(start.elapsed().as_secs_f64() * 1e6);
                }
            }
            if round == 1 {
                let p50 = percentile(&mut figures, 0.5);
                report.goal(&format!("{name}, p50 (us)"), p50, p50 < 1_000.0, "< 1000");
                report.figure(&format!("{name}, p99 (us)"), format!("{:.0}", percentile(&mut figures, 0.99)));
            }
        }
    }
    report.end();
}

/// A million decisions.
async fn memory(world: &World, point: &DecisionPoint, store: StoreId, arguments: Arguments) {
    let wanted = if arguments.quick { 10_000 } else { 1_200_000 };
    let mut report = Report::new("Whole decisions in memory", arguments);
    for error in point.chain().clear_tiers().await {
        panic!("{error}");
    }
    let before = resident_bytes();
    let mut requests = Vec::new();
    // Distinct pairs, the popular ones first, so that the ones asked most are asked most.
    let mut seen = std::collections::HashSet::new();
    for question in world.questions(21) {
        if seen.insert((question.subject.clone(), question.relation.clone(), question.object.clone())) {
            requests.push(request(store, question));
            if requests.len() == wanted {
                break;
            }
        }
    }
    drop(seen);
    let requests_bytes = resident_bytes();
    let (mut tags, mut allows, mut decisions) = (Vec::new(), 0, 0);
    for request in &requests {
        let decision = point.check(request).await.unwrap();
        allows += usize::from(decision.allowed);
        decisions += 1;
        if decisions % 100 == 0
            && let Some(hit) = point.cached(request)
        {
            tags.push(hit.entry.tags().len() as f64);
        }
    }
    let statistics = point.statistics();
    let usage = statistics.tiers[0].usage;
    let whole = requests.iter().filter(|request| point.cached(request).is_some()).count();
    report.figure("asked / allowed", format!("{decisions} / {:.0} %", allows as f64 / decisions as f64 * 100.0));
    report.figure("read set, mean / p99 (tags)", {
        let mean = tags.iter().sum::<f64>() / tags.len().max(1) as f64;
        format!("{mean:.1} / {:.0}", percentile(&mut tags, 0.99))
    });
    report.figure("entries held, whole decisions of them", format!("{} / {whole}", usage.entries));
    let entry_bytes = usage.weight_bytes as f64 / usage.entries.max(1) as f64;
    report.figure("bytes an entry, by the tier's own count", format!("{entry_bytes:.0}"));
    let capacity = usage.capacity_bytes as f64 / entry_bytes;
    report.goal("entries of this kind in 200 MB", capacity, capacity >= 800_000.0, ">= 800,000");
    if let (Some(_), Some(with_requests), Some(now)) = (before, requests_bytes, resident_bytes())
        && !arguments.quick
    {
        let grown = (now - with_requests) as f64;
        let off = grown / usage.weight_bytes as f64;
        report.goal("memory of the process over the tier's count", off, (0.9..=1.1).contains(&off), "0.9 to 1.1");
    }
    report.figure("horizon, counted apart (bytes)", statistics.horizon.bytes);

    let held: Vec<&CheckRequest> = requests.iter().filter(|request| point.cached(request).is_some()).collect();
    let draws = zipf(held.len(), if arguments.quick { 20_000 } else { 1_000_000 });
    let asked: Vec<&CheckRequest> = draws.into_iter().map(|rank| held[rank]).collect();
    let round = || {
        let (elapsed, hits) = time(|| asked.iter().filter(|request| point.check_now(request).is_some()).count());
        assert!(hits * 100 >= asked.len() * 99, "only hits are measured");
        elapsed.as_secs_f64() * 1e9 / asked.len() as f64
    };
    let measured = pairs(arguments.pairs(), round, round);
    report.goal("a decision from memory in process (ns, Zipf 0.99)", measured.left, measured.left < 1_000.0, "< 1000");
    report.end();
}

/// Ranks by Zipf's law with exponent 0.99, by inversion of a table.
fn zipf(count: usize, draws: usize) -> Vec<usize> {
    let mut sum = 0.0;
    let table: Vec<f64> = (1..=count)
        .map(|rank| {
            sum += (rank as f64).powf(-0.99);
            sum
        })
        .collect();
    let mut rng = fastrand::Rng::with_seed(7);
    (0..draws).map(|_| table.partition_point(|below| *below < rng.f64() * sum).min(count - 1)).collect()
}

/// Single-tuple writes by many writers, each durable before it is answered.
async fn writes(point: &Arc<DecisionPoint>, store: StoreId, arguments: Arguments) {
    let mut report = Report::new("Durable single-tuple writes, 64 writers", arguments);
    let each = if arguments.quick { 5 } else { 300 };
    #[expect(clippy::disallowed_methods, reason = "measured, and nothing depends on it")]
    let start = std::time::Instant::now();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let point = Arc::clone(point);
            tokio::spawn(async move {
                for number in 0..each {
                    let tuple = Tuple::parse(&format!("team:w{writer}"), "member", &format!("user:w{number}")).unwrap();
                    let batch = WriteBatch { writes: vec![tuple], ..WriteBatch::default() };
                    point.write(store, None, batch).await.unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    let rate = (WRITERS * each) as f64 / start.elapsed().as_secs_f64();
    report.goal("writes a second", rate, rate >= 2_000.0, ">= 2,000");
    report.end();
}
