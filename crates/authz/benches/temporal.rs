//! What the caches are worth where decisions depend on the time.
//!
//! With a time in each request, another one each time, no whole decision is ever asked for twice. What is measured is what remains: of the look-ups
//! in memory for parts that don't read the time, the share that hit. Such a part is the decision on a relation under which no condition reads
//! anything of the request (`Plan::reads` is empty), or what was read of relationships, which no context is part of. Without a
//! time in the request the server's own counts, and what is measured is the share of whole decisions that hit, up to the next flip of a condition and after it.
//! `cargo xtask bench temporal`, or with `--quick` a short form.
#![allow(clippy::print_stdout, missing_docs, clippy::unwrap_used, reason = "a benchmark is a program for people")]

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use authz::condition::Context;
use authz::decide::{CACHE_TYPES, CachedValue, CheckRequest, Consistency, DecisionPoint};
use authz::evaluate::Plan;
use authz::model::Model;
use authz::relation::{Object, Relationship, RelationshipCondition, Subject, Text, Tuple};
use authz::store::sqlite::{SqliteConfig, SqliteStore};
use authz::store::{StoreId, SystemWallClock, UnixMillis, WallClock};
use cache_core::telemetry::{Outcome, Telemetry};
use cache_core::testing::TestClock;
use cache_core::testing::measure::{Arguments, Report};
use cache_core::{
    CacheLayer, CacheType, Capabilities, Entry, Error, Fill, Filled, Identity, Key, Lifetime, Now, Policy, Source,
    Usage,
};
use cache_l1::{MemoryConfig, MemoryLayer};
use serde_json::json;

const MODEL: &str = "\
model
  schema 1.1
