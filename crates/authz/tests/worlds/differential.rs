//! One world after another: whatever happens, a decision point with caches answers as one without, and both as the model means it.
//!
//! After every change a fixed set of questions is asked, so that answers stay warm across changes, with some new ones each time. Each is asked twice
//! of the cached decision point, and a few of them as lists, too. While several changes are under way, an answer must be one that was true at some moment between the question's
//! beginning and its end.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use authz::condition::Context;
use authz::decide::{CheckError, CheckRequest, Consistency, Decision, DecisionPoint};
use authz::evaluate::Limits;
use authz::model::Model;
use authz::relation::{Relationship, Text};
use authz::store::memory::MemoryStore;
use authz::store::sqlite::{SqliteConfig, SqliteStore};
use authz::store::{MAX_WRITE_BATCH, ModelId, Store, StoreId, SystemWallClock, UnixMillis, WallClock, WriteBatch};
use cache_core::testing::TestClock;
use cache_core::{HorizonConfig, Revision, Source, Tag, TierStatistics};
use cache_l1::{MemoryConfig, MemoryLayer};
use fastrand::Rng;
use futures_util::future::join_all;
use tempfile::TempDir;
use ulid::Ulid;

use super::conditions::{BEGIN, Surroundings};
use super::coverage::{Coverage, WorldCoverage};
use super::generator::{Change, Generator, Question, State};
use super::lists::Points;
use super::origin::{Pauses, SharedOrigin};
use super::reference::{Answer, Reference};
use super::tiers::{Fault, Servers, Which};

/// Changes of a world, one after another; those that overlap come on top.
const CHANGES: usize = 12;
/// Questions that are asked after every change.
const KEPT: usize = 12;
/// Questions that are asked once.
const PASSING: usize = 2;
/// How many of those are asked as lists, too.
const LISTED: usize = 2;
/// Forgets after about a hundred tags, which is some twenty changes.
const SMALLEST_HORIZON: usize = 4 << 10;

/// How a world's decision points are built.
#[derive(Clone, Copy, Debug)]
struct Setting {
    on_disk: bool,
    horizon: HorizonConfig,
    limits: Limits,
    concurrent: bool,
    memory_bytes: u64,
    which: Which,
}

impl Setting {
    fn draw(rng: &mut Rng) -> Self {
        let mut limits = Limits::default();
        if rng.u8(..3) == 0 {
            limits.max_read_set = rng.usize(1..=6);
        }
        if rng.u8(..16) == 0 {
            limits.max_depth = rng.usize(1..=3);
        }
        let budget_bytes = if rng.u8(..4) == 0 { SMALLEST_HORIZON } else { 64 << 10 };
        Self {
            on_disk: rng.u8(..50) == 0,
            horizon: HorizonConfig { budget_bytes, max_rules: rng.usize(1..=4) },
            limits,
            concurrent: rng.u8(..4) == 0,
            memory_bytes: 64 << 10,
            which: Which::MEMORY,
        }
    }
}

/// What a run wants of every world, whatever is drawn: a planted mistake shows in some settings only.
#[derive(Clone, Copy, Default)]
pub(crate) struct Emphasis<'s> {
    /// Tiers on these servers, and faults between the questions.
    pub(crate) servers: Option<&'s Servers>,
    /// Questions while changes are under way.
    pub(crate) concurrent: bool,
    /// A horizon that forgets soon.
    pub(crate) forgetful: bool,
}

impl Emphasis<'_> {
    fn lay_on(self, mut setting: Setting, rng: &mut Rng) -> Setting {
        if self.servers.is_some() {
            setting.which = Which::draw(rng);
        }
        setting.concurrent |= self.concurrent;
        if self.forgetful {
            setting.horizon.budget_bytes = SMALLEST_HORIZON;
        }
        setting
    }
}

/// An answer that should have been another one.
#[derive(Debug)]
pub(crate) struct Difference {
    seed: u64,
    step: usize,
    question: String,
    said: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, step, question, said } = self;
        writeln!(f, "world {seed}, step {step}, {question}: {said}")?;
        write!(f, "to see it again: TIERGATE_WORLD={seed} cargo nextest run -p tiergate-authz --test worlds one_world")
    }
}

