//! `cargo xtask consistency`: several servers under load and faults, judged from outside.

use std::path::{Path, PathBuf};

use test_services::Backend;

use crate::process;
use crate::report::{Outcome, Report};
use crate::workspace::Workspace;
use crate::{services, test};

const SERVER: &str = "tiergate-server";
const BINARY: &str = "tiergate";
/// A small one, of any crate.
const ANY_TEST: &str = "several";
/// What servers that were built without optimization bear without being late.
const DEV_BATCH: u32 = 10;
/// Decides the faults of the short run.
const BRIEF_SEED: u64 = 3;
const CHECKER: &str = "tiergate-consistency";

/// Run several servers under faults, and judge whether a revocation that was acknowledged is honoured everywhere.
#[derive(Debug, Default, clap::Args)]
#[command(
    after_help = "Three servers run on a PostgreSQL and a Redis of their own, each behind a proxy that delays, swallows, cuts and \
                        spoils. Writers grant and revoke, by the servers and by SQL; others ask all servers about whoever was \
                        just changed, one by one, in batches, and for lists. A history of all of it is judged at the end: no allow that was asked for \
                        after an acknowledgement. Before, servers that make known mistakes are started, and must be found out.\n\n\
                        Examples:\n  \
                        cargo xtask consistency                         a minute\n  \
                        cargo xtask consistency --seconds 600           ten\n  \
                        cargo xtask consistency --calm --no-mistakes    without faults, all that the machine bears\n  \
                        cargo xtask consistency --calm --no-mistakes --changes 10 --pace 20    how fast is it?\n  \
                        cargo xtask consistency --beside ../before/target/release/tiergate    a release beside the one before\n  \
                        cargo xtask consistency --judge target/consistency/history.jsonl"
)]
pub(crate) struct Args {
    /// How long load and faults last; 60 without
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
    /// Servers; 3 without
    #[arg(long, value_name = "N")]
    instances: Option<u8>,
    /// Decides which faults come when; drawn, and printed, where it is not given
    #[arg(long)]
    seed: Option<u64>,
    /// Threads that grant and revoke, beside one that does so by SQL; 3 without
    #[arg(long, value_name = "N")]
    writers: Option<u8>,
    /// Revocations a second that all of them begin together, at most; without, each begins one when it has been told about the last
    #[arg(long, value_name = "N")]
    changes: Option<u32>,
    /// Questions a second on each server beside those about what was just changed; 40 without, most of them batches
    #[arg(long, value_name = "N")]
    pace: Option<u32>,
    /// Questions in one batch, at most 50; 50 without, 10 with --dev
    #[arg(long, value_name = "N")]
    batch: Option<u32>,
    /// No faults
    #[arg(long)]
    calm: bool,
    /// Plant no mistakes first
    #[arg(long)]
    no_mistakes: bool,
    /// Build without optimization: no figure for anybody, but soon there
    #[arg(long)]
    dev: bool,
    /// The program of another release: instances run it and the one of here side by side, and in turns at each of their starts
    #[arg(long, value_name = "FILE")]
    beside: Option<PathBuf>,
    /// Judge a history of before, and run nothing
    #[arg(long, value_name = "FILE")]
    judge: Option<PathBuf>,
    /// Install nothing
    #[arg(long)]
    no_install: bool,
}

impl Args {
    /// The short run of `cargo xtask ci`: mistakes are found, and a minute with faults holds, the same ones each time.
    pub(crate) fn brief(no_install: bool) -> Self {
        Self { dev: true, seed: Some(BRIEF_SEED), no_install, ..Self::default() }
    }
}

