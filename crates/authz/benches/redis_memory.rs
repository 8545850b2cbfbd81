//! What decisions and lists of the demo world weigh in Redis, read sets and keys included, by Redis's own count.
//!
//! `cargo xtask bench redis_memory`, or with `--quick` a short form.
#![allow(clippy::print_stdout, missing_docs, clippy::unwrap_used, reason = "a benchmark is a program for people")]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use authz::decide::{CACHE_TYPES, CachedValue, CheckRequest, Consistency, DecisionPoint, ListObjectsRequest};
use authz::demo::{self, Question, Size, World};
use authz::store::sqlite::{SqliteConfig, SqliteStore};
use authz::store::{StoreId, SystemWallClock};
use cache_core::sync::Std;
use cache_core::testing::measure::{Arguments, Report, percentile};
use cache_core::{CacheKey, CacheType, Chain, Draft, Identity, InProcessLog, KeyEncoder};
use cache_l1::{MemoryConfig, MemoryLayer};
use cache_redis::{Compression, Encryption, Keyring, Machine, RedisConfig, RedisHandle, RedisLayer};
use futures_util::stream::{StreamExt as _, iter};
use test_services::{Redis, RedisOptions, Reply};

/// Fills that are under way at the same time.
const FILLS: usize = 64;
/// What 100,000 decisions may take, with a checksum and encrypted, in MB.
const BUDGETS: [(Encryption, &str, f64); 2] = [(Encryption::Off, "< 25", 25.0), (Encryption::On, "< 30", 30.0)];

fn main() {
    let arguments = Arguments::read();
    let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let world = World::new(if arguments.quick { Size::SMALL } else { Size::FULL });
        let origin = open(directory.path());
        let memory = MemoryConfig { budget_bytes: 1 << 30, ..MemoryConfig::default() };
        let point =
            DecisionPoint::builder(origin.clone()).tier(MemoryLayer::new(memory).unwrap()).build().await.unwrap();
        let store = point.create_store("bench").await.unwrap().id;
        origin.load(store, world.tuples(), |_| {}).await.unwrap();
        point.write_model(store, &demo::model()).await.unwrap();
        decisions(&world, &point, store, arguments).await;
        point.close().await;
        drop((point, origin));
        lists(&world, directory.path(), store, &redis, arguments).await;
    });
}

fn open(directory: &Path) -> Arc<SqliteStore> {
    let config = SqliteConfig::new(directory.join("bench.sqlite"));
    Arc::new(SqliteStore::open(config, Arc::new(SystemWallClock)).unwrap())
}

/// The bytes that Redis has in use, without what stays with each server.
fn used(redis: &Redis) -> f64 {
    let Ok(Reply::Text(text)) = redis.command(&["INFO", "memory"]) else { panic!("redis does not answer") };
    let line = text.lines().find_map(|line| line.strip_prefix("used_memory_dataset:")).unwrap();
    line.trim().parse().unwrap()
}

fn tier(
    redis: &Redis,
    namespace: &str,
    compression: Compression,
    encryption: Encryption,
) -> (RedisLayer<CachedValue>, RedisHandle<CachedValue>) {
    let compression: BTreeMap<_, _> =
        CACHE_TYPES.iter().map(|cache_type| (cache_type.name().to_owned(), compression.clone())).collect();
    let config =
        RedisConfig { namespace: namespace.to_owned(), compression, encryption, ..RedisConfig::at(redis.url()) };
    let layer = RedisLayer::new(&config, &Keyring::random().unwrap(), Machine::default()).unwrap();
    let handle = layer.handle();
    (layer, handle)
}