/// Whom a question is put to while changes are under way.
#[derive(Clone, Copy, Debug)]
enum Way {
    Cached,
    /// The decision point with caches, which fills them with what it finds behind them.
    PastTheCache,
    Uncached,
}

/// What a decision point said.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Said {
    Allow,
    Deny,
    /// A bound of the evaluation was met.
    TooComplex,
    /// A condition lacks something, and it matters.
    Unknown,
    /// The question makes no sense here.
    Refused(String),
}

impl Said {
    fn of(result: &Result<Decision, CheckError>) -> Self {
        match result {
            Ok(Decision { allowed: true, .. }) => Self::Allow,
            Ok(Decision { allowed: false, .. }) => Self::Deny,
            Err(CheckError::TooComplex { .. }) => Self::TooComplex,
            Err(CheckError::Condition(_)) => Self::Unknown,
            Err(error) => Self::Refused(error.to_string()),
        }
    }

    /// What the reference means.
    fn meant(answer: &Answer) -> Self {
        match answer.value {
            Some(true) => Self::Allow,
            None if answer.lacks => Self::Unknown,
            Some(false) | None => Self::Deny,
        }
    }

    /// Whether it is what the reference means. Where a circle leaves a question open and a condition beside it lacks something, neither is an allow, and
    /// which of them is told is not the reference's affair.
    fn is_right(&self, meant: &Answer) -> bool {
        match self {
            Self::TooComplex | Self::Refused(_) => true,
            Self::Deny if meant.value.is_none() => true,
            said => *said == Self::meant(meant),
        }
    }

    fn is_answer(&self) -> bool {
        matches!(self, Self::Allow | Self::Deny)
    }
}

struct Arena<'s> {
    servers: Option<&'s Servers>,
    seed: u64,
    setting: Setting,
    origin: Arc<SharedOrigin>,
    pauses: Arc<Pauses>,
    clock: Arc<TestClock>,
    /// The time that conditions read.
    wall: Arc<Wall>,
    cached: DecisionPoint,
    uncached: DecisionPoint,
    store: StoreId,
    /// Ids of stores and models are counted, so that a run is the same each time.
    ids: u128,
    /// The versions of the store's model, the newest one last.
    models: Vec<(ModelId, Model)>,
    _directory: Option<TempDir>,
}

/// Runs one world.
///
/// # Errors
/// With the first answer that is wrong.
pub(crate) async fn run(seed: u64, emphasis: Emphasis<'_>, coverage: &mut Coverage) -> Result<(), Box<Difference>> {
    let mut generator = Generator::new(seed);
    let setting = Setting::draw(&mut generator.rng);
    let setting = emphasis.lay_on(setting, &mut generator.rng);
    let mut state = generator.state();
    let mut arena = Arena::open(seed, setting, generator.rng.u64(..), emphasis.servers).await;
    arena.begin(&state).await;
    let kept: Vec<Question> = {
        let reference = Reference::new(&state);
        (0..KEPT).map(|_| generator.good_question(&reference)).collect()
    };
    let mut world = WorldCoverage::default();
    let mut before = Vec::new();
    for step in 0..=CHANGES {
        if step > 0 {
            let change = generator.change(&state, &kept);
            arena.apply(&change, &state).await;
            state = state.after(&change);
            coverage.changes += 1;
        }
        if setting.concurrent && step % 3 == 2 {
            state = arena.overlap(step, state, &kept, &mut generator, coverage).await?;
        }
        arena.befall(&mut generator.rng).await;
        if generator.rng.bool() {
            let question = kept[generator.rng.usize(..KEPT)].clone();
            arena.digress(step, &state, &question, &mut generator, coverage).await?;
        }
        let mut questions = kept.clone();
        questions.extend((0..PASSING).map(|_| generator.question()));
        generator.rng.shuffle(&mut questions[..KEPT]);
        let now = arena.compare(step, &state, &questions, coverage, &mut world).await?;
        arena.compare_lists(step, &state, &kept[..LISTED], coverage).await?;
        let now: Vec<bool> = kept
            .iter()
            .map(|kept| questions.iter().position(|asked| asked == kept).is_some_and(|at| now[at]))
            .collect();
        coverage.altered += before.iter().zip(&now).filter(|(before, now)| before != now).count();
        before = now;
    }
    arena.end(coverage).await;
    coverage.end_world(&world);
    Ok(())
}

