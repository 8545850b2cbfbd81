//! What a hit in a view costs beside a bare look-up by primary key, alone and in batches, and what a refresh costs those who read meanwhile.
//!
//! A PostgreSQL of its own, as it comes but for fsync; table and view have a million rows (50,000 in the quick form). Whatever is compared is
//! measured in turn, in one run.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cache_core::testing::measure::{Arguments, Pairs, Report, median, percentile, time};
use cache_core::{
    CacheKey, CacheType, CacheValue, Chain, KeyEncoder, Lookup, ReadSet, RowKey, RowValue, SystemClock, SystemEntropy,
    tag,
};
use cache_pg::{RefreshConfig, Refreshed, Refresher, View, ViewConfig, Views};
use pg_log::tokio_postgres::{Client, NoTls, Statement};
use pg_log::{COMPONENT, Pg, PgConfig, PgLog, migrate, migrations};
use test_services::{Postgres, PostgresOptions};
use tokio::runtime::Runtime;

const USER: CacheType = CacheType::new(0, "user");
/// Keys of one batch.
const BATCH: u64 = 100;
/// Readers beside a refresh, and how long each pauses after an answer: a server that has something to do, and room.
const READERS: usize = 8;
const PAUSE: Duration = Duration::from_millis(2);

#[derive(Clone)]
struct User(String);

impl CacheValue for User {
    fn heap_bytes(&self) -> usize {
        self.0.capacity()
    }
}

struct UserKey(String);

impl CacheKey for UserKey {
    fn cache_type(&self) -> CacheType {
        USER
    }

    fn encode(&self, encoder: &mut KeyEncoder) {
        let Self(id) = self;
        encoder.text(id);
    }

    fn row(&self) -> Option<RowKey> {
        Some(RowKey {
            view: "users",
            columns: [self.0.clone().into()].into_iter().collect(),
            asked: Default::default(),
        })
    }
}

impl RowValue for User {
    fn from_row(key: &RowKey, row: Option<&str>) -> Option<(Self, ReadSet)> {
        Some((Self(row?.to_owned()), [tag!("user", &*key.columns[0])].into_iter().collect()))
    }
}

/// Everything that is measured.
struct World {
    chain: Chain<User>,
    refresher: Refresher,
    bare: Client,
    one: Statement,
    many: Statement,
    rows: u64,
}

fn main() {
    let arguments = Arguments::read();
    let Some(server) = Postgres::start(&PostgresOptions::default()) else { return };
    let rows = if arguments.quick { 50_000 } else { 1_000_000 };
    let mut report = Report::new(&format!("The PostgreSQL tier, over {rows} rows"), arguments);
    // One thread, so that both sides of a comparison are woken in the same way; what a second thread does to either is chance.
    let single = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    single.block_on(make(&server.url(), rows));
    let world = single.block_on(World::open(&server.url(), rows));
    hits(&single, &world, &arguments, &mut report);
    batches(&single, &world, &arguments, &report);
    drop(world);
    let runtime = Runtime::new().expect("a runtime");
    let world = Arc::new(runtime.block_on(World::open(&server.url(), rows)));
    refreshes(&runtime, &world, &arguments, &mut report);
    report.end();
}

async fn connect(url: &str) -> Client {
    let (client, connection) = pg_log::tokio_postgres::connect(url, NoTls).await.expect("the server answers");
    tokio::spawn(connection);
    client
}

/// Makes the table and the view.
async fn make(url: &str, rows: u64) {
    let mut client = connect(url).await;
    migrate(&mut client, "tiergate", COMPONENT, migrations()).await.expect("the log's tables");
    let table = format!(
        "CREATE TABLE users (id bigint PRIMARY KEY, name text NOT NULL);
         INSERT INTO users SELECT i, 'the name of user ' || i FROM generate_series(1, {rows}) i"
    );
    client.batch_execute(&table).await.expect("a table");
    let views = views(&Pg::new(PgConfig::new(url)).expect("the settings are right"));
    views.migrate().await.expect("the view's tables");
    refresher(&views).refresh_now("users").await.expect("refreshed");
    client.batch_execute("VACUUM ANALYZE").await.expect("statistics");
}

