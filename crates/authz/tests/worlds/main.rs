//! Random worlds, in which caching must change no answer.
//!
//! A run of the size that a release is judged by takes an optimised build:
//!
//! ```text
//! TIERGATE_WORLDS=10000 cargo test --release -p tiergate-authz --test worlds caching -- --nocapture
//! ```
//!
//! It takes two to four minutes, which is more than nextest gives a test.
//! `TIERGATE_WORLDS` is the number of worlds, `TIERGATE_WORLDS_FROM` the first of them, and `TIERGATE_WORLD` runs a single one.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, reason = "a test")]

mod conditions;
mod coverage;
mod differential;
mod generator;
mod lists;
#[cfg(feature = "mistakes")]
mod mistakes;
mod oracle_fga;
mod origin;
mod postgres;
mod reference;
#[path = "../support/sql.rs"]
mod sql;
mod tiers;

use std::sync::atomic::{AtomicU64, Ordering};

use coverage::Coverage;
use differential::{Difference, Emphasis};

/// What an unoptimised build does in well under a minute on two cores.
const WORLDS: u64 = 250;
/// The same with servers, to which every look-up is a way.
const WORLDS_ON_SERVERS: u64 = 60;
/// The same where the origin is one of them.
const WORLDS_IN_POSTGRES: u64 = 24;
const THREADS: usize = 2;

#[expect(clippy::disallowed_methods, reason = "a test has no configuration but its environment")]
fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}, which is no number")))
}

/// Runs worlds on two threads until all are done or one has found something.
fn run(from: u64, worlds: u64, emphasis: Emphasis<'_>) -> Result<Coverage, Box<Difference>> {
    let next = AtomicU64::new(from);
    let results: Vec<Result<Coverage, Box<Difference>>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(|| work(&next, from + worlds, emphasis))).collect();
        threads.into_iter().map(|thread| thread.join().expect("a world does not panic")).collect()
    });
    let mut sum = Coverage::default();
    for result in results {
        sum.add(&result?);
    }
    Ok(sum)
}

fn work(next: &AtomicU64, end: u64, emphasis: Emphasis<'_>) -> Result<Coverage, Box<Difference>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let mut coverage = Coverage::default();
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            return Ok(coverage);
        }
        if let Err(difference) = runtime.block_on(differential::run(seed, emphasis, &mut coverage)) {
            // The other thread need not go on.
            next.store(end, Ordering::Relaxed);
            return Err(difference);
        }
    }
}

#[test]
fn caching_changes_no_answer() {
    let (from, worlds) = (number("TIERGATE_WORLDS_FROM"), number("TIERGATE_WORLDS"));
    let coverage = match run(from.unwrap_or(0), worlds.unwrap_or(WORLDS), Emphasis::default()) {
        Ok(coverage) => coverage,
        Err(difference) => panic!("{difference}"),
    };
    println!("{coverage}");
    if coverage.worlds >= 100 {
        coverage.assert_wide();
    }
}

/// As above with tiers in Redis, which is flushed, killed and left meanwhile, and with processes that start anew over what it has kept.
#[test]
fn tiers_on_real_servers_change_no_answer() {
    let Some(servers) = tiers::Servers::start() else { return };
    let worlds = number("TIERGATE_WORLDS").unwrap_or(WORLDS_ON_SERVERS);
    on_servers(&servers, worlds, Emphasis { servers: Some(&servers), ..Emphasis::default() });
}

/// As above with the origin in PostgreSQL and views as the last tier: they are refreshed now and then, connections are ended, and every other change
/// comes from somebody who writes SQL.
#[test]
fn all_tiers_over_an_origin_in_postgres_change_no_answer() {
    if test_services::shared_postgres().is_none() {
        return;
    }
    let Some(servers) = tiers::Servers::start() else { return };
    let worlds = number("TIERGATE_WORLDS").unwrap_or(WORLDS_IN_POSTGRES);
    on_servers(&servers, worlds, Emphasis { servers: Some(&servers), postgres: true, ..Emphasis::default() });
    let hits = servers.view_hits.load(Ordering::Relaxed) as u64;
    assert!(hits >= worlds * 10, "{hits} parts from views in {worlds} worlds are too few to show anything");
}

fn on_servers(servers: &tiers::Servers, worlds: u64, emphasis: Emphasis<'_>) {
    let coverage = match run(number("TIERGATE_WORLDS_FROM").unwrap_or(0), worlds, emphasis) {
        Ok(coverage) => coverage,
        Err(difference) => panic!("{difference}"),
    };
    let count = |count: &std::sync::atomic::AtomicUsize| count.load(Ordering::Relaxed);
    let (faults, restarts) = (count(&servers.faults), count(&servers.restarts));
    let (hits, view_hits) = (count(&servers.redis_hits), count(&servers.view_hits));
    println!("{coverage}\n{faults} faults, {restarts} restarts among them");
    println!("answers and parts of {hits} questions from Redis, and {view_hits} from views");
    let worlds = usize::try_from(worlds).unwrap_or(usize::MAX);
    assert!(faults >= worlds && restarts >= worlds / 4 && hits >= worlds * 10, "too little happened to show anything");
}

#[test]
fn one_world() {
    match number("TIERGATE_WORLD") {
        Some(seed) => match run(seed, 1, Emphasis::default()) {
            Ok(coverage) => println!("{coverage}"),
            Err(difference) => panic!("{difference}"),
        },
        None => println!("SKIPPED one world: TIERGATE_WORLD names none"),
    }
}