impl<'s> Arena<'s> {
    async fn open(seed: u64, setting: Setting, pauses: u64, servers: Option<&'s Servers>) -> Self {
        let (inner, directory): (Arc<dyn Store>, _) = if setting.on_disk {
            let directory = TempDir::new().expect("a temporary directory");
            let config = SqliteConfig::new(directory.path().join("world.db"));
            let store = SqliteStore::open(config, Arc::new(SystemWallClock)).expect("a new file opens");
            (Arc::new(store), Some(directory))
        } else {
            (Arc::new(MemoryStore::default()), None)
        };
        let pauses = Pauses::new(pauses);
        let origin = SharedOrigin::new(inner, Arc::clone(&pauses)).await;
        let clock = Arc::new(TestClock::default());
        let wall = Arc::new(Wall(AtomicU64::new(BEGIN)));
        let cached = cached(&origin, setting, servers, &clock, &wall).await;
        let uncached = DecisionPoint::builder(origin.clone())
            .horizon(HorizonConfig { budget_bytes: SMALLEST_HORIZON, max_rules: 4 })
            .limits(setting.limits)
            .wall_clock(wall.clone())
            .build()
            .await
            .expect("the parts fit");
        let store = StoreId(Ulid(0));
        Self {
            servers,
            seed,
            setting,
            origin,
            pauses,
            clock,
            wall,
            cached,
            uncached,
            store,
            ids: 0,
            models: Vec::new(),
            _directory: directory,
        }
    }

    /// Lets something happen to the tiers.
    async fn befall(&mut self, rng: &mut Rng) {
        let Some(servers) = self.servers else { return };
        if servers.befall(rng, &self.cached).await == Some(Fault::Restarted) {
            servers.count(&self.cached);
            self.cached = cached(&self.origin, self.setting, self.servers, &self.clock, &self.wall).await;
        }
    }

    fn next_id(&mut self) -> Ulid {
        self.ids += 1;
        Ulid(self.ids)
    }

    /// Fills a new store.
    async fn begin(&mut self, state: &State) {
        self.store = StoreId(self.next_id());
        self.fill(state).await;
    }

    async fn fill(&mut self, state: &State) {
        self.origin.create_store(self.store, "world").await.expect("the id is free");
        self.models.clear();
        self.write_model(&state.model).await;
        if !state.around.trust.is_empty() {
            let trust = state.around.trust.iter().map(|(object, trust)| (object.clone(), trusted(Some(*trust))));
            self.origin.write_properties(self.store, trust.collect()).await.expect("the store is there");
        }
        let relationships = state
            .tuples
            .iter()
            .map(|(tuple, condition)| Relationship { tuple: tuple.clone(), condition: condition.clone() });
        let relationships: Vec<Relationship> = relationships.collect();
        for chunk in relationships.chunks(MAX_WRITE_BATCH) {
            let batch = WriteBatch::of(chunk.iter().cloned());
            self.cached.write(self.store, None, batch).await.expect("the model allows what was drawn");
        }
    }

    async fn write_model(&mut self, model: &Model) {
        let id = ModelId(self.next_id());
        let body = model.to_json().to_string();
        self.origin.write_model(self.store, id, &body).await.expect("the id is free");
        self.models.push((id, model.clone()));
    }

