//! One run from its beginning to its verdict.

use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use test_services::Session;

use crate::Args;
use crate::cluster::{Backends, CONNECTIONS, Cluster};
use crate::faults::Trouble;
use crate::heal::Compare;
use crate::history::{Event, Recorder, read};
use crate::judge::Judgement;
use crate::load::Load;
use crate::planted;
use crate::report::Report;
use crate::world::World;

/// Between two looks at how many connections PostgreSQL has.
const WATCH: Duration = Duration::from_millis(250);

/// What a run knows besides its history.
#[derive(Debug, Default)]
pub(crate) struct Outside {
    pub(crate) compare: Option<Compare>,
    /// Most connections in use at once, and the most that there may be.
    pub(crate) connections: (usize, usize),
    /// Bytes that proxies swallowed and spoiled.
    pub(crate) swallowed: u64,
    pub(crate) corrupted: u64,
}

/// Everything that was asked for. Whether all of it held.
pub(crate) fn all(args: &Args) -> Result<bool, String> {
    if let Some(history) = &args.judge {
        let events = read(history)?;
        let report = Report::of(&events, &Outside::default(), &[]);
        print!("{report}");
        return Ok(report.holds());
    }
    std::fs::create_dir_all(&args.output).map_err(|error| format!("{}: {error}", args.output.display()))?;
    let seed = args.seed.unwrap_or_else(|| fastrand::u64(..1_000_000));
    let backends = Backends::start(&args.target)?;
    let found = match &args.mistakes {
        Some(binary) => planted::find(args, &backends, binary, seed)?,
        None => Vec::new(),
    };
    let Some(binary) = &args.binary else { return Ok(found.iter().all(|(_, found)| found.is_some())) };
    println!("{} s of load on {} instances, seed {seed}", args.seconds, args.instances);
    let history = args.output.join("history.jsonl");
    let recorder = Recorder::create(&history).map_err(|error| format!("{}: {error}", history.display()))?;
    let troubles = if args.calm { &[] } else { Trouble::ALL };
    recorder.pen().write(Event::Run {
        seed,
        commit: args.commit.clone(),
        instances: usize::from(args.instances),
        binary: binary.display().to_string(),
        seconds: args.seconds,
        troubles: troubles.iter().map(|trouble| trouble.name()).collect(),
    });
    let programs: Vec<&Path> = std::iter::once(binary).chain(&args.beside).map(PathBuf::as_path).collect();
    let cluster = Cluster::start(&backends, &programs, "tiergate", usize::from(args.instances), None, &args.output)?;
    let outside = under_load(args, &cluster, &recorder, troubles, Duration::from_secs(args.seconds), seed, true)?;
    recorder.close().map_err(|error| error.to_string())?;
    drop(cluster);
    let report = Report::of(&read(&history)?, &outside, &found);
    print!("{report}");
    println!("history: {} (judge it again with --judge)", history.display());
    let json = args.output.join("report.json");
    std::fs::write(&json, format!("{:#}\n", report.json())).map_err(|error| format!("{}: {error}", json.display()))?;
    Ok(report.holds())
}

/// Load and faults on a cluster for a while; then, where it is wanted, a compare of everything.
pub(crate) fn under_load(
    args: &Args,
    cluster: &Cluster<'_>,
    recorder: &Recorder,
    troubles: &[Trouble],
    lasts: Duration,
    seed: u64,
    compare: bool,
) -> Result<Outside, String> {
    let world = World::create(cluster, args.batch)?;
    let load = Load {
        cluster,
        world: &world,
        pen: recorder.pen(),
        stop: AtomicBool::new(false),
        fault: Mutex::default(),
        subjects: AtomicU64::new(1),
        expected: Mutex::default(),
        pace: args.pace,
        rest: args.changes.map(|changes| {
            Duration::from_secs(1).saturating_mul(u32::try_from(args.writers).unwrap_or(u32::MAX)) / changes
        }),
    };
    let most = AtomicUsize::new(0);
    let troubled = std::thread::scope(|scope| {
        load.start(scope, args.writers, seed);
        scope.spawn(|| watch(&load, &most));
        let end = Instant::now() + lasts;
        let troubled = load.trouble(troubles, end, seed);
        load.stop.store(true, Ordering::Relaxed);
        troubled
    });
    troubled?;
    let compare = if compare { Some(load.compare()?) } else { None };
    let mut outside = Outside {
        compare,
        connections: (most.load(Ordering::Relaxed), cluster.instances.len() * CONNECTIONS),
        ..Outside::default()
    };
    for instance in &cluster.instances {
        for counters in [instance.postgres.counters(), instance.redis.counters()] {
            outside.swallowed += counters.requests.swallowed + counters.replies.swallowed;
            outside.corrupted += counters.requests.corrupted + counters.replies.corrupted;
        }
    }
    Ok(outside)
}

/// Watches how many connections of the instances are in use. Those of the dead stay for a while, idle.
fn watch(load: &Load<'_>, most: &AtomicUsize) {
    const SQL: &str = "SELECT count(*) FROM pg_stat_activity
        WHERE backend_type = 'client backend' AND application_name = 'tiergate' AND state <> 'idle'";
    let mut session = Session::new(load.cluster.backends.postgres.url());
    while !load.stop.load(Ordering::Relaxed) {
        // While it is down or stopped nobody counts.
        if load.cluster.backends.postgres.pid().is_some()
            && let Ok(rows) = session.psql(SQL)
        {
            let counted = rows.into_iter().flatten().flatten().next().and_then(|count| count.parse().ok());
            most.fetch_max(counted.unwrap_or_default(), Ordering::Relaxed);
        }
        std::thread::sleep(WATCH);
    }
}

/// Where the histories of planted mistakes go.
pub(crate) fn history_of(output: &Path, mistake: &str) -> std::path::PathBuf {
    output.join(format!("mistake-{mistake}.jsonl"))
}

/// Judges what a recorder wrote.
pub(crate) fn judge(path: &Path) -> Result<Judgement, String> {
    Ok(Judgement::of(&read(path)?))
}