fn views(pg: &Pg) -> Views {
    let view = View::new("users", "SELECT id, name FROM public.users").key("id").value("name");
    Views::new(pg.clone(), vec![view]).expect("the view is right")
}

fn refresher(views: &Views) -> Refresher {
    let config = RefreshConfig::default();
    views.refresher(config, Arc::new(SystemClock), Arc::new(SystemEntropy)).expect("the settings are right")
}

impl World {
    async fn open(url: &str, rows: u64) -> Self {
        let pg = Pg::new(PgConfig::new(url)).expect("the settings are right");
        let views = views(&pg);
        let log = PgLog::start(pg, vec![USER]);
        let layer = views.layer(ViewConfig::default(), Arc::new(SystemClock)).expect("the settings are right");
        let chain = Chain::builder().tier(layer).log(log.clone()).build().expect("a chain");
        log.reader().leased().await;
        let bare = connect(url).await;
        let one = bare.prepare("SELECT name FROM users WHERE id = $1").await.expect("the statement");
        let many = bare.prepare("SELECT id, name FROM users WHERE id = ANY($1)").await.expect("the statement");
        Self { chain, refresher: refresher(&views), bare, one, many, rows }
    }

    fn id(&self) -> u64 {
        fastrand::u64(1..=self.rows)
    }

    async fn hit(&self) {
        let key = UserKey(self.id().to_string());
        assert!(matches!(self.chain.get(&key).await, Lookup::Hit(_)), "every user is in the view");
    }

    async fn bare(&self) {
        let row = self.bare.query_one(&self.one, &[&(self.id() as i64)]).await.expect("a row");
        drop(User(row.get::<_, &str>(0).to_owned()));
    }

    async fn hit_many(&self) {
        let keys: Vec<UserKey> = (0..BATCH).map(|_| UserKey(self.id().to_string())).collect();
        let keys: Vec<_> = keys.iter().map(|key| self.chain.key(key)).collect();
        let found = self.chain.find_many(&keys).await;
        assert!(found.iter().all(|lookup| matches!(lookup, Lookup::Hit(_))), "every user is in the view");
    }

    async fn bare_many(&self) {
        let ids: Vec<i64> = (0..BATCH).map(|_| self.id() as i64).collect();
        let rows = self.bare.query(&self.many, &[&ids]).await.expect("rows");
        let users: Vec<User> = rows.iter().map(|row| User(row.get::<_, &str>(1).to_owned())).collect();
        assert!(!users.is_empty());
    }
}

