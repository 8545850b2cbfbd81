//! A coherent hybrid cache from the tier crates alone: memory in each process, Redis for all of them, and a log that makes invalidations reach everybody. No
//! PostgreSQL, no authorization, no server of ours. Two instances run in this one process; nothing but Redis connects them.
//!
//! ```text
//! cargo run -p tiergate-cache-redis --example hybrid_cache                            # starts a redis-server for itself
//! cargo run -p tiergate-cache-redis --example hybrid_cache -- redis://127.0.0.1:6379  # on one of yours
//! ```
#![allow(clippy::print_stdout, reason = "an example is a program whose output is for people")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cache_core::{
    Answer, CacheKey, CacheType, CacheValue, Chain, Error, KeyEncoder, Keyer, Load, Source, StoredValue, tag,
};
use cache_l1::{MemoryConfig, MemoryLayer};
use cache_redis::{Keyring, LogConfig, Machine, RedisConfig, RedisLayer, RedisLog};
use test_services::{Redis, RedisOptions};
use tokio::sync::Notify;

const USER: CacheType = CacheType::new(0, "user");

/// What is cached.
#[derive(Clone, Debug)]
struct User {
    name: String,
}

impl CacheValue for User {
    fn heap_bytes(&self) -> usize {
        self.name.capacity()
    }
}

/// How it lies in Redis.
impl StoredValue for User {
    const SCHEMA: u16 = 1;

    fn write(&self, bytes: &mut Vec<u8>) {
        bytes.extend_from_slice(self.name.as_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        Some(Self { name: String::from_utf8(bytes.to_vec()).ok()? })
    }
}

/// What it is cached under.
struct UserKey(u64);

impl CacheKey for UserKey {
    fn cache_type(&self) -> CacheType {
        USER
    }

    fn encode(&self, encoder: &mut KeyEncoder) {
        let Self(id) = self;
        encoder.u64(*id);
    }
}

/// The source of truth: a table of users. A read takes its time where somebody waits for that.
#[derive(Default)]
struct Database {
    users: Mutex<HashMap<u64, String>>,
    slow: Mutex<Option<Arc<(Notify, Notify)>>>,
}

impl Database {
    async fn user(&self, id: u64) -> Result<User, std::io::Error> {
        let name = lock(&self.users).get(&id).cloned();
        let slow = lock(&self.slow).take();
        if let Some(slow) = slow {
            slow.0.notify_one();
            slow.1.notified().await;
        }
        name.map(|name| User { name }).ok_or_else(|| std::io::ErrorKind::NotFound.into())
    }

    fn rename(&self, id: u64, name: &str) {
        lock(&self.users).insert(id, name.to_owned());
    }
}

/// One instance of a service.
struct Instance {
    cache: Chain<User>,
    log: Arc<RedisLog>,
    database: Arc<Database>,
}

impl Instance {
    async fn start(
        redis: &RedisConfig,
        keyring: &Keyring,
        database: &Arc<Database>,
    ) -> Result<Self, Box<dyn std::error::Error>> {
        let log = RedisLog::connect(redis, LogConfig::for_types(&[USER])).await?;
        let cache = Chain::builder()
            .tier(MemoryLayer::new(MemoryConfig::default())?) // hot keys, in this process
            .tier(RedisLayer::new(redis, keyring, Machine::default())?) // warm keys, shared by all instances
            .log(Arc::clone(&log) as _) // revisions: what makes a late fill harmless
            .keyer(Keyer::random()?)
            .build()?;
        Ok(Self { cache, log, database: Arc::clone(database) })
    }

    async fn user(&self, id: u64) -> Result<Answer<User>, Error> {
        let load = |load: Load| async move {
            load.read(tag!("user", id)); // what this value is computed from, noted before the query
            self.database.user(id).await
        };
        self.cache.get_or_load(&UserKey(id), load).await
    }

    /// Commits first, invalidates after. In force here when it returns, elsewhere a moment later.
    async fn rename(&self, id: u64, name: &str) -> Result<cache_core::Revision, Error> {
        self.database.rename(id, name);
        Ok(self.cache.invalidate(tag!("user", id)).await?.revision)
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let named = std::env::args().nth(1);
    let own = if named.is_none() { Redis::start(&RedisOptions::default()) } else { None };
    let Some(url) = named.or_else(|| own.as_ref().map(Redis::url)) else {
        println!("There is no redis-server here: name one, redis://host:port");
        return Ok(());
    };
    let redis = RedisConfig { namespace: "hybrid-cache-example".to_owned(), ..RedisConfig::at(url) };
    let (keyring, database) = (Keyring::random()?, Arc::new(Database::default()));
    database.rename(42, "ann");
    let a = Instance::start(&redis, &keyring, &database).await?;
    let b = Instance::start(&redis, &keyring, &database).await?;

    println!("Who has user 42?");
    for (name, instance) in [("A", &a), ("A", &a), ("B", &b), ("B", &b)] {
        show(name, &instance.user(42).await?);
    }

    println!("A renames user 42, and invalidates what was computed from the row:");
    let revision = a.rename(42, "anna").await?;
    show("A", &a.user(42).await?);
    b.log.until(|status| status.applied >= revision).await;
    show("B", &b.user(42).await?);

    println!("The race that a cache which deletes loses: B loads, A changes and invalidates, B's load ends.");
    a.rename(7, "bob").await?;
    let slow = Arc::new((Notify::new(), Notify::new()));
    *lock(&database.slow) = Some(Arc::clone(&slow));
    let change = async {
        slow.0.notified().await; // B has read the old row
        let revision = a.rename(7, "bobby").await?;
        b.log.until(|status| status.applied >= revision).await;
        slow.1.notify_one(); // and only now its load ends, and fills
        Ok::<_, Error>(())
    };
    let (asked_before, changed) = tokio::join!(b.user(7), change);
    changed?;
    show("B, asked before the change", &asked_before?);
    show("B, asked after it", &b.user(7).await?);
    show("A, asked after it", &a.user(7).await?);

    println!("An instance that starts finds Redis warm, and nothing of it stale:");
    drop(a);
    let c = Instance::start(&redis, &keyring, &database).await?;
    show("C", &c.user(42).await?);

    println!("How long until an invalidation by C is in force at B, which polls nothing:");
    println!("  {}", delivery(&c, &b).await?);
    Ok(())
}

fn show(who: &str, answer: &Answer<User>) {
    let source = match answer.source {
        Source::Tier(tier) => tier,
        Source::Origin => "the database",
        Source::Shared => "another caller",
    };
    println!("  {who}: {} (from {source})", answer.value().name);
}

/// The median and the slowest of many invalidations, from the call until the other instance has applied it.
async fn delivery(from: &Instance, to: &Instance) -> Result<String, Error> {
    const ROUNDS: usize = 500;
    let mut taken = Vec::with_capacity(ROUNDS);
    for id in 0..ROUNDS as u64 {
        let start = now();
        let revision = from.cache.invalidate(tag!("user", id)).await?.revision;
        to.log.until(|status| status.applied >= revision).await;
        taken.push(now() - start);
    }
    taken.sort_unstable();
    Ok(format!("{:?} in the median, {:?} at most, over {ROUNDS}", taken[ROUNDS / 2], taken[ROUNDS - 1]))
}

/// Time for the figure alone: the cache has a clock of its own.
#[expect(clippy::disallowed_methods, reason = "a measurement needs a finer clock than the cache's")]
fn now() -> Duration {
    static START: std::sync::OnceLock<std::time::Instant> = std::sync::OnceLock::new();
    START.get_or_init(std::time::Instant::now).elapsed()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
