//! Look-ups of one key that come while others are under way are asked together: many MGETs of some keys cost Redis, and us, a fraction of as
//! many GETs.
//!
//! Nobody waits for company. As long as few are under way, each goes by itself, so that one caller has the latency of a GET; those who come
//! beyond them wait for the next of at most two batches, which leaves as soon as the one before it has come back. How long somebody waited for
//! that counts against the same limit of time. A batch is sent by a task of its own, so that a caller who is given up harms nobody.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use cache_core::Moment;
use tokio::sync::oneshot;

use crate::commands;
use crate::core::{Answer, Core, Operation};
use crate::error::Failure;
use crate::name::Names;
use crate::pool::Line;

/// Look-ups that go by themselves at once.
const ALONE: usize = 4;
/// Batches at once: one is answered while the next one is gathered.
const BATCHES: usize = 2;
/// Names of a batch.
const MAX_BATCH: usize = 128;

/// What a look-up found, and on which connection.
pub(crate) type Found = Result<(Option<Vec<u8>>, Arc<Line>), Failure>;

/// Gathers look-ups.
pub(crate) struct Gatherer {
    alone: AtomicUsize,
    state: Mutex<State>,
    max_waiting: usize,
}

#[derive(Default)]
struct State {
    waiting: Vec<Waiting>,
    batches: usize,
}

struct Waiting {
    name: String,
    since: Moment,
    answer: oneshot::Sender<Found>,
}

/// How somebody's look-up is made.
pub(crate) enum Seat<'a> {
    /// By itself, for as long as this is held.
    Alone(Alone<'a>),
    /// With others. Who is the first of a batch has [`Gatherer::ask`] run.
    Together { answer: oneshot::Receiver<Found>, is_first: bool },
}

/// A look-up that goes by itself.
pub(crate) struct Alone<'a>(&'a AtomicUsize);

impl Gatherer {
    pub(crate) fn new(max_waiting: usize) -> Self {
        Self { alone: AtomicUsize::new(0), state: Mutex::default(), max_waiting }
    }

    /// Takes a seat for the first of some names.
    pub(crate) fn join(&self, names: &Names, now: Moment) -> Seat<'_> {
        let alone = self.alone.fetch_add(1, Ordering::Relaxed);
        let seat = Alone(&self.alone);
        if alone < ALONE {
            return Seat::Alone(seat);
        }
        let mut state = self.lock();
        if state.waiting.len() >= self.max_waiting {
            // It is refused where everybody is who comes when too many are under way.
            drop(state);
            return Seat::Alone(seat);
        }
        let (sender, answer) = oneshot::channel();
        let name = names.iter().next().unwrap_or_default().to_owned();
        state.waiting.push(Waiting { name, since: now, answer: sender });
        let is_first = state.batches < BATCHES;
        state.batches += usize::from(is_first);
        Seat::Together { answer, is_first }
    }

    /// Asks for what waits, batch after batch, until nothing does.
    pub(crate) async fn ask(&self, core: &Core, now: impl Fn() -> Moment) {
        while let Some(batch) = self.next_batch() {
            let names = batch.iter().map(|waiting| waiting.name.as_str());
            let oldest = batch.iter().map(|waiting| waiting.since).min().unwrap_or_else(&now);
            let request = commands::get_each(names);
            match core.run_after(now().since(oldest), Operation::Get, request).await {
                Ok(Answer { replies, line, .. }) => match commands::values(replies, batch.len()) {
                    // Who has been given up is not there any more, which is nobody's loss.
                    Ok(values) => batch.into_iter().zip(values).for_each(|(waiting, value)| {
                        let _ = waiting.answer.send(Ok((value, Arc::clone(&line))));
                    }),
                    Err(failure) => {
                        if failure == Failure::Protocol {
                            line.condemn();
                        }
                        fail(batch, &failure);
                    }
                },
                Err(failure) => fail(batch, &failure),
            }
        }
    }

    fn next_batch(&self) -> Option<Vec<Waiting>> {
        let mut state = self.lock();
        if state.waiting.is_empty() {
            state.batches -= 1;
            return None;
        }
        if state.waiting.len() <= MAX_BATCH {
            let room = Vec::with_capacity(state.waiting.len());
            return Some(std::mem::replace(&mut state.waiting, room));
        }
        let first: Vec<_> = state.waiting.drain(..MAX_BATCH).collect();
        Some(first)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn fail(batch: Vec<Waiting>, failure: &Failure) {
    for waiting in batch {
        let _ = waiting.answer.send(Err(failure.clone()));
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
