//! The checker proves itself: servers that make a known mistake are found out, before anything is said about those that should make none.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::Args;
use crate::cluster::{Backends, Cluster};
use crate::faults::{Network, Trouble};
use crate::history::Recorder;
use crate::run::{history_of, judge, under_load};

/// Rounds until a mistake counts as not found, and how long each lasts.
const ROUNDS: u64 = 12;
const ROUND: Duration = Duration::from_secs(5);

/// Mistakes that show themselves from outside, each with the faults under which they do.
const MISTAKES: &[(&str, &[Trouble])] = &[
    ("no-horizon-check", &[]),
    ("positive-side-only", &[]),
    ("found-only", &[]),
    ("composed-stamped-now", &[]),
    ("deletion-only", &[]),
    ("acknowledgement-at-the-commit", &[Trouble::Postgres(Network::Late)]),
];

/// Those that take minutes to show themselves: for long runs.
const RARE: &[(&str, &[Trouble])] = &[
    ("lease-ignored", &[Trouble::Postgres(Network::Held), Trouble::InstancePaused]),
    ("start-without-the-log", &[Trouble::InstanceKilled]),
    ("cursor-by-the-highest", &[]),
    ("key-without-a-field", &[]),
];
/// Runs of so many seconds and more plant them.
const RARE_FROM_SECONDS: u64 = 300;

/// Plants each mistake in turn. After how long it was found, if it was.
pub(crate) fn find(
    args: &Args,
    backends: &Backends,
    binary: &Path,
    seed: u64,
) -> Result<Vec<(String, Option<Duration>)>, String> {
    let rare = if args.seconds >= RARE_FROM_SECONDS || args.only.is_some() { RARE } else { &[] };
    let chosen = MISTAKES.iter().chain(rare).filter(|(name, _)| args.only.as_deref().is_none_or(|only| only == *name));
    let mut found = Vec::new();
    for (number, (name, troubles)) in chosen.enumerate() {
        let schema = format!("mistake_{number}");
        let begun = Instant::now();
        let cluster =
            Cluster::start(backends, &[binary], &schema, usize::from(args.instances), Some(name), &args.output)?;
        let path = history_of(&args.output, name);
        let mut after = None;
        for round in 0..ROUNDS {
            let recorder = Recorder::create(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            under_load(args, &cluster, &recorder, troubles, ROUND, seed ^ round, false)?;
            recorder.close().map_err(|error| error.to_string())?;
            let judged = judge(&path)?;
            if !judged.holds() {
                after = Some(begun.elapsed());
                let what = judged.violations.first().map_or_else(
                    || format!("{} allows for whoever never had access", judged.fail_open),
                    |first| {
                        format!("{} allows, the first {} ms after ({})", first.allows, first.late / 1000, first.what)
                    },
                );
                println!("planted {name}: found after {:.1} s: {what}", begun.elapsed().as_secs_f64());
                break;
            }
        }
        if after.is_none() {
            println!("planted {name}: NOT FOUND in {} rounds", ROUNDS);
        }
        found.push(((*name).to_owned(), after));
    }
    Ok(found)
}
