//! One world after another: whatever happens, a decision point with caches answers as one without, and both as the model means it.
//!
//! After every change a fixed set of questions is asked, so that answers stay warm across changes, with some new ones each time. Each is asked twice
//! of the cached decision point, and a few of them as lists, too. While several changes are under way, an answer must be one that was true at some moment between the question's
//! beginning and its end.

mod arena;
mod compare;
mod overlap;
mod said;

use std::fmt;

use authz::evaluate::Limits;
use cache_core::HorizonConfig;
use fastrand::Rng;

use super::coverage::{Coverage, WorldCoverage};
use super::generator::{Generator, Question};
use super::reference::Reference;
use super::tiers::{Servers, Which};
use arena::Arena;

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

/// Where a world's relationships are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Memory,
    Sqlite,
    Postgres,
}

/// How a world's decision points are built.
#[derive(Clone, Copy, Debug)]
struct Setting {
    place: Place,
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
            place: if rng.u8(..50) == 0 { Place::Sqlite } else { Place::Memory },
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
    /// The origin in PostgreSQL, and views over it as a tier behind the others; where there are servers.
    pub(crate) postgres: bool,
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
        if self.postgres {
            setting.place = Place::Postgres;
            setting.which.l3 = rng.u8(..8) > 0;
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
            arena.apply(&change, &state, &mut generator.rng).await;
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
