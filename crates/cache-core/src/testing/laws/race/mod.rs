//! The race that decides whether an invalidation can be relied on: something reads, an invalidation happens, what was read lands, somebody asks.
//!
//! One law for every path that brings a value into a tier and every kind of invalidation. On each of them:
//! - Whoever asks after the invalidation, by whichever way, is never told what was read before it: neither while that is still under way, nor after
//!   it has landed. Whoever asked before may be.
//! - A load that begins after the invalidation is kept again: what was invalidated is not lost to the cache for good.

mod paths;

use std::fmt;

use tokio::sync::Notify;

pub use self::paths::Path;
use super::coherence::{kill, target_tags};
use super::does_not_apply;
use crate::testing::{ALPHA, FakeLayer, Fixture, Gate, SharedLayer, TYPES, TestKey, TestValue, World};
use crate::{CacheLayer, Chain, Kill, Lookup, PartRole, Source, entity_tag, tag};

/// What is read before the invalidation.
const OLD: &str = "old";
/// What the origin says after it.
const NEW: &str = "new";
/// How often it is looked whether a fill behind the answer has landed, before it counts as lost. Between two looks others get their turn.
const LOOKS: usize = 10_000;

/// A combination that did not keep the law.
#[derive(Clone, Debug)]
pub struct Broken {
    /// What was overtaken.
    pub path: Path,
    /// By which invalidation.
    pub kind: &'static str,
    /// Who asked while it was under way.
    pub asker: Asker,
    /// What happened.
    pub what: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, kind, asker, what } = self;
        write!(f, "{path:?}, overtaken by an invalidation by {kind}, with {asker:?} asking meanwhile: {what}")
    }
}

/// Who asks after the invalidation, while what was read before it has not landed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Asker {
    /// Nobody: the next question comes after it has landed.
    Nobody,
    /// A caller that wants the value, and may follow the flight that is in the air.
    Caller,
    /// A load that wants it as a part.
    Composer,
}

impl Asker {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Nobody, Self::Caller, Self::Composer];
}

/// One kind of invalidation, which the value under [`Race::target`] does not survive.
struct Invalidation {
    kind: &'static str,
    kill: Kill,
    /// Through the chain itself, which clears its tiers as well; else as another writer appends it.
    here: bool,
}

fn invalidations() -> Vec<Invalidation> {
    let pattern = |text: &str| Kill::parse_pattern(text, &TYPES).expect("a pattern");
    let appended = |kind, kill| Invalidation { kind, kill, here: false };
    vec![
        appended("key", Kill::Tag(entity_tag("user", "ann"))),
        appended("tag", Kill::Tag(tag!("row", 2))),
        appended("type", Kill::Type(ALPHA)),
        appended("pattern that is a tag", pattern("*:team:9:*")),
        appended("pattern of one type", pattern("alpha:user:ann:*")),
        appended("pattern with a prefix", pattern("alpha:user:a*:*")),
        appended("pattern of a kind", pattern("*:team:*:*")),
        appended("everything", Kill::All),
        Invalidation { kind: "clear", kill: Kill::All, here: true },
    ]
}

/// One run of a path.
struct Race<'w> {
    world: &'w World,
    /// The chain that is asked, over the tiers of the world.
    chain: &'w Chain<TestValue>,
    /// The lowest tier, which the law brings along: it takes fills, and must be awaited.
    last: &'w FakeLayer,
    /// The same with its gate.
    lower: &'w SharedLayer,
    how: &'w Invalidation,
    asker: Asker,
    /// Of this run alone.
    number: usize,
}

/// Nobody is told after an invalidation what was read before it, on any path, after any kind of invalidation; and what is read after it is kept.
pub async fn what_an_invalidation_overtakes_is_served_to_nobody_who_asks_later<F: Fixture>(fixture: F) {
    let broken = overtaken_everywhere(&fixture).await;
    let told: Vec<_> = broken.iter().map(ToString::to_string).collect();
    assert!(broken.is_empty(), "{} combinations:\n{}", told.len(), told.join("\n"));
}

/// Runs every combination, and tells those that did not keep the law.
pub async fn overtaken_everywhere<F: Fixture>(fixture: &F) -> Vec<Broken> {
    let mut broken = Vec::new();
    for path in Path::ALL {
        let last = FakeLayer::remote("lowest");
        let lower = SharedLayer::new(last.clone());
        let world = path.world(fixture, lower.clone()).await;
        if !path.applies(&world) {
            does_not_apply(&format!("about {path:?}"), &world.tier, "no tier above the lowest takes fills");
            continue;
        }
        let other = path.another_chain(&world);
        let chain = other.as_ref().unwrap_or(&world.chain);
        let mut number = 0;
        for how in &invalidations() {
            for asker in Asker::ALL {
                number += 1;
                let race = Race { world: &world, chain, last: &last, lower: &lower, how, asker, number };
                if let Err(what) = race.run(*path).await {
                    broken.push(Broken { path: *path, kind: how.kind, asker, what });
                }
            }
        }
    }
    broken
}

