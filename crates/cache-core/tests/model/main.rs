//! The coherence protocol of one instance in front of PostgreSQL, gone through state by state with [stateright](https://docs.rs/stateright).
//!
//! Transactions get their numbers at their begin and commit in any order; the instance polls the log and applies what it gets in steps; loads,
//! copies and refreshes are under way for as long as they like; tiers forget, processes start again, a standby takes over. In every state that
//! comes of this two things hold:
//!
//! - **No stale allow.** A decision that is asked for after a revocation was acknowledged is no allow because of what was revoked. What the instance's
//!   position covers is acknowledged at once, which promises most.
//! - **Caching changes no answer.** A decision is what the origin would have said at some moment between the last acknowledgement before the question and the
//!   answer. Exempt are decisions that were put together from cached parts without a snapshot for all of them.
//!
//! That can't be a matter of nothing happening: each run also demands that every tier answers at some time, that something is trimmed, forgotten and so
//! on. And it can't be a matter of a search that finds nothing: each mistake of `mistake.rs` is found, in one of the same runs that the
//! protocol passes.
//!
//! A run bounds what happens (`bounds.rs`), and goes through all of it. Larger ones, of millions of states, take a quarter of an hour and up to 9 GB of memory:
//!
//! ```text
//! TIERGATE_MODEL=large cargo test -p tiergate-cache-core --test model large -- --nocapture
//! ```
//!
//! Several instances, leases and acknowledgements between them are not here.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a test")]

mod action;
mod bounds;
mod call;
#[path = "../checking/mod.rs"]
mod checking;
mod comparison;
mod instance;
mod log;
mod mistake;
mod origin;
mod planted;
mod promises;
mod protocol;
mod state;
mod step;
mod tier;
mod view;

use bounds::Bounds;
use protocol::Protocol;

/// Goes through a whole run of the protocol without a mistake.
fn holds(bounds: Bounds) {
    checking::holds(Protocol::sound(bounds));
}

#[test]
fn commits_in_any_order_against_polls_and_loads() {
    holds(Bounds::log());
}

#[test]
fn what_is_rolled_back_never_was() {
    holds(Bounds::rolled_back());
}

#[test]
fn an_l2_that_others_fill_too() {
    holds(Bounds::tiers());
}

#[test]
fn decisions_composed_of_cached_parts() {
    holds(Bounds::composition());
}

#[test]
fn one_snapshot_for_each_evaluation() {
    holds(Bounds::snapshot());
}

#[test]
fn revocations_against_evaluations_that_poll() {
    holds(Bounds::pinned());
}

#[test]
fn a_load_that_others_wait_for() {
    holds(Bounds::flights());
}

#[test]
fn a_horizon_that_forgets_and_a_reader_that_loses_its_place() {
    holds(Bounds::forgetting());
}

#[test]
fn a_trimmed_log_and_a_start_in_front_of_a_warm_l2() {
    holds(Bounds::start());
}

#[test]
fn a_view_that_is_always_a_little_old() {
    holds(Bounds::view());
}

#[test]
fn a_standby_that_lost_the_last_commits() {
    holds(Bounds::failover());
}

#[test]
fn a_view_that_goes_over_to_another_history() {
    holds(Bounds::failover_view());
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