/// Two calls by turns: whatever the machine does meanwhile happens to both. The medians of each pair, in microseconds.
fn by_turns(runtime: &Runtime, pairs: usize, count: usize, left: impl AsyncFn(), right: impl AsyncFn()) -> Pairs {
    let (mut lefts, mut rights, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    // The first pair does not count.
    for pair in 0..=pairs {
        let (mut l, mut r) = (Vec::with_capacity(count), Vec::with_capacity(count));
        runtime.block_on(async {
            for _ in 0..count {
                l.push(timed(left()).await);
                r.push(timed(right()).await);
            }
        });
        if pair > 0 {
            let (l, r) = (median(l), median(r));
            lefts.push(l);
            rights.push(r);
            ratios.push(l / r);
        }
    }
    let range = (percentile(&mut ratios, 0.0), percentile(&mut ratios, 1.0));
    Pairs { left: median(lefts), right: median(rights), ratio: median(ratios), range }
}

async fn timed(call: impl Future<Output = ()>) -> f64 {
    #[expect(clippy::disallowed_methods, reason = "this is where time is measured; nothing depends on it")]
    let start = std::time::Instant::now();
    call.await;
    start.elapsed().as_secs_f64() * 1e6
}

fn hits(runtime: &Runtime, world: &World, arguments: &Arguments, report: &mut Report) {
    let count = if arguments.quick { 500 } else { 5_000 };
    let pairs = by_turns(runtime, arguments.pairs(), count, async || world.hit().await, async || world.bare().await);
    report.ratio_at_most("p50 of a hit through the chain, against a bare SELECT by primary key", "us", &pairs, 1.2);
}

fn batches(runtime: &Runtime, world: &World, arguments: &Arguments, report: &Report) {
    let count = if arguments.quick { 100 } else { 1_000 };
    let bare =
        by_turns(runtime, arguments.pairs(), count, async || world.hit_many().await, async || world.bare_many().await);
    report.figure(
        &format!("p50 of a batch of {BATCH} hits, against a bare id = ANY of {BATCH}"),
        format!("{:.3} x ({:.0} against {:.0} us)", bare.ratio, bare.left, bare.right),
    );
    let single =
        by_turns(runtime, arguments.pairs(), count, async || world.hit_many().await, async || world.hit().await);
    report.figure(
        &format!("p50 of a batch of {BATCH} hits, against a single hit"),
        format!("{:.1} x ({:.0} against {:.0} us)", single.ratio, single.left, single.right),
    );
}

/// The latencies of readers, from now until `until` is over.
async fn readers(world: &Arc<World>, pause: Option<Duration>, until: impl Future<Output = ()>) -> Vec<f64> {
    let stop = Arc::new(AtomicBool::new(false));
    let tasks: Vec<_> = (0..READERS)
        .map(|_| {
            let (world, stop) = (Arc::clone(world), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut took = Vec::new();
                while !stop.load(Ordering::Relaxed) {
                    took.push(timed(world.hit()).await);
                    if let Some(pause) = pause {
                        tokio::time::sleep(pause).await;
                    }
                }
                took
            })
        })
        .collect();
    until.await;
    stop.store(true, Ordering::Relaxed);
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.expect("a reader ends"));
    }
    all
}

fn refreshes(runtime: &Runtime, world: &Arc<World>, arguments: &Arguments, report: &mut Report) {
    let rounds = if arguments.quick { 1 } else { 3 };
    for (name, pause) in [("8 readers with pauses", Some(PAUSE)), ("8 readers without pauses", None)] {
        let (mut quiet, mut busy, mut took) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..rounds {
            let refresh = async {
                let refreshed = world.refresher.refresh_now("users").await.expect("refreshed");
                assert!(matches!(refreshed, Refreshed::Done { .. }));
            };
            let (elapsed, during) = time(|| runtime.block_on(readers(world, pause, refresh)));
            busy.extend(during);
            took.push(elapsed.as_secs_f64());
            quiet.extend(runtime.block_on(readers(world, pause, async { tokio::time::sleep(elapsed).await })));
        }
        let line = |figures: &mut [f64]| {
            let [p50, p99, p999] = [0.5, 0.99, 0.999].map(|share| percentile(figures, share));
            (format!("p50 {p50:.0}, p99 {p99:.0}, p99.9 {p999:.0} us ({} look-ups)", figures.len()), p99)
        };
        let ((quiet, quiet_p99), (busy, busy_p99)) = (line(&mut quiet), line(&mut busy));
        let median = percentile(&mut took, 0.5);
        report.figure(&format!("{name}, nothing else"), quiet);
        report.figure(&format!("{name}, during a refresh of {median:.1} s"), busy);
        let ratio = busy_p99 / quiet_p99;
        match pause {
            Some(_) => report.goal("p99 during a refresh, against p99 without", ratio, ratio <= 2.0, "<= 2 x"),
            None => report.figure("p99 during a refresh, against p99 without", format!("{ratio:.2} x")),
        }
    }
}
