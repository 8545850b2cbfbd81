//! An instance whose threads all spin: what keeps its lease and follows the log has threads of its own. Either it goes on to renew, to apply and to
//! confirm, or it answers from nothing that is cached; and it goes on once it can.
#![allow(clippy::unwrap_used, reason = "a test that meets the unexpected has failed")]

mod support;

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use cache_core::testing::{TestKey, TestValue};
use cache_core::{Answer, Kill, KillSink, Log, Revision, Source, Standing, tag};
use pg_log::{MemberConfig, Pg, PgLog};
use support::process::Process;
use support::{Database, SOON, until, xid};
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tokio_postgres::Client;

/// The threads of the starved instance.
const WORKERS: usize = 2;
const LEASE: Duration = Duration::from_millis(500);
/// Whoever judges is never in need of a renewal.
const HOUR: Duration = Duration::from_secs(3_600);
/// What the origin says once access was revoked.
const DENIED: &str = "denied";

fn member(database: &Database, name: &str, lease: Duration) -> Pg {
    let mut config = database.config();
    config.log.trims = false;
    config.log.member = MemberConfig::new(name);
    config.log.member.lease = lease;
    Pg::new(config).unwrap()
}

/// Changes a thing as a server of ours does, which wakes nobody with the commit.
async fn change(psql: &Client, name: &str) -> u64 {
    let change = format!("SET tiergate.writer = 'on'; BEGIN; INSERT INTO things VALUES ('{name}', 'ann', '')");
    psql.batch_execute(&change).await.unwrap();
    let number = xid(psql).await;
    psql.batch_execute("COMMIT").await.unwrap();
    number
}

/// What spins, and what those who spin were told.
#[derive(Default)]
struct Load {
    over: AtomicBool,
    spinning: AtomicUsize,
    /// The log's thread is to spin as well, as soon as it has something to apply.
    takes_the_log: AtomicBool,
    acknowledged: AtomicBool,
    asked_after: AtomicU64,
    served_after: AtomicU64,
}

impl Load {
    /// A handler that never ends and never waits: it asks again and again, and nothing else gets its thread.
    fn spin(&self, process: &Process, key: &TestKey) {
        self.spinning.fetch_add(1, Ordering::SeqCst);
        while !self.over.load(Ordering::SeqCst) {
            let acknowledged = self.acknowledged.load(Ordering::SeqCst);
            let served = process.holds(key);
            if acknowledged {
                self.asked_after.fetch_add(1, Ordering::SeqCst);
                self.served_after.fetch_add(u64::from(served), Ordering::SeqCst);
            }
        }
    }
}

impl KillSink for Load {
    fn apply(&self, _: Revision, _: &[Kill]) {
        while self.takes_the_log.load(Ordering::SeqCst) && !self.over.load(Ordering::SeqCst) {
            std::hint::spin_loop();
        }
    }
}

/// A process with a runtime of its own, as every instance has.
struct Instance {
    runtime: Option<Runtime>,
    process: Arc<Process>,
    load: Arc<Load>,
}

impl Instance {
    async fn start(pg: Pg) -> Self {
        let runtime = Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build().unwrap();
        let load = Arc::new(Load::default());
        let first = Arc::clone(&load);
        // It comes before the chain: what it holds up the chain does not hear of.
        let listen = move |log: &PgLog| log.attach(Arc::downgrade(&first) as Weak<dyn KillSink>);
        let process = runtime.spawn(async move { Process::start_with(pg, listen, None).await }).await.unwrap();
        Self { runtime: Some(runtime), process: Arc::new(process), load }
    }

    fn spawn<T: Send + 'static>(&self, work: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.runtime.as_ref().unwrap().spawn(work)
    }

    /// A question as it comes over the network: some worker has to take it.
    fn ask(&self, key: &TestKey) -> JoinHandle<Answer<TestValue>> {
        let (process, key) = (Arc::clone(&self.process), key.clone());
        self.spawn(async move {
            let load = |load: cache_core::Load| async move {
                load.read(tag!("thing", "access"));
                Ok::<_, std::io::Error>(TestValue::new(DENIED))
            };
            process.chain.get_or_load(&key, load).await.unwrap()
        })
    }

    /// Keeps every worker busy, until [`Instance::relieve`].
    async fn starve(&self, key: &TestKey) {
        for _ in 0..WORKERS {
            let (process, load, key) = (Arc::clone(&self.process), Arc::clone(&self.load), key.clone());
            drop(self.spawn(async move { load.spin(&process, &key) }));
        }
        until("all spin", async || self.load.spinning.load(Ordering::SeqCst) == WORKERS).await;
    }

    /// After an acknowledgement: goes on spinning until each worker has asked often, and for a lease more.
    async fn asked_after_the_acknowledgement(&self) {
        self.load.acknowledged.store(true, Ordering::SeqCst);
        tokio::time::sleep(LEASE).await;
        until("asked", async || self.load.asked_after.load(Ordering::SeqCst) > 1_000).await;
        let served = self.load.served_after.load(Ordering::SeqCst);
        assert_eq!(served, 0, "it answered from before a change that was acknowledged");
    }

    fn relieve(&self) {
        self.load.over.store(true, Ordering::SeqCst);
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.relieve();
        // Where a test has failed: no thread of it may be waited for here.
        self.runtime.take().unwrap().shutdown_background();
    }
}

