//! Deliberate mistakes, each of which the worlds must find: a run that can't tell them proves nothing.
//!
//! Not here are mistakes that take several threads, several writers or a tier behind the first one (the order of head and map, the head at which a
//! fill counts as checked, promotion): the laws of the cache's own crate find those.
//!
//! A mistake is planted for the whole process, so that these tests want one process each, as nextest gives them.

use cache_core::{Mistake, plant};

use super::Emphasis;

const CONCURRENT: Emphasis<'_> = Emphasis { servers: None, postgres: false, concurrent: true, forgetful: false };
const FORGETFUL: Emphasis<'_> = Emphasis { servers: None, postgres: false, concurrent: false, forgetful: true };
const ANY: Emphasis<'_> = Emphasis { servers: None, postgres: false, concurrent: false, forgetful: false };

/// Runs worlds with a mistake until an answer is wrong.
#[expect(clippy::print_stdout, reason = "what a mistake led to is worth a line")]
fn is_found(mistake: Mistake, within: u64, emphasis: Emphasis<'_>) {
    let planted = plant(mistake);
    let found = super::run(0, within, emphasis);
    drop(planted);
    match found {
        Ok(_) => panic!("{mistake:?} was not found in {within} worlds"),
        Err(difference) => {
            let told = difference.to_string();
            println!("{mistake:?}: {}", told.lines().next().unwrap_or_default());
        }
    }
}

#[test]
fn a_horizon_that_is_not_asked_is_found() {
    is_found(Mistake::NoHorizonCheck, 50, ANY);
}

#[test]
fn a_read_set_of_what_was_found_is_found() {
    is_found(Mistake::FoundOnly, 100, ANY);
}

#[test]
fn a_read_set_without_the_negated_side_is_found() {
    is_found(Mistake::PositiveSideOnly, 100, ANY);
}

#[test]
fn forgetting_without_a_floor_is_found() {
    is_found(Mistake::ForgetWithoutFloor, 200, FORGETFUL);
}

#[test]
fn a_key_without_its_fields_is_found() {
    is_found(Mistake::KeyWithoutAField, 10, ANY);
}

#[test]
fn a_follower_that_checks_nothing_is_found() {
    is_found(Mistake::FollowerUnchecked, 1_500, CONCURRENT);
}

#[test]
fn a_composed_value_that_is_stamped_anew_is_found() {
    is_found(Mistake::ComposedStampedNow, 200, CONCURRENT);
}

#[test]
fn a_stamp_that_is_taken_after_the_read_is_found() {
    is_found(Mistake::StampAfterRead, 1_500, CONCURRENT);
}

/// The worlds over servers could tell, too: nothing that Redis and views hold is harmless there.
#[test]
fn a_horizon_that_is_not_asked_is_found_behind_memory() {
    if test_services::shared_postgres().is_none() {
        return;
    }
    let Some(servers) = super::tiers::Servers::start() else { return };
    let emphasis = Emphasis { servers: Some(&servers), postgres: true, ..ANY };
    is_found(Mistake::NoHorizonCheck, 20, emphasis);
}