impl Race<'_> {
    async fn run(&self, path: Path) -> Result<(), String> {
        let source = path.source(self);
        path.run(self, &source).await?;
        self.is_gone(&source).await?;
        let answer = self.ask(&source, "newest").await?;
        self.is_kept(&source, &answer).await
    }

    /// What every invalidation of the list reaches.
    fn target(&self, name: &str) -> TestKey {
        TestKey::new(ALPHA, format!("{name} {}", self.number)).naming("user", "ann").naming("team", "9")
    }

    async fn invalidate(&self) {
        if self.how.here {
            self.chain.invalidate_all_of(vec![self.how.kill.clone()]).await.expect("the log takes it");
        } else {
            kill(self.world, &self.how.kill).await;
        }
    }

    /// Runs a path up to a gate, invalidates while it stands there, has somebody ask, and lets it go on.
    async fn overtaken<T>(&self, source: &TestKey, gate: &Gate, path: impl Future<Output = T>) -> Result<T, String> {
        gate.close();
        let ended = Notify::new();
        let path = async {
            let result = path.await;
            ended.notify_one();
            result
        };
        let meanwhile = async {
            tokio::select! {
                biased;
                () = gate.reached() => {}
                () = ended.notified() => {
                    gate.open();
                    return Err("it ended before it could be overtaken".to_owned());
                }
            }
            self.invalidate().await;
            let go_on = async {
                // Whoever asks comes first, as far as that goes: into the flight that is in the air.
                tokio::task::yield_now().await;
                gate.open();
            };
            let (told, ()) = tokio::join!(self.ask_meanwhile(source), go_on);
            told
        };
        let (result, told) = tokio::join!(path, meanwhile);
        told.map(|()| result)
    }

    async fn ask_meanwhile(&self, source: &TestKey) -> Result<(), String> {
        match self.asker {
            Asker::Nobody => Ok(()),
            Asker::Caller => self.ask(source, NEW).await.map(drop),
            Asker::Composer => {
                let key = self.chain.key(source);
                // Younger than any load in the air.
                let PartRole::Follow(follower) = self.chain.join_part(&key, u64::MAX, self.chain.invoked()) else {
                    return Ok(());
                };
                let part = self.chain.await_part(&key, follower).await;
                part.map_or(Ok(()), |hit| is_not_old("by the load that it waited for", hit.value()))
            }
        }
    }

    /// What somebody is told who may load; the origin says `now`.
    async fn ask(&self, source: &TestKey, now: &str) -> Result<TestValue, String> {
        let answer = self.chain.get_or_load(source, |_| async { Ok::<_, std::io::Error>(TestValue::new(now)) }).await;
        let answer = answer.map_err(|error| format!("whoever asked was told an error: {error}"))?;
        is_not_old("by a question that may load", answer.value())?;
        Ok(answer.value().clone())
    }

    /// The ways of asking that load nothing.
    async fn is_gone(&self, source: &TestKey) -> Result<(), String> {
        let check = |way: &str, lookup: Lookup<TestValue>| match lookup {
            Lookup::Hit(hit) | Lookup::StaleHit(hit) | Lookup::NegativeHit(hit) => is_not_old(way, hit.value()),
            Lookup::Miss => Ok(()),
            Lookup::Error(errors) => Err(format!("{way}: {errors:?}")),
        };
        check("at once", self.chain.get_now(source))?;
        check("by a look-up", self.chain.get(source).await)?;
        for lookup in self.chain.find_many(&[self.chain.key(source)]).await {
            check("in a batch", lookup)?;
        }
        Ok(())
    }

    /// What was loaded after the invalidation is found, and nobody loads it again.
    async fn is_kept(&self, source: &TestKey, answer: &TestValue) -> Result<(), String> {
        for _ in 0..LOOKS {
            if let Lookup::Hit(hit) = self.chain.get(source).await
                && hit.value() == answer
            {
                let again =
                    self.chain.get_or_load(source, |_| async { Err::<TestValue, _>(std::io::Error::other("loaded")) });
                return match again.await {
                    Ok(again) if again.value() == answer && matches!(again.source, Source::Tier(_)) => Ok(()),
                    other => Err(format!("what was loaded after the invalidation is loaded once more: {other:?}")),
                };
            }
            tokio::task::yield_now().await;
        }
        Err("what was loaded after the invalidation is not kept".to_owned())
    }
}

fn is_not_old(way: &str, value: &TestValue) -> Result<(), String> {
    if *value == TestValue::new(OLD) { Err(format!("what was read before is served {way}")) } else { Ok(()) }
}

/// The value that is read before the invalidation, for paths that bring it along.
fn old(world: &World) -> crate::Draft<TestValue> {
    world.draft(TestValue::new(OLD), &target_tags())
}

/// The fastest tier that takes fills.
fn keeper(world: &World) -> &SharedLayer {
    world.tiers.iter().find(|tier| tier.capabilities().fillable).expect("the lowest tier takes fills")
}
