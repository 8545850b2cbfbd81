//! Figures of the origin in a file. Run them with
//! `cargo test --release -p tiergate-authz --test store figures -- --ignored --nocapture --test-threads 1`.
//! They assert nothing about time: what they print depends on the disk.
#![expect(clippy::disallowed_methods, reason = "this measures the machine's time")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use authz::relation::Tuple;
use authz::store::sqlite::{SqliteConfig, SqliteStore};
use authz::store::{Store, TupleRead, WriteBatch};

use crate::support::{World, open_sqlite, tuple, writes};

fn percentiles(mut all: Vec<Duration>) -> String {
    all.sort_unstable();
    let at = |share: usize| all[(all.len() - 1) * share / 1_000];
    format!("p50 {:?}, p99 {:?}, max {:?}", at(500), at(990), at(1_000))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints figures"]
async fn durable_writes() {
    const EACH: usize = 300;
    for writers in [1, 8, 64, 256] {
        let directory = tempfile::tempdir().unwrap();
        let world = open_sqlite(SqliteConfig::new(directory.path().join("origin.db")), None).await;
        let begun = Instant::now();
        let tasks: Vec<_> = (0..writers)
            .map(|writer| {
                let (origin, store) = (Arc::clone(&world.origin), world.store);
                tokio::spawn(async move {
                    let mut times = Vec::with_capacity(EACH);
                    for n in 0..EACH {
                        let batch = writes(&[&format!("doc:{writer}-{n}#viewer@user:ann")]);
                        let begun = Instant::now();
                        origin.write(store, batch).await.unwrap();
                        times.push(begun.elapsed());
                    }
                    times
                })
            })
            .collect();
        let mut times = Vec::new();
        for task in tasks {
            times.extend(task.await.unwrap());
        }
        let rate = (writers * EACH) as f64 / begun.elapsed().as_secs_f64();
        println!("{writers:3} writers: {rate:7.0} durable single-tuple writes a second; {}", percentiles(times));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "prints figures"]
async fn loads_and_reads() {
    const TUPLES: usize = 300_000;
    let all: Vec<_> =
        (0..TUPLES).map(|n| tuple(&format!("document:{}#viewer@user:{}", n / 10, (n % 10) * 7_919 + n / 10))).collect();
    for chunk in [2_000, 50_000] {
        let directory = tempfile::tempdir().unwrap();
        let mut config = SqliteConfig::new(directory.path().join("origin.db"));
        config.load_chunk = chunk;
        let world = open_sqlite(config, None).await;
        println!("{}", load(&world, &all, &format!("in chunks of {chunk}")).await);
        world.origin.close().await;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("origin.db");
    let world = open_sqlite(SqliteConfig::new(&path), None).await;
    println!("{}", load(&world, &all, "as configured").await);

    for points in [1, 10, 100, 1_000] {
        let (mut opened, mut read) = (Vec::new(), Vec::new());
        for round in 0..2_000_usize.min(200_000 / points) {
            let reads =
                (0..points).map(|n| TupleRead::Point(all[(round * 7_907 + n * 6_151) % TUPLES].clone())).collect();
            let begun = Instant::now();
            let mut snapshot = world.origin.snapshot().await.unwrap();
            opened.push(begun.elapsed());
            let answers = snapshot.read(world.store, reads).await.unwrap();
            read.push(begun.elapsed());
            assert_eq!(answers.len(), points);
        }
        println!("snapshot: {}", percentiles(opened));
        println!("snapshot and a level of {points} points: {}", percentiles(read));
    }

    let begun = Instant::now();
    let tasks: Vec<_> = (0..64)
        .map(|task| {
            let (origin, store) = (Arc::clone(&world.origin), world.store);
            let mine: Vec<_> =
                (0..10).map(|n| TupleRead::Point(all[(task * 997 + n * 6_151) % TUPLES].clone())).collect();
            tokio::spawn(async move {
                for _ in 0..200 {
                    origin.snapshot().await.unwrap().read(store, mine.clone()).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    println!(
        "64 readers: {:.0} snapshots with a level of 10 points a second",
        12_800.0 / begun.elapsed().as_secs_f64()
    );

    let mut mixed = Vec::new();
    for round in 0..100 {
        let batch = WriteBatch {
            writes: (0..100).map(|n| tuple(&format!("document:x{round}#viewer@user:{n}"))).collect(),
            ..WriteBatch::default()
        };
        let begun = Instant::now();
        world.origin.write(world.store, batch).await.unwrap();
        mixed.push(begun.elapsed());
    }
    println!("batches of 100: {}", percentiles(mixed));
    let begun = Instant::now();
    world.origin.delete_store(world.store).await.unwrap();
    println!("deleting the store: {:?}", begun.elapsed());
    world.origin.close().await;
    let begun = Instant::now();
    open_sqlite(SqliteConfig::new(&path), None).await;
    println!("opening: {:?}", begun.elapsed());
}

async fn load(world: &World<SqliteStore>, all: &[Tuple], how: &str) -> String {
    let begun = Instant::now();
    world.origin.load(world.store, all.iter().cloned(), |_| {}).await.unwrap();
    let took = begun.elapsed();
    format!("load {how}: {} tuples in {took:?}, {:.0} a second", all.len(), all.len() as f64 / took.as_secs_f64())
}