type user
type team
  relations
    define member: [user, team#member]
type folder
  relations
    define owner: [user, team#member]
    define viewer: [user, team#member] or owner
type document
  relations
    define parent: [folder]
    define blocked: [user]
    define editor: [user, team#member] or owner from parent
    define guest: [user with until, team#member with until]
    define can_view: (guest or editor or viewer from parent) but not blocked
condition until(current_time: timestamp, expiry: timestamp) {
  current_time < expiry
}
";

const USERS: usize = 500;
const TEAMS: usize = 50;
const FOLDERS: usize = 100;
const DOCUMENTS: usize = 2_000;
/// 2026-01-01T00:00:00Z: when everything begins.
const BEGIN: UnixMillis = 1_767_225_600_000;
/// When half of the conditions flip, from the beginning on. The other half flips much later.
const FLIP: Duration = Duration::from_secs(600);
const LATER: Duration = Duration::from_secs(86_400);

fn main() {
    let arguments = Arguments::read();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let directory = tempfile::tempdir().unwrap();
        let world = World::new(directory.path()).await;
        world.time_of_the_request(arguments).await;
        world.time_of_the_server(arguments).await;
        world.point.close().await;
    });
}

/// A decision point whose look-ups are counted, and a clock that stands still.
struct World {
    point: DecisionPoint,
    store: StoreId,
    counts: Arc<Counts>,
    clock: Arc<TestClock>,
    wall: Arc<Wall>,
}

impl World {
    async fn new(directory: &std::path::Path) -> Self {
        let model = Model::from_dsl(MODEL).unwrap();
        let config = SqliteConfig::new(directory.join("temporal.sqlite"));
        let origin = Arc::new(SqliteStore::open(config, Arc::new(SystemWallClock)).unwrap());
        let tier = MemoryLayer::new(MemoryConfig::default()).unwrap();
        let mut policy = Policy::default();
        for cache_type in CACHE_TYPES {
            // Nothing ends here but by the time that conditions read.
            policy = policy.lifetime("l1", cache_type, Lifetime::of(LATER * 365));
        }
        let counts = Arc::new(Counts::default());
        let (clock, wall) = (Arc::new(TestClock::default()), Arc::new(Wall(AtomicU64::new(BEGIN))));
        let plan = Plan::new(Arc::new(model.clone()));
        let point = DecisionPoint::builder(origin.clone())
            .tier(Watched { tier, plan })
            .policy(policy)
            .clock(Arc::clone(&clock) as Arc<dyn cache_core::Clock>)
            .wall_clock(Arc::clone(&wall) as Arc<dyn WallClock>)
            .telemetry(Arc::clone(&counts) as Arc<dyn Telemetry>)
            .build()
            .await
            .unwrap();
        let store = point.create_store("temporal").await.unwrap().id;
        point.write_model(store, &model).await.unwrap();
        origin.load(store, relationships(), |_| {}).await.unwrap();
        Self { point, store, counts, clock, wall }
    }

    fn request(&self, (user, document): (usize, usize), context: Context) -> CheckRequest {
        CheckRequest {
            store: self.store,
            model: None,
            subject: Subject::parse(&format!("user:u{user}")).unwrap(),
            relation: "can_view".into(),
            object: Object::parse(&format!("document:d{document}")).unwrap(),
            contextual_tuples: Vec::new(),
            context,
            properties: Default::default(),
            consistency: Consistency::MinimizeLatency,
        }
    }

    /// Each request brings another time.
    async fn time_of_the_request(&self, arguments: Arguments) {
        let mut report = Report::new("The time comes with each request, and is another one each time", arguments);
        let pool = questions(if arguments.quick { 1_000 } else { 10_000 });
        let mut now = BEGIN;
        let mut asked = pool.clone();
        for (name, goal) in
            [("questions asked for the first time", None), ("the same questions again, shuffled", Some(0.9))]
        {
            let before = self.counts.read();
            let (mut allowed, mut whole) = (0, 0);
            for question in &asked {
                now += 1;
                let time = jiff_text(now);
                let context = Context::new([(Text::from("current_time"), json!(time))]);
                let decision = self.point.check(&self.request(*question, context)).await.unwrap();
                allowed += usize::from(decision.allowed);
                whole += usize::from(decision.source != Source::Origin);
            }
            let counts = self.counts.read().since(before);
            report.figure(name, format!("{} ({allowed} allowed, {whole} from memory as a whole)", asked.len()));
            report.figure("  look-ups of parts that read nothing of the request, hits", counts.show(Class::Timeless));
            report.figure("  look-ups of parts that read the time, hits", counts.show(Class::Timed));
            if let Some(least) = goal {
                let share = counts.share(Class::Timeless);
                report.goal("  share of hits on parts that don't read the time", share, share >= least, ">= 0.90");
            }
            fastrand::Rng::with_seed(3).shuffle(&mut asked);
        }
        report.end();
    }

    /// Nobody gives a time: the server's counts.
    async fn time_of_the_server(&self, arguments: Arguments) {
        let mut report = Report::new("The time is the server's", arguments);
        let pool = questions(if arguments.quick { 1_000 } else { 10_000 });
        let mut answers: Vec<bool> = Vec::new();
        let last = FLIP - Duration::from_secs(1);
        for (name, at, least) in [
            ("asked for the first time", Duration::ZERO, None),
            ("asked again at the same time", Duration::ZERO, Some(0.99)),
            ("asked again a second before the flip", last, Some(0.99)),
            ("asked again at the flip of half of the conditions", FLIP, None),
            ("asked again long after it", FLIP * 10, Some(0.99)),
        ] {
            let passed = BEGIN + u64::try_from(at.as_millis()).unwrap() - self.wall.unix_millis();
            self.clock.advance(Duration::from_millis(passed));
            self.wall.0.fetch_add(passed, Ordering::SeqCst);
            let mut whole = 0;
            let mut now_allowed = Vec::new();
            for question in &pool {
                let decision = self.point.check(&self.request(*question, Context::default())).await.unwrap();
                whole += usize::from(decision.source != Source::Origin);
                now_allowed.push(decision.allowed);
            }
            let changed = answers.iter().zip(&now_allowed).filter(|(before, now)| before != now).count();
            answers = now_allowed;
            let share = whole as f64 / pool.len() as f64;
            let shown = format!("{name}: whole decisions from memory");
            match least {
                Some(least) => report.goal(&shown, share, share >= least, ">= 0.99"),
                None => report.figure(&shown, format!("{share:>12.2}")),
            }
            report.figure("  answers that are others than before", changed);
        }
        report.end();
    }
}

fn relationships() -> Vec<Relationship> {
    let mut rng = fastrand::Rng::with_seed(1);
    let mut all: Vec<Relationship> = Vec::new();
    let tuple = |object: String, relation: &str, subject: String| Tuple::parse(&object, relation, &subject).unwrap();
    for user in 0..USERS {
        for _ in 0..2 {
            all.push(tuple(format!("team:t{}", rng.usize(..TEAMS)), "member", format!("user:u{user}")).into());
        }
    }
    for team in 1..TEAMS {
        all.push(tuple(format!("team:t{}", team / 4), "member", format!("team:t{team}#member")).into());
    }
    for folder in 0..FOLDERS {
        let (owner, viewer) = (rng.usize(..USERS), rng.usize(..TEAMS));
        all.push(tuple(format!("folder:f{folder}"), "owner", format!("user:u{owner}")).into());
        all.push(tuple(format!("folder:f{folder}"), "viewer", format!("team:t{viewer}#member")).into());
    }
    for document in 0..DOCUMENTS {
        let object = format!("document:d{document}");
        all.push(tuple(object.clone(), "parent", format!("folder:f{}", rng.usize(..FOLDERS))).into());
        all.push(tuple(object.clone(), "editor", format!("user:u{}", rng.usize(..USERS))).into());
        all.push(tuple(object.clone(), "blocked", format!("user:u{}", rng.usize(..USERS))).into());
        let expiry = BEGIN + u64::try_from(if document % 2 == 0 { FLIP } else { LATER }.as_millis()).unwrap();
        let values = Context::new([(Text::from("expiry"), json!(jiff_text(expiry)))]);
        let until = Arc::new(RelationshipCondition { name: Text::from("until"), context: values });
        for subject in [format!("user:u{}", rng.usize(..USERS)), format!("team:t{}#member", rng.usize(..TEAMS))] {
            let tuple = tuple(object.clone(), "guest", subject);
            all.push(Relationship { tuple, condition: Some(Arc::clone(&until)) });
        }
    }
    all
}

/// Different pairs of user and document.
fn questions(count: usize) -> Vec<(usize, usize)> {
    let mut rng = fastrand::Rng::with_seed(2);
    let mut seen = std::collections::HashSet::new();
    std::iter::repeat_with(|| (rng.usize(..USERS), rng.usize(..DOCUMENTS)))
        .filter(|question| seen.insert(*question))
        .take(count)
        .collect()
}

/// A time as requests and relationships bring it.
fn jiff_text(millis: UnixMillis) -> String {
    jiff::Timestamp::from_millisecond(i64::try_from(millis).unwrap()).unwrap().to_string()
}

#[derive(Debug)]
struct Wall(AtomicU64);

impl WallClock for Wall {
    fn unix_millis(&self) -> UnixMillis {
        self.0.load(Ordering::SeqCst)
    }
}

/// What a look-up was for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// A decision on a relation under which no condition reads anything of the request, or relationships.
    Timeless,
    /// Any other decision.
    Timed,
}

thread_local! {
    /// What was looked up last. The chain counts a look-up on the thread that made it, right after it.
    static LAST: Cell<Class> = const { Cell::new(Class::Timeless) };
}

/// The memory tier, which notes the class of each key that is looked up.
struct Watched {
    tier: MemoryLayer<CachedValue>,
    plan: Plan,
}

impl Watched {
    /// By the fields of the key: see `encode` of the keys.
    fn class(&self, key: &Key<'_>) -> Class {
        let bytes = key.encoded();
        // The cache type, and then what kind of key it is: a decision is the first.
        if bytes[3] != 1 {
            return Class::Timeless;
        }
        // Two ULIDs of 17 bytes, each with its kind.
        let rest = &bytes[4 + 2 * 17..];
        let (subject, mut rest) = (rest[1], &rest[2..]);
        assert_eq!(subject, 1, "the subject is one object");
        let mut text = || {
            let (length, begin) = (usize::from(rest[1]), 2);
            let found = std::str::from_utf8(&rest[begin..begin + length]).unwrap().to_owned();
            rest = &rest[begin + length..];
            found
        };
        let [_, _, relation, object_type] = [text(), text(), text(), text()];
        assert!(self.plan.has_relation(&object_type, &relation), "the key is read as it was written");
        if self.plan.reads(&object_type, &relation).is_empty() { Class::Timeless } else { Class::Timed }
    }
}

#[async_trait]
impl CacheLayer<CachedValue> for Watched {
    fn name(&self) -> &'static str {
        self.tier.name()
    }

    fn capabilities(&self) -> Capabilities {
        self.tier.capabilities()
    }

    fn bind(&self, identity: Identity) {
        self.tier.bind(identity);
    }

    fn get_now(&self, key: &Key<'_>) -> Now<CachedValue> {
        LAST.set(self.class(key));
        self.tier.get_now(key)
    }

    async fn get_many(&self, keys: &[Key<'_>]) -> Result<Vec<Option<Entry<CachedValue>>>, Error> {
        self.tier.get_many(keys).await
    }

    async fn fill_many(&self, fills: &[Fill<'_, CachedValue>]) -> Result<Filled, Error> {
        self.tier.fill_many(fills).await
    }

    async fn remove_many(&self, keys: &[Key<'_>]) -> Result<(), Error> {
        self.tier.remove_many(keys).await
    }

    async fn clear(&self) -> Result<(), Error> {
        self.tier.clear().await
    }

    fn usage(&self) -> Usage {
        self.tier.usage()
    }
}

/// Look-ups and hits of each class.
#[derive(Default)]
struct Counts([[AtomicU64; 2]; 2]);

#[derive(Clone, Copy)]
struct Counted([[u64; 2]; 2]);

impl Counts {
    fn read(&self) -> Counted {
        Counted(self.0.each_ref().map(|class| class.each_ref().map(|count| count.load(Ordering::SeqCst))))
    }
}

impl Telemetry for Counts {
    fn probed(&self, _: &'static str, _: CacheType, outcome: Outcome) {
        let [lookups, hits] = &self.0[LAST.get() as usize];
        lookups.fetch_add(1, Ordering::SeqCst);
        if matches!(outcome, Outcome::Hit | Outcome::NegativeHit) {
            hits.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl Counted {
    fn since(self, before: Self) -> Self {
        let Self(now) = self;
        Self(std::array::from_fn(|class| std::array::from_fn(|count| now[class][count] - before.0[class][count])))
    }

    fn share(self, class: Class) -> f64 {
        let [lookups, hits] = self.0[class as usize];
        hits as f64 / lookups.max(1) as f64
    }

    fn show(self, class: Class) -> String {
        let [lookups, hits] = self.0[class as usize];
        format!("{lookups}, {hits} ({:.1} %)", 100.0 * self.share(class))
    }
}
