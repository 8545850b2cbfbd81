//! What a look-up in Redis costs through the chain, beside the same bytes asked for without us.
//!
//! Run `cargo bench -p tiergate-cache-redis --bench l2`; `-- --quick` takes less time and says less, `-- --check` ends with a status other than
//! 0 where a goal is missed. It starts a server of its own. Two variants are always measured in turns.
#![allow(
    clippy::disallowed_methods,
    reason = "a benchmark lives in real time and has no configuration but its environment"
)]
#![allow(clippy::print_stdout, reason = "a bench prints its table")]
#![allow(missing_docs, reason = "a bench has no callers")]

mod bare;
mod world;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use cache_core::testing::measure::{Arguments, Report, pairs, percentile};
use cache_core::{CacheType, Lookup};
use test_services::{Redis, RedisOptions};
use tokio::runtime::Runtime;

use world::{DECISION, LIST, World, mix};

/// Values of each type.
const KEYS: usize = 10_000;
/// Keys of a batch.
const BATCH: usize = 100;
/// Tasks that ask at once.
const TASKS: usize = 32;

/// How much is measured.
#[derive(Clone, Copy)]
struct Effort {
    gets: usize,
    gets_of_a_task: usize,
    batches: usize,
}

fn main() {
    let arguments = Arguments::read();
    if !std::env::args().any(|argument| argument == "--bench") {
        println!("nothing is measured without optimisation; run cargo bench -p tiergate-cache-redis --bench l2");
        return;
    }
    let effort = match arguments.quick {
        true => Effort { gets: 2_000, gets_of_a_task: 500, batches: 200 },
        false => Effort { gets: 10_000, gets_of_a_task: 4_000, batches: 1_000 },
    };
    let Some(server) = Redis::start(&RedisOptions::default()) else { return };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    let world = Arc::new(runtime.block_on(World::new(&server, KEYS)));

    let mut report = Report::new("the Redis tier beside a bare connection", arguments);
    report.figure("keys of each type", KEYS);
    report.figure(
        "bytes of a list, and of its envelope",
        format!("{} and {}", world::value(LIST, 1).len(), world.list_bytes),
    );
    if std::env::var("PROFILE").is_ok() {
        let each = |seed: u64| {
            let world = Arc::clone(&world);
            tokio::spawn(async move {
                for round in 0..60_000 {
                    hit(&world, draw(round, seed)).await;
                }
            })
        };
        let took = runtime.block_on(timed(async {
            for task in (0..32).map(each).collect::<Vec<_>>() {
                task.await.expect("ok");
            }
        }));
        println!("{:.0} k/s", 32.0 * 60.0 / took.as_secs_f64());
        return;
    }
    let only = |part: &str| {
        let named = std::env::args().any(|argument| ["one", "many", "batches"].contains(&argument.as_str()));
        !named || std::env::args().any(|argument| argument == part)
    };
    if only("one") {
        one_by_one(&runtime, &world, effort, &mut report);
    }
    if only("many") {
        throughput(&runtime, &world, effort, &mut report);
    }
    if only("batches") {
        batches(&runtime, &world, effort, &mut report);
    }
    round_trips(&runtime, &world, &server, &mut report);
    let statistics = world.redis.statistics();
    assert_eq!(statistics.failures.iter().sum::<u64>(), 0, "{statistics:?}");
    report.end();
}

/// Runs something on the runtime's own threads.
fn on<T: Send + 'static>(runtime: &Runtime, work: impl Future<Output = T> + Send + 'static) -> T {
    runtime.block_on(async { tokio::spawn(work).await.expect("it does not panic") })
}

#[expect(clippy::disallowed_methods, reason = "this is where time is measured")]
async fn timed(work: impl Future<Output = ()>) -> Duration {
    let start = std::time::Instant::now();
    work.await;
    start.elapsed()
}

fn draw(round: usize, seed: u64) -> usize {
    (mix(seed ^ round as u64) % KEYS as u64) as usize
}

async fn hit(world: &World, number: usize) {
    let lookup = world.chain.get(&world.questions[DECISION.index()][number]).await;
    assert!(matches!(lookup, Lookup::Hit(_)), "every key is there, and yet {lookup:?}");
}

/// The median of one look-up after another, in microseconds.
fn one_by_one(runtime: &Runtime, world: &Arc<World>, effort: Effort, report: &mut Report) {
    let ours = || {
        let world = Arc::clone(world);
        on(runtime, async move {
            let mut times = Vec::with_capacity(effort.gets);
            for round in 0..effort.gets {
                let number = draw(round, 1);
                times.push(timed(hit(&world, number)).await.as_nanos() as f64 / 1_000.0);
            }
            percentile(&mut times, 0.5)
        })
    };
    let bare = || {
        let world = Arc::clone(world);
        on(runtime, async move {
            let mut connection = bare::connection(&world.url).await;
            let mut times = Vec::with_capacity(effort.gets);
            for round in 0..effort.gets {
                let name = &world.decisions[draw(round, 1)];
                let get = async { assert!(bare::get(&mut connection, name).await > 0) };
                times.push(timed(get).await.as_nanos() as f64 / 1_000.0);
            }
            percentile(&mut times, 0.5)
        })
    };
    let measured = pairs(report_pairs(report), ours, bare);
    report.ratio_at_most("p50 of a hit, beside a GET on one multiplexed connection", "us", &measured, 1.15);
}

