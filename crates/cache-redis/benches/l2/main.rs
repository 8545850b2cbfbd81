//! What a look-up in Redis costs through the chain, beside the same bytes asked for without us.
//!
//! Run `cargo bench -p tiergate-cache-redis --bench l2`; `-- --quick` takes less time and says less, `-- --check` ends with a status other than
//! 0 where a goal is missed. It starts a server of its own. Two variants are always measured in turns.
#![allow(clippy::print_stdout, reason = "a bench prints its table")]
#![allow(missing_docs, reason = "a bench has no callers")]

mod bare;
mod world;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use cache_core::testing::measure::{Arguments, Pairs, Report, median, pairs, percentile};
use cache_core::{CacheType, Lookup};
use cache_redis::Encryption;
use redis::aio::MultiplexedConnection;
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
    let world = Arc::new(runtime.block_on(World::new(&server, KEYS, Encryption::Off)));

    let mut report = Report::new("the Redis tier beside a bare connection", arguments);
    report.figure("keys of each type", KEYS);
    report
        .figure("bytes of a list, and of its envelope", format!("{} and {}", world.plain_list_bytes, world.list_bytes));
    let only = |part: &str| {
        let named =
            std::env::args().any(|argument| ["one", "many", "batches", "encrypted"].contains(&argument.as_str()));
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
    if only("encrypted") {
        encrypted(&runtime, effort, &mut report);
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

/// Calls of one kind before the other kind has its turn.
const BLOCK: usize = 20;

/// The medians of two things that a task does in turns, block by block, in microseconds. What wakes whom on which core is decided by the kernel,
/// stays so for a while, and makes a tenfold difference: within a pair both have the same luck.
fn in_turns<O, B>(
    runtime: &Runtime,
    world: &Arc<World>,
    count: usize,
    ours: impl Fn(Arc<World>, usize) -> O + Copy + Send + Sync + 'static,
    bare: impl Fn(Arc<World>, MultiplexedConnection, usize) -> B + Copy + Send + Sync + 'static,
) -> Pairs
where
    O: Future<Output = ()> + Send,
    B: Future<Output = ()> + Send,
{
    let pair = || {
        let world = Arc::clone(world);
        on(runtime, async move {
            let connection = bare::connection(&world.url).await;
            let (mut left, mut right) = (Vec::with_capacity(count), Vec::with_capacity(count));
            for round in (0..count).step_by(BLOCK) {
                for round in round..round + BLOCK {
                    left.push(timed(ours(Arc::clone(&world), round)).await.as_nanos() as f64 / 1_000.0);
                }
                for round in round..round + BLOCK {
                    let call = bare(Arc::clone(&world), connection.clone(), round);
                    right.push(timed(call).await.as_nanos() as f64 / 1_000.0);
                }
            }
            (percentile(&mut left, 0.5), percentile(&mut right, 0.5))
        })
    };
    pair();
    let medians: Vec<(f64, f64)> = (0..Arguments::read().pairs()).map(|_| pair()).collect();
    let ratios: Vec<f64> = medians.iter().map(|(left, right)| left / right).collect();
    Pairs {
        left: median(medians.iter().map(|(left, _)| *left).collect()),
        right: median(medians.iter().map(|(_, right)| *right).collect()),
        ratio: median(ratios.clone()),
        range: (
            ratios.iter().copied().fold(f64::INFINITY, f64::min),
            ratios.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        ),
    }
}

/// One look-up after another.
fn one_by_one(runtime: &Runtime, world: &Arc<World>, effort: Effort, report: &mut Report) {
    let ours = |world: Arc<World>, round| async move { hit(&world, draw(round, 1)).await };
    let bare = |world: Arc<World>, mut connection, round| async move {
        assert!(bare::get(&mut connection, &world.decisions[draw(round, 1)]).await > 0);
    };
    let measured = in_turns(runtime, world, effort.gets, ours, bare);
    report.ratio_at_most("p50 of a hit, beside a GET on one multiplexed connection", "us", &measured, 1.15);
}

/// Thousands of look-ups a second of all tasks.
fn rate(runtime: &Runtime, effort: Effort, each: &(dyn Fn(u64) -> tokio::task::JoinHandle<()> + Sync)) -> f64 {
    let elapsed = runtime.block_on(timed(async {
        let tasks: Vec<_> = (0..TASKS as u64).map(each).collect();
        for task in tasks {
            task.await.expect("it does not panic");
        }
    }));
    (TASKS * effort.gets_of_a_task) as f64 / elapsed.as_secs_f64() / 1_000.0
}

/// Look-ups of many tasks at once through the chain, and as bare GETs.
fn beside_gets(runtime: &Runtime, world: &Arc<World>, effort: Effort) -> Pairs {
    let rate = |each: &(dyn Fn(u64) -> tokio::task::JoinHandle<()> + Sync)| rate(runtime, effort, each);
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
    pairs(Arguments::read().pairs(), ours, bare)
}

/// The same over encrypted values, on a server of their own, beside the same bytes asked for without us.
fn encrypted(runtime: &Runtime, effort: Effort, report: &mut Report) {
    let Some(server) = Redis::start(&RedisOptions::default()) else { return };
    let world = Arc::new(runtime.block_on(World::new(&server, KEYS, Encryption::On)));
    let measured = beside_gets(runtime, &world, effort);
    report.ratio_at_least("encrypted: throughput of 32 tasks, beside bare GETs", "k/s", &measured, 0.75);
    let batch = in_turns(
        runtime,
        &world,
        effort.batches,
        |world, round| async move { all_hit(&world, DECISION, round).await },
        |world, connection, round| async move { all_there(connection, &world.decisions, round).await },
    );
    report.ratio_at_most("encrypted: p50 of a batch of 100 values, beside an MGET of 100", "us", &batch, 2.2);
}

/// Look-ups a second of many tasks at once.
fn throughput(runtime: &Runtime, world: &Arc<World>, effort: Effort, report: &mut Report) {
    let measured = beside_gets(runtime, world, effort);
    report.ratio_at_least("throughput of 32 tasks, beside GETs on one multiplexed connection", "k/s", &measured, 0.85);
    let rate = |each: &(dyn Fn(u64) -> tokio::task::JoinHandle<()> + Sync)| rate(runtime, effort, each);
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
    let measured = pairs(Arguments::read().pairs(), ours, pooled);
    report.ratio_at_least("throughput of 32 tasks, beside a bb8-redis pool as documented", "k/s", &measured, 3.0);
}

/// A hundred values in one look-up, beside an MGET of the same bytes; and those that are compressed beside what they are otherwise.
fn batches(runtime: &Runtime, world: &Arc<World>, effort: Effort, report: &mut Report) {
    let plain = in_turns(
        runtime,
        world,
        effort.batches,
        |world, round| async move { all_hit(&world, DECISION, round).await },
        |world, connection, round| async move { all_there(connection, &world.decisions, round).await },
    );
    report.ratio_at_most("p50 of a batch of 100 values, beside an MGET of 100", "us", &plain, 1.3);
    let compressed = in_turns(
        runtime,
        world,
        effort.batches,
        |world, round| async move { all_hit(&world, LIST, round).await },
        |world, connection, round| async move { all_there(connection, &world.plain_lists, round).await },
    );
    report.ratio_at_most("p50 of a batch of 100 compressed values, beside an MGET without", "us", &compressed, 1.6);
}

async fn all_there(mut connection: MultiplexedConnection, names: &[String], round: usize) {
    let from = draw(round, 2) / BATCH * BATCH;
    assert!(bare::get_many(&mut connection, &names[from..from + BATCH]).await > 0);
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
