//! The coherence protocol between instances, gone through state by state with [stateright](https://docs.rs/stateright): members, leases, judges, fencing,
//! joining, leaving, acknowledgements.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

mod action;
mod bounds;
mod database;
mod ends;
mod entry;
mod instance;
mod judge;
mod mistake;
mod planted;
mod promises;
mod protocol;
mod state;
mod step;

use std::time::Instant;

use bounds::Bounds;
use protocol::Protocol;
use stateright::{Checker, HasDiscoveries, Model};

/// Goes through a whole run of the protocol without a mistake.
#[expect(clippy::disallowed_methods, reason = "how long a run takes is worth a line")]
fn holds(bounds: Bounds) {
    let name = bounds.name;
    let started = Instant::now();
    let checker = Protocol::sound(bounds).checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let seconds = started.elapsed().as_secs_f64();
    let (states, depth) = (checker.unique_state_count(), checker.max_depth());
    println!("{name}: {states} states by {} steps, the longest way has {depth}, {seconds:.1} s", checker.state_count());
    checker.assert_properties();
}

macro_rules! runs {
    ($($test:ident: $bounds:ident;)*) => {
        $(
            #[test]
            fn $test() {
                holds(Bounds::$bounds());
            }
        )*
    };
}

runs! {
    leases_that_end_and_renewals_that_are_late: lease;
    messages_that_nobody_counts_on_any_more: late;
    questions_that_look_at_their_lease_last: lease_last;
    an_instance_that_starts_dies_and_starts_again: join;
    decisions_with_a_cached_part: parts;
    loads_that_others_wait_for: flights;
    copies_from_l2_into_l1: promotion;
    an_instance_that_leaves: leaving;
    an_instance_that_leaves_while_questions_look_at_their_lease_last: leaving_lease_last;
    two_members_with_an_l2_between_them: two_members;
    two_judges_of_which_one_dies: two_judges;
    a_server_that_crashes: crash;
    a_standby_that_lost_the_last_commits: failover;
    a_standby_that_takes_over_while_an_instance_joins: failover_join;
    an_acknowledgement_comes_whatever_a_member_does: progress;
    an_acknowledgement_comes_if_one_of_two_judges_dies: progress_of_two;
    an_acknowledgement_comes_after_a_failover: progress_of_servers;
}

#[test]
#[expect(clippy::disallowed_methods, reason = "a test has no configuration but its environment")]
fn larger_runs() {
    match std::env::var("TIERGATE_MODEL").ok().filter(|size| !size.is_empty()).as_deref() {
        None => println!("SKIPPED larger runs: TIERGATE_MODEL=large goes through them"),
        Some("large") => Bounds::large().into_iter().for_each(holds),
        Some(name) => {
            let named = Bounds::large().into_iter().filter(|bounds| bounds.name == name);
            assert!(
                named.map(holds).count() > 0,
                "TIERGATE_MODEL is {name:?}: it may be `large` or the name of a large run"
            );
        }
    }
}