pub(crate) fn run(workspace: &Workspace, args: &Args, report: &mut Report) -> Result<(), String> {
    if let Some(history) = &args.judge {
        let history = history.canonicalize().map_err(|error| format!("--judge {}: {error}", history.display()))?;
        report.step("judge", || process::run(checker(workspace, args.dev).arg("--judge").arg(&history)));
        return Ok(());
    }
    let beside = args
        .beside
        .as_ref()
        .map(|program| program.canonicalize().map_err(|error| format!("--beside {}: {error}", program.display())));
    let beside = beside.transpose()?;
    let place = services::place(workspace);
    let mut missing = false;
    for backend in Backend::ALL {
        report.step(backend.name(), || match services::find_or_install(backend, &place, !args.no_install) {
            Ok(()) => Outcome::Passed,
            Err(outcome) => {
                missing = true;
                outcome
            }
        });
    }
    let output = workspace.target.join("consistency");
    let mistakes = output.join("tiergate-with-mistakes");
    let server = output.join("tiergate");
    if !args.no_mistakes {
        report.step("a server that can make mistakes", || build(workspace, Form::WithMistakes, &mistakes));
    }
    report.step("server", || build(workspace, if args.dev { Form::Dev } else { Form::Release }, &server));
    report.step("consistency", || {
        if missing {
            return Outcome::Skipped("it needs Redis and PostgreSQL".to_owned());
        }
        let mut command = checker(workspace, args.dev);
        command.arg("--binary").arg(&server).arg("--output").arg(&output).arg("--target").arg(&workspace.target);
        if !args.no_mistakes {
            command.arg("--mistakes").arg(&mistakes);
        }
        if let Some(beside) = &beside {
            command.arg("--beside").arg(beside);
        }
        if args.calm {
            command.arg("--calm");
        }
        let numbers = [
            ("--seconds", args.seconds),
            ("--instances", args.instances.map(u64::from)),
            ("--seed", args.seed),
            ("--writers", args.writers.map(u64::from)),
            ("--changes", args.changes.map(u64::from)),
            ("--pace", args.pace.map(u64::from)),
            ("--batch", args.batch.or(args.dev.then_some(DEV_BATCH)).map(u64::from)),
        ];
        for (name, number) in numbers {
            if let Some(number) = number {
                command.arg(name).arg(number.to_string());
            }
        }
        let commit = process::ask(std::process::Command::new("git").current_dir(&workspace.root).args([
            "rev-parse",
            "--short",
            "HEAD",
        ]));
        command.arg("--commit").arg(commit.as_deref().unwrap_or("unknown").trim());
        process::run(&mut command)
    });
    Ok(())
}

/// It shares the machine with those that it asks: what it takes they don't have.
fn checker(workspace: &Workspace, dev: bool) -> std::process::Command {
    let profile = if dev { "dev" } else { "release" };
    process::cargo(&workspace.root, ["run", "--quiet", "--locked", "--package", CHECKER, "--profile", profile, "--"])
}

/// What a server is built as.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Release,
    Dev,
    /// Able to make the mistakes that must be found.
    WithMistakes,
}

/// Builds the server, and puts it where the next build does not replace it.
fn build(workspace: &Workspace, form: Form, to: &Path) -> Outcome {
    let mut command = process::cargo(&workspace.root, ["build", "--bin", BINARY]);
    match form {
        Form::Release => command.args(["--locked", "--package", SERVER, "--release"]),
        Form::Dev => command.args(["--locked", "--package", SERVER]),
        // With a test in the same call cargo chooses the features that all tests are built with: after those it is there.
        Form::WithMistakes => command.args(test::FORM).args(["--test", ANY_TEST]),
    };
    match process::run(&mut command) {
        Outcome::Passed => {}
        other => return other,
    }
    let profile = if form == Form::Release { "release" } else { "debug" };
    let built = workspace.target.join(profile).join(format!("{BINARY}{}", std::env::consts::EXE_SUFFIX));
    let copied = to.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| {
        // One that still runs can't be written over.
        let _ = std::fs::remove_file(to);
        std::fs::copy(&built, to)
    });
    match copied {
        Ok(_) => Outcome::Passed,
        Err(error) => Outcome::Failed(format!("{} could not be copied: {error}", built.display())),
    }
}
