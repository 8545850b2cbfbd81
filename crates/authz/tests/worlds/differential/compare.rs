//! One question after another: asked of both decision points, and of the reference.

use std::collections::BTreeMap;

use authz::decide::{CheckError, CheckRequest, Consistency, Decision};
use authz::relation::Relationship;
use cache_core::{Source, Tag};

use super::Difference;
use super::arena::Arena;
use super::said::Said;
use crate::coverage::{Coverage, WorldCoverage};
use crate::generator::{Generator, Question, State};
use crate::lists::Points;
use crate::reference::Reference;

impl Arena<'_> {
    /// Asks both decision points and the reference; returns who was allowed.
    pub(super) async fn compare(
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
    pub(super) async fn compare_lists(
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
    pub(super) async fn digress(
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
}

fn from_tier(result: &Result<Decision, CheckError>) -> bool {
    matches!(result, Ok(Decision { source: Source::Tier(_), .. }))
}