    async fn apply(&mut self, change: &Change, state: &State) {
        match change {
            Change::Write(batch) => {
                self.cached.write(self.store, None, batch.clone()).await.expect("the batch fits the state");
            }
            Change::Model(model) => self.write_model(model).await,
            Change::Invalidate(scope) => {
                self.cached.invalidate(scope.clone()).await.expect("the scope can be read");
            }
            Change::Replace { tuples, same_id } => {
                self.cached.delete_store(self.store).await.expect("the store is there");
                if !same_id {
                    self.store = StoreId(self.next_id());
                }
                let around = Surroundings { trust: BTreeMap::new(), ..state.around.clone() };
                self.fill(&State { model: state.model.clone(), tuples: tuples.clone(), around }).await;
            }
            Change::Trust { object, trust } => {
                let properties = vec![(object.clone(), trusted(*trust))];
                self.origin.write_properties(self.store, properties).await.expect("the store is there");
            }
            Change::Wait { ms } => {
                self.clock.advance(Duration::from_millis(*ms));
                self.wall.0.fetch_add(*ms, Ordering::SeqCst);
            }
        }
    }

    fn request(&self, question: &Question, consistency: Consistency) -> CheckRequest {
        let Question { subject, relation, object, context } = question.clone();
        CheckRequest {
            store: self.store,
            model: None,
            subject,
            relation,
            object,
            contextual_tuples: Vec::new(),
            context,
            properties: Default::default(),
            consistency,
        }
    }

    fn difference(&self, step: usize, question: &Question, said: String) -> Box<Difference> {
        Box::new(Difference { seed: self.seed, step, question: question.to_string(), said })
    }

    /// Asks both decision points and the reference; returns who was allowed.
    async fn compare(
        &self,
        step: usize,
        state: &State,
        questions: &[Question],
        coverage: &mut Coverage,
        world: &mut WorldCoverage,
    ) -> Result<Vec<bool>, Box<Difference>> {
        let reference = Reference::new(state);
        let mut allowed = Vec::with_capacity(questions.len());
        for question in questions {
            let request = self.request(question, Consistency::MinimizeLatency);
            let first = self.cached.check(&request).await;
            let again = self.cached.check(&request).await;
            let plain = self.uncached.check(&self.request(question, Consistency::Full)).await;
            let meant = reference.answer(question);
            let (first_said, again_said, plain_said) = (Said::of(&first), Said::of(&again), Said::of(&plain));
            let meant_said = Said::meant(&meant);
            let agree = |said: &Said| match plain_said {
                // A cached part needs no way down, so that there may be an answer within the bounds. It must be right.
                Said::TooComplex => *said == Said::TooComplex || said.is_right(&meant),
                _ => *said == plain_said,
            };
            let right = plain_said.is_right(&meant);
            if !agree(&first_said) || !agree(&again_said) || !right {
                let said = format!(
                    "cached {first_said:?}, then {again_said:?}; uncached {plain_said:?}; by the model's meaning {meant_said:?}\n{:?}\n{}\n{:#?}",
                    self.setting, state.model, state.tuples
                );
                return Err(self.difference(step, question, said));
            }
            if let Said::Refused(why) = &plain_said {
                let why = why.split_once("; ").map_or(why.as_str(), |(what, _)| what);
                let why = why.split('\'').next().unwrap_or(why).to_owned();
                *coverage.refused.entry(why).or_default() += 1;
                allowed.push(false);
                continue;
            }
            if plain_said == Said::Unknown {
                coverage.unknown += 1;
            }
            if plain_said == Said::TooComplex {
                *coverage.refused.entry("too complex".to_owned()).or_default() += 1;
            }
            coverage.compared += 2;
            coverage.answered(&meant);
            world.add(&meant);
            coverage.first_from_cache += usize::from(step > 0 && from_tier(&first));
            coverage.asked_again += 1;
            coverage.again_from_cache += usize::from(from_tier(&again));
            if let Some(hit) = self.cached.cached(&request) {
                coverage.with_read_set += 1;
                let coarse = Tag::of("coarse").finish();
                coverage.coarsened += usize::from(hit.entry.tags().contains(&coarse));
            }
            allowed.push(plain_said == Said::Allow);
        }
        Ok(allowed)
    }

