//! Questions while changes are under way: an answer must have been true at some moment between the question's beginning and its end.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use authz::decide::Consistency;
use futures_util::future::join_all;

use super::Difference;
use super::arena::Arena;
use super::said::{Said, Way};
use crate::coverage::Coverage;
use crate::generator::{Change, Generator, Question, State};
use crate::reference::Reference;

impl Arena<'_> {
    /// Several changes one after another, with questions all the while.
    pub(super) async fn overlap(
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
}