async fn count(psql: &Client, what: &str) -> i64 {
    let sql = format!("SELECT ({what})::bigint FROM tiergate.members WHERE name = 'starved'");
    psql.query_one(&sql, &[]).await.unwrap().get(0)
}

/// Questions that came while all workers were busy are answered by the origin, what is read now is cached again, and changes are confirmed again.
async fn goes_on(
    instance: &Instance,
    judge: &Process,
    psql: &Client,
    key: &TestKey,
    waiting: JoinHandle<Answer<TestValue>>,
) {
    assert!(!waiting.is_finished(), "somebody had time for it: the test shows nothing");
    instance.relieve();
    let answer = tokio::time::timeout(SOON, waiting).await.unwrap().unwrap();
    assert_eq!((answer.value(), answer.source), (&TestValue::new(DENIED), Source::Origin));
    until("it holds a lease", async || instance.process.is_trusted()).await;
    until("it caches", async || matches!(instance.ask(key).await.unwrap().source, Source::Tier(_))).await;
    // Its lease is short: on a slow machine it may miss one.
    until("it confirms", async || {
        let number = change(psql, "access").await;
        let standing = judge.reader().in_force(number, SOON).await.unwrap();
        assert!(standing.is_in_force() && !instance.process.holds(key), "{standing:?}");
        standing.confirmed_by == 2
    })
    .await;
}

async fn revoked(judge: &Process, psql: &Client) -> Standing {
    let number = change(psql, "access").await;
    let standing = judge.reader().in_force(number, SOON).await.unwrap();
    assert!(standing.is_in_force(), "{standing:?}");
    standing
}

#[tokio::test]
async fn an_instance_whose_workers_all_spin_renews_and_confirms_and_serves_nothing_of_before() {
    let Some(database) = Database::with_log() else { return };
    let psql = database.foreign().await;
    let judge = Process::start(member(&database, "judge", HOUR)).await;
    let instance = Instance::start(member(&database, "starved", LEASE)).await;
    let key = instance.process.cache("access", tag!("thing", "access")).await;
    instance.starve(&key).await;
    // More renewals than fit into the lease that it began with, by however many incarnations.
    let renewals = "sum(counter)";
    let begun = count(&psql, renewals).await;
    until("it renews", async || count(&psql, renewals).await >= begun + 5).await;
    revoked(&judge, &psql).await;
    let waiting = instance.ask(&key);
    instance.asked_after_the_acknowledgement().await;
    goes_on(&instance, &judge, &psql, &key, waiting).await;
}

#[tokio::test]
async fn an_instance_that_gets_to_apply_nothing_is_fenced_and_serves_nothing_of_before() {
    let Some(database) = Database::with_log() else { return };
    let psql = database.foreign().await;
    let judge = Process::start(member(&database, "judge", HOUR)).await;
    let instance = Instance::start(member(&database, "starved", LEASE)).await;
    let key = instance.process.cache("access", tag!("thing", "access")).await;
    instance.load.takes_the_log.store(true, Ordering::SeqCst);
    instance.starve(&key).await;
    let standing = revoked(&judge, &psql).await;
    assert_eq!(standing.confirmed_by, 1, "it can't have applied anything");
    let waiting = instance.ask(&key);
    instance.asked_after_the_acknowledgement().await;
    assert!(!instance.process.is_trusted(), "it was acknowledged without this one");
    assert_eq!((count(&psql, "count(*)").await, count(&psql, "count(*) FILTER (WHERE fenced)").await), (1, 1));
    goes_on(&instance, &judge, &psql, &key, waiting).await;
    assert!(count(&psql, "count(*) FILTER (WHERE NOT fenced)").await == 1, "it is another member now");
}

/// Each of these is found by what is above. See `cargo xtask test` for how they run.
#[cfg(feature = "mistakes")]
mod mistakes {
    use cache_core::Mistake;

    use super::support::finds;

    #[test]
    fn an_acknowledgement_at_the_commit_is_found() {
        finds(
            Mistake::AcknowledgementAtTheCommit,
            super::an_instance_whose_workers_all_spin_renews_and_confirms_and_serves_nothing_of_before,
        );
    }

    #[test]
    fn a_lease_that_is_not_looked_at_is_found() {
        finds(
            Mistake::LeaseIgnored,
            super::an_instance_that_gets_to_apply_nothing_is_fenced_and_serves_nothing_of_before,
        );
    }

    #[test]
    fn silence_that_is_not_fenced_is_found() {
        finds(Mistake::NoFencing, super::an_instance_that_gets_to_apply_nothing_is_fenced_and_serves_nothing_of_before);
    }
}