    /// Asks for lists, too.
    async fn compare_lists(
        &self,
        step: usize,
        state: &State,
        questions: &[Question],
        coverage: &mut Coverage,
    ) -> Result<(), Box<Difference>> {
        let reference = Reference::new(state);
        let points = Points { cached: &self.cached, uncached: &self.uncached, store: self.store };
        for question in questions {
            if let Err(said) = points.compare(question, &reference, state, coverage).await {
                let said = format!("{said}\n{:?}\n{}\n{:#?}", self.setting, state.model, state.tuples);
                return Err(self.difference(step, question, said));
            }
        }
        Ok(())
    }

    /// Asks with relationships that hold for one question only, of an older version of the model, and of the origin in spite of the caches. None of that
    /// may show in what is answered without.
    async fn digress(
        &self,
        step: usize,
        state: &State,
        question: &Question,
        generator: &mut Generator,
        coverage: &mut Coverage,
    ) -> Result<(), Box<Difference>> {
        let mut special = self.request(question, Consistency::MinimizeLatency);
        let (id, model) = match generator.rng.bool() {
            true => self.models.last().expect("there is one"),
            false => &self.models[generator.rng.usize(..self.models.len())],
        };
        special.model = Some(*id);
        let count = generator.rng.usize(..=3);
        let drawn: BTreeMap<_, _> = (0..count)
            .filter_map(|_| generator.relationship(&state.model))
            .map(|given| (given.tuple, given.condition))
            .collect();
        special.contextual_tuples = drawn
            .iter()
            .map(|(tuple, condition)| Relationship { tuple: tuple.clone(), condition: condition.clone() })
            .collect();
        let mut meant = State { model: model.clone(), ..state.clone() };
        meant.tuples.extend(drawn);
        let meant = Reference::new(&meant).answer(question);
        let full = CheckRequest { consistency: Consistency::Full, ..special.clone() };
        let mut said = Vec::new();
        let plain = Said::of(&self.uncached.check(&full).await);
        said.push(Said::of(&self.cached.check(&special).await));
        said.push(Said::of(&self.cached.check(&special).await));
        if generator.rng.bool() {
            said.push(Said::of(&self.cached.check(&full).await));
            said.push(Said::of(&self.cached.check(&special).await));
        }
        coverage.compared += said.len();
        coverage.digressions += 1;
        let right = plain.is_right(&meant);
        let agree = |said: &Said| *said == plain || (plain == Said::TooComplex && said.is_right(&meant));
        let meant = Said::meant(&meant);
        if right && said.iter().all(agree) {
            return Ok(());
        }
        let said = format!(
            "with {:?} and model {}: cached {said:?}; uncached {plain:?}; by the model's meaning {meant:?}\n{:?}\n{model}\n{:#?}",
            special.contextual_tuples, id.0, self.setting, state.tuples
        );
        Err(self.difference(step, question, said))
    }