fn report_pairs(_: &Report) -> usize {
    Arguments::read().pairs()
}

/// Look-ups a second of many tasks at once.
fn throughput(runtime: &Runtime, world: &Arc<World>, effort: Effort, report: &mut Report) {
    let rate = |each: &(dyn Fn(u64) -> tokio::task::JoinHandle<()> + Sync)| {
        let elapsed = runtime.block_on(timed(async {
            let tasks: Vec<_> = (0..TASKS as u64).map(each).collect();
            for task in tasks {
                task.await.expect("it does not panic");
            }
        }));
        (TASKS * effort.gets_of_a_task) as f64 / elapsed.as_secs_f64() / 1_000.0
    };
    let ours = || {
        rate(&|seed| {
            let world = Arc::clone(world);
            tokio::spawn(async move {
                for round in 0..effort.gets_of_a_task {
                    hit(&world, draw(round, seed)).await;
                }
            })
        })
    };
    let connection = runtime.block_on(bare::connection(&world.url));
    let bare = || {
        rate(&|seed| {
            let (world, mut connection) = (Arc::clone(world), connection.clone());
            tokio::spawn(async move {
                for round in 0..effort.gets_of_a_task {
                    bare::get(&mut connection, &world.decisions[draw(round, seed)]).await;
                }
            })
        })
    };
    let measured = pairs(report_pairs(report), ours, bare);
    report.ratio_at_least("throughput of 32 tasks, beside GETs on one multiplexed connection", "k/s", &measured, 0.85);
    let pool = runtime.block_on(bare::pool(&world.url));
    let pooled = || {
        rate(&|seed| {
            let (world, pool) = (Arc::clone(world), pool.clone());
            tokio::spawn(async move {
                for round in 0..effort.gets_of_a_task {
                    let mut connection = pool.get().await.expect("a connection");
                    bare::get(&mut connection, &world.decisions[draw(round, seed)]).await;
                }
            })
        })
    };
    let measured = pairs(report_pairs(report), ours, pooled);
    report.ratio_at_least("throughput of 32 tasks, beside a bb8-redis pool as documented", "k/s", &measured, 3.0);
}

fn batches(runtime: &Runtime, world: &Arc<World>, effort: Effort, report: &mut Report) {
    for (cache_type, most, what) in [(DECISION, 1.3, "plain"), (LIST, 1.6, "compressed")] {
        let ours = || {
            let world = Arc::clone(world);
            on(runtime, async move {
                let mut times = Vec::with_capacity(effort.batches);
                for round in 0..effort.batches {
                    let batch = async { all_hit(&world, cache_type, round).await };
                    times.push(timed(batch).await.as_nanos() as f64 / 1_000.0);
                }
                percentile(&mut times, 0.5)
            })
        };
        let bare = || {
            let world = Arc::clone(world);
            on(runtime, async move {
                let mut connection = bare::connection(&world.url).await;
                let names = if cache_type == LIST { &world.lists } else { &world.decisions };
                let mut times = Vec::with_capacity(effort.batches);
                for round in 0..effort.batches {
                    let from = draw(round, 2) / BATCH * BATCH;
                    let batch = async {
                        assert!(bare::get_many(&mut connection, &names[from..from + BATCH]).await > 0);
                    };
                    times.push(timed(batch).await.as_nanos() as f64 / 1_000.0);
                }
                percentile(&mut times, 0.5)
            })
        };
        let measured = pairs(report_pairs(report), ours, bare);
        report.ratio_at_most(&format!("p50 of a batch of 100 {what} values, beside an MGET"), "us", &measured, most);
    }
}

async fn all_hit(world: &World, cache_type: CacheType, round: usize) {
    let from = draw(round, 2) / BATCH * BATCH;
    let questions = &world.questions[cache_type.index()][from..from + BATCH];
    let keys: Vec<_> = questions.iter().map(|question| world.chain.key(question)).collect();
    let lookups = world.chain.find_many(&keys).await;
    assert!(lookups.iter().all(|lookup| matches!(lookup, Lookup::Hit(_))), "every key is there");
}

/// Counted by Redis itself.
fn round_trips(runtime: &Runtime, world: &Arc<World>, server: &Redis, report: &mut Report) {
    server.command(&["CONFIG", "RESETSTAT"]).expect("reset");
    let batches = 20;
    runtime.block_on(async {
        for round in 0..batches {
            all_hit(world, DECISION, round).await;
        }
    });
    let commands = server.command(&["INFO", "commandstats"]).expect("asked");
    let calls = |command: &str| -> usize {
        let line = commands
            .text()
            .and_then(|text| text.lines().find(|line| line.starts_with(command))?.split(['=', ',']).nth(1));
        line.and_then(|calls| calls.parse().ok()).unwrap_or(0)
    };
    let (mget, get) = (calls("cmdstat_mget"), calls("cmdstat_get:"));
    report.goal(
        "commands for a batch of 100, as Redis counts them",
        mget as f64 / batches as f64,
        (mget, get) == (batches, 0),
        "1",
    );
}