/// Whole decisions with their provenance, each under a key of its own.
async fn decisions(world: &World, point: &DecisionPoint, store: StoreId, arguments: Arguments) {
    let count = if arguments.quick { 2_000 } else { 100_000 };
    let mut report = Report::new(&format!("{count} decisions of the demo world in Redis"), arguments);
    let (mut drafts, mut tags) = (Vec::with_capacity(count), Vec::with_capacity(count));
    for Question { subject, relation, object } in world.questions(31) {
        let request = CheckRequest::new(store, subject, relation, object);
        point.check(&request).await.unwrap();
        if let Some(hit) = point.cached(&request) {
            tags.push(hit.entry.tags().len() as f64);
            drafts.push(hit.entry.to_draft());
        }
        if drafts.len() == count {
            break;
        }
    }
    let mean = tags.iter().sum::<f64>() / count as f64;
    report.figure("read set, mean / p99 (tags)", format!("{mean:.1} / {:.0}", percentile(&mut tags, 0.99)));
    for (encryption, budget, budget_mb) in BUDGETS {
        // A server for each: what one leaves behind would be counted, or freed, under the next.
        let Some(redis) = Redis::start(&RedisOptions::default()) else { return };
        let (grown, stored) = weigh(&redis, encryption, drafts.clone()).await;
        let form = format!("encryption {encryption:?}: ");
        report.figure(&format!("{form}value with its envelope, mean (bytes)"), stored / count as u64);
        let each = format!("{:.0}", grown / count as f64);
        report.figure(&format!("{form}memory for each, its key and Redis's own included (bytes)"), each);
        let scaled_mb = grown / 10.0 / count as f64;
        report.goal(&format!("{form}MB for 100,000"), scaled_mb, scaled_mb < budget_mb, budget);
    }
    report.end();
}

/// The memory that values take in Redis, and the bytes that were stored.
async fn weigh(redis: &Redis, encryption: Encryption, drafts: Vec<Draft<CachedValue>>) -> (f64, u64) {
    let count = drafts.len();
    let (layer, handle) = tier(redis, "decisions", Compression::None, encryption);
    let log = InProcessLog::<Std>::with_identity(Identity::random().unwrap());
    let chain = Chain::<CachedValue>::builder().tier(layer).log(Arc::new(log)).build().unwrap();
    // The connections are made before, and the first value: they take memory, too.
    let ticket = chain.ticket();
    chain.fill(&ticket, &Number(u64::MAX), drafts[0].clone()).await;
    let (before, stored_before) = (used(redis), handle.statistics().stored_bytes);
    iter(drafts.into_iter().enumerate())
        .for_each_concurrent(FILLS, |(number, draft): (usize, Draft<CachedValue>)| {
            let (chain, ticket) = (&chain, &ticket);
            async move {
                chain.fill(ticket, &Number(number as u64), draft).await;
            }
        })
        .await;
    let Ok(Reply::Integer(keys)) = redis.command(&["DBSIZE"]) else { panic!("redis does not answer") };
    assert!(keys as usize > count, "{keys} keys of {count}");
    (used(redis) - before, handle.statistics().stored_bytes - stored_before)
}

/// Lists with their parts, as they are and compressed.
async fn lists(world: &World, directory: &Path, store: StoreId, redis: &Redis, arguments: Arguments) {
    let count = if arguments.quick { 2 } else { 20 };
    let report = Report::new(&format!("Lists of {count} subjects in Redis, with their parts"), arguments);
    let zstd = Compression::Zstd { level: 3, min_bytes: 256, dictionary: None };
    let mut bytes = Vec::new();
    for (name, compression) in [("as they are", Compression::None), ("by zstd", zstd)] {
        redis.command(&["FLUSHALL"]).unwrap();
        let (layer, handle) = tier(redis, name.split(' ').next_back().unwrap(), compression, Encryption::Off);
        let point = DecisionPoint::builder(open(directory)).tier(layer).build().await.unwrap();
        let mut objects = 0;
        for Question { subject, relation, object } in world.questions(41).take(count) {
            let request = ListObjectsRequest {
                store,
                model: None,
                subject,
                relation,
                object_type: object.type_name.clone(),
                contextual_tuples: Vec::new(),
                context: Default::default(),
                properties: Default::default(),
                consistency: Consistency::MinimizeLatency,
            };
            objects += point.list_objects(&request).await.unwrap().items.len();
        }
        let stored = handle.statistics().stored_bytes;
        report.figure(&format!("{name}: objects in them"), objects);
        report.figure(&format!("{name}: bytes that were stored"), stored);
        bytes.push(stored as f64);
        point.close().await;
    }
    report.figure("compressed : as they are", format!("{:.2}", bytes[1] / bytes[0]));
    report.end();
}

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