    /// Several changes one after another, with questions all the while.
    async fn overlap(
        &self,
        step: usize,
        state: State,
        kept: &[Question],
        generator: &mut Generator,
        coverage: &mut Coverage,
    ) -> Result<State, Box<Difference>> {
        let mut states = vec![state];
        let mut batches = Vec::new();
        for _ in 0..generator.rng.usize(2..=4) {
            let last = states.last().expect("there is the first one");
            let batch = generator.batch(last);
            states.push(last.after(&Change::Write(batch.clone())));
            batches.push(batch);
        }
        coverage.changes += batches.len();
        // A few questions many times, so that they meet in single flights.
        let asked: Vec<(Question, Way, usize)> = (0..24)
            .map(|_| {
                let question = kept[generator.rng.usize(..6)].clone();
                let way = match generator.rng.u8(..12) {
                    0 => Way::Uncached,
                    1 => Way::PastTheCache,
                    _ => Way::Cached,
                };
                (question, way, generator.rng.usize(..24))
            })
            .collect();
        let (begun, acknowledged) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let writer = async {
            for (index, batch) in batches.into_iter().enumerate() {
                self.pauses.up_to(6).await;
                begun.store(index + 1, Ordering::SeqCst);
                self.cached.write(self.store, None, batch).await.expect("the batch fits the state");
                acknowledged.store(index + 1, Ordering::SeqCst);
            }
        };
        let ask = async |(question, way, delay): &(Question, Way, usize)| {
            for _ in 0..*delay {
                tokio::task::yield_now().await;
            }
            let from = acknowledged.load(Ordering::SeqCst);
            let result = match way {
                Way::Uncached => self.uncached.check(&self.request(question, Consistency::Full)).await,
                Way::PastTheCache => self.cached.check(&self.request(question, Consistency::Full)).await,
                Way::Cached => self.cached.check(&self.request(question, Consistency::MinimizeLatency)).await,
            };
            (from, begun.load(Ordering::SeqCst), Said::of(&result))
        };
        self.pauses.switch(true);
        let ((), answers) = tokio::join!(writer, join_all(asked.iter().map(ask)));
        self.pauses.switch(false);
        let references: Vec<Reference<'_>> = states.iter().map(Reference::new).collect();
        for ((question, way, _), (from, to, said)) in asked.iter().zip(answers) {
            if !said.is_answer() {
                continue;
            }
            coverage.concurrent += 1;
            coverage.compared += 1;
            let possible: BTreeSet<bool> =
                references[from..=to].iter().map(|reference| reference.answer(question).allowed()).collect();
            if !possible.contains(&(said == Said::Allow)) {
                let said = format!(
                    "{way:?} {said:?} during changes {from} to {to}, when it was never true\n{:?}",
                    self.setting
                );
                return Err(self.difference(step, question, said));
            }
        }
        Ok(states.pop().expect("there is the first one"))
    }

    async fn end(self, coverage: &mut Coverage) {
        let statistics = self.cached.statistics();
        if let Some(servers) = self.servers {
            servers.count(&self.cached);
        }
        coverage.worlds_on_disk += usize::from(self.setting.on_disk);
        coverage.worlds_with_concurrency += usize::from(self.setting.concurrent);
        // Invalidating everything raises the floor as well; a horizon that forgot has one below the newest revision.
        coverage.worlds_with_a_raised_floor += usize::from(
            statistics.horizon.floor > Revision::ZERO && self.setting.horizon.budget_bytes == SMALLEST_HORIZON,
        );
        coverage.probes += statistics.tiers.iter().take(1).map(TierStatistics::probes_total).sum::<u64>();
        coverage.hits += statistics.tiers.iter().map(TierStatistics::hits).sum::<u64>();
        if self.setting.on_disk {
            self.origin.close().await;
        }
    }
}

/// The decision point with caches, as a process that has just started has it.
async fn cached(
    origin: &Arc<SharedOrigin>,
    setting: Setting,
    servers: Option<&Servers>,
    clock: &Arc<TestClock>,
    wall: &Arc<Wall>,
) -> DecisionPoint {
    let mut builder = DecisionPoint::builder(origin.clone());
    if setting.which.l1 {
        let memory = MemoryConfig {
            budget_bytes: setting.memory_bytes,
            shards: Some(1),
            expected_entry_bytes: 400,
            ..MemoryConfig::default()
        };
        builder = builder.tier(MemoryLayer::new(memory).expect("the settings are within their bounds"));
    }
    if let Some(servers) = servers {
        builder = servers.add(setting.which, builder, clock.clone(), wall.clone());
    }
    let builder = builder.horizon(setting.horizon).limits(setting.limits).clock(clock.clone()).wall_clock(wall.clone());
    builder.build().await.expect("the parts fit")
}

/// The time of the wall, as a world tells it.
struct Wall(AtomicU64);

impl WallClock for Wall {
    fn unix_millis(&self) -> UnixMillis {
        self.0.load(Ordering::SeqCst)
    }
}

fn trusted(trust: Option<u8>) -> Context {
    Context::new(trust.map(|trust| (Text::from("trust"), serde_json::json!(trust))))
}

fn from_tier(result: &Result<Decision, CheckError>) -> bool {
    matches!(result, Ok(Decision { source: Source::Tier(_), .. }))
}
