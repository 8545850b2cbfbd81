//! Deliberate mistakes, each of which the race of a load with an invalidation must find.
//!
//! A fill that counts as checked at its end is not among them: what is killed by then is refused before it is filled. Tests with threads find that one.
//!
//! A mistake is planted for the whole process, so that these tests want one process each, as nextest gives them.

use cache_core::{Mistake, plant};

use crate::coherence::answer_after_a_race;
use crate::support::Bed;

async fn is_found(mistake: Mistake) {
    let Some(bed) = Bed::start() else { return };
    let planted = plant(mistake);
    let answer = answer_after_a_race(&bed).await;
    drop(planted);
    assert_eq!(answer, "old", "{mistake:?} went unnoticed");
    assert_eq!(answer_after_a_race(&bed).await, "new");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stamp_that_is_taken_after_the_read_is_found() {
    is_found(Mistake::StampAfterRead).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_horizon_that_is_not_asked_is_found() {
    is_found(Mistake::NoHorizonCheck).await;
}
