//! The coherence protocol between instances, gone through state by state with [stateright](https://docs.rs/stateright): members, leases, judges, fencing,
//! joining, leaving, acknowledgements. What one instance does with its log, its horizon and its tiers is the other model, `tests/model`.
//!
//! PostgreSQL is shared; each of its statements is one step. What is sent to it and what it answers arrives later, or never. Instances stop between any two
//! of their steps for as long as they like, die and start again, leave; leases end at any moment; the server dies, or is replaced by a standby that lost
//! the last commits. In every state that comes of this two things hold:
//!
//! - **No stale allow.** A decision that is asked for after a revocation was acknowledged is no allow because of what was revoked, at whichever instance.
//! - **What is acknowledged is committed.**
//!
//! And of the runs of progress every way ends (`ends.rs`), and at its end the acknowledgement has come: nobody waits for what can't come any more. That is said of
//! bounded numbers of renewals, crashes and losses, and not of how long it takes.
//!
//! Each run also demands that members are fenced, renewals refused, instances join anew, tiers allow. Each mistake of `mistake.rs` is found, in one of the same runs
//! that the protocol passes; a few that might be thought to be mistakes are shown to be none.
//!
//! What is left out because it adds nothing: a question is put at the moment of its first check, for one that is put earlier promises less, and answers at the
//! moment of its last; a question that is put before anything was acknowledged promises nothing, and waits for nothing. A judge acknowledges in the step that settles the last row.
//! A stamp is the exact set of changes that a value contains, which admits more than any number does. An answer ends a run.
//!
//! A run bounds what happens (`bounds.rs`), and goes through all of it. Larger ones, of millions of states:
//!
//! ```text
//! TIERGATE_MODEL=large cargo test -p tiergate-cache-core --test coherence large -- --nocapture
//! ```
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

mod action;
mod bounds;
#[path = "../checking/mod.rs"]
mod checking;
mod database;
mod ends;
mod entry;
mod instance;
mod judge;
mod mistake;
mod planted;
mod possible;
mod promises;
mod protocol;
mod state;
mod step;

use bounds::Bounds;
use protocol::Protocol;

/// Goes through a whole run of the protocol without a mistake.
fn holds(bounds: Bounds) {
    checking::holds(Protocol::sound(bounds));
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
