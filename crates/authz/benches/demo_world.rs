//! The demo world: how long a decision takes from memory and from the origin, what a million of them weigh, how fast one can write.
//!
//! `cargo xtask bench demo_world`, or with `--quick` a short form.
#![allow(clippy::print_stdout, missing_docs, clippy::unwrap_used, reason = "a benchmark is a program for people")]

use std::sync::Arc;

use authz::decide::{CachedValue, CheckRequest, Consistency, DecisionPoint};
use authz::demo::{self, Question, Size, World};
use authz::relation::{Object, Subject, Tuple};
use authz::store::sqlite::{SqliteConfig, SqliteStore};
use authz::store::{StoreId, SystemWallClock, WriteBatch};
use cache_core::testing::measure::{Arguments, Report, pairs, percentile, resident_bytes, time};
use cache_core::{CacheKey, CacheType, Chain, Draft, KeyEncoder, Moment};
use cache_l1::{DEFAULT_BUDGET_BYTES, MemoryConfig, MemoryLayer};

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
        hits(&world, &point, store, arguments).await;
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
    CheckRequest::new(store, subject, relation, object)
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
    let mut report = Report::new("Whole decisions in memory", arguments);
    let sample = sample(world, point, store, if arguments.quick { 1_000 } else { 20_000 }, &report).await;
    // A tier of its own, so that nothing but whole decisions is in it and nothing but it grows.
    let budget_bytes = if arguments.quick { 2_000_000 } else { DEFAULT_BUDGET_BYTES };
    let tier = MemoryLayer::new(MemoryConfig { budget_bytes, ..MemoryConfig::default() }).unwrap();
    let chain = Chain::<CachedValue>::builder().tier(tier).build().unwrap();
    let before = resident_bytes();
    let ticket = chain.ticket();
    for (number, draft) in (0..budget_bytes / 150).zip(sample.iter().cycle()) {
        chain.fill(&ticket, &Number(number), draft.clone()).await;
    }
    let usage = chain.statistics().tiers[0].usage;
    let scale = DEFAULT_BUDGET_BYTES as f64 / budget_bytes as f64;
    let held = usage.entries as f64 * scale;
    report.goal("whole decisions in 200 MB", held, held >= 800_000.0, ">= 800,000");
    report.figure("bytes a decision, by the tier's own count", usage.weight_bytes / usage.entries.max(1));
    if let (Some(before), Some(now)) = (before, resident_bytes())
        && !arguments.quick
    {
        let grown = (now - before) as f64;
        report.figure("bytes a decision, by the growth of the process", format!("{:.0}", grown / usage.entries as f64));
        let off = grown / budget_bytes as f64;
        report.goal("growth of the process over the budget", off, off <= 1.1, "<= 1.1");
    }
    report.figure("horizon, counted apart (bytes)", chain.statistics().horizon.bytes);
    report.end();
}

/// Some whole decisions with their provenance.
async fn sample(
    world: &World,
    point: &DecisionPoint,
    store: StoreId,
    count: usize,
    report: &Report,
) -> Vec<Draft<CachedValue>> {
    let (mut drafts, mut tags, mut allowed) = (Vec::new(), Vec::new(), 0);
    for question in world.questions(21).take(count) {
        let request = request(store, question);
        allowed += usize::from(point.check(&request).await.unwrap().allowed);
        if let Some(hit) = point.cached(&request) {
            tags.push(hit.entry.tags().len() as f64);
            drafts.push(Draft { hard_expiry: Moment::NEVER, ..hit.entry.to_draft() });
        }
    }
    let mean = tags.iter().sum::<f64>() / tags.len().max(1) as f64;
    report.figure("asked / allowed", format!("{count} / {:.0} %", allowed as f64 / count as f64 * 100.0));
    report.figure("read set, mean / p99 (tags)", format!("{mean:.1} / {:.0}", percentile(&mut tags, 0.99)));
    drafts
}

/// A key that costs nothing to make.
struct Number(u64);

impl CacheKey for Number {
    fn cache_type(&self) -> CacheType {
        authz::decide::GENERATION_RIGHTS
    }

    fn encode(&self, encoder: &mut KeyEncoder) {
        let Self(number) = self;
        encoder.u64(*number);
    }
}

/// Decisions from memory, with a million of them there, asked by Zipf's law.
async fn hits(world: &World, point: &DecisionPoint, store: StoreId, arguments: Arguments) {
    let mut report = Report::new("Decisions from memory, in process", arguments);
    let wanted = if arguments.quick { 10_000 } else { 400_000 };
    let mut seen = std::collections::HashSet::new();
    let mut requests = Vec::new();
    for question in world.questions(22) {
        if seen.insert((question.subject.clone(), question.relation.clone(), question.object.clone())) {
            requests.push(request(store, question));
            if requests.len() == wanted {
                break;
            }
        }
    }
    drop(seen);
    for request in &requests {
        point.check(request).await.unwrap();
    }
    report.figure("entries in the tier", point.statistics().tiers[0].usage.entries);
    let held: Vec<&CheckRequest> = requests.iter().filter(|request| point.cached(request).is_some()).collect();
    report.figure("whole decisions to ask for", held.len());
    let draws = zipf(held.len(), if arguments.quick { 20_000 } else { 500_000 });
    let round = || {
        // Questions arrive one by one, freshly parsed: they are made outside of the time, a few at once.
        let mut total = 0.0;
        for block in draws.chunks(256) {
            let asked: Vec<CheckRequest> = block.iter().map(|rank| parsed_anew(held[*rank])).collect();
            let (elapsed, hits) = time(|| asked.iter().filter(|request| point.check_now(request).is_some()).count());
            assert!(hits * 100 >= asked.len() * 99, "only hits are measured");
            total += elapsed.as_secs_f64();
        }
        total * 1e9 / draws.len() as f64
    };
    let measured = pairs(arguments.pairs(), round, round);
    report.goal("a decision (ns, Zipf 0.99)", measured.left, measured.left < 1_000.0, "< 1000");
    report.end();
}

fn parsed_anew(request: &CheckRequest) -> CheckRequest {
    CheckRequest {
        subject: Subject::parse(&request.subject.to_string()).unwrap(),
        relation: (&*request.relation).into(),
        object: Object::parse(&request.object.to_string()).unwrap(),
        ..request.clone()
    }
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
                    let batch = WriteBatch::of(vec![tuple]);
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
