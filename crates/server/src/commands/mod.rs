//! The commands: what each does, what it prints, and its exit status (0 yes or done, 1 no, 2 it could not be carried out, 75 start the server again).

mod cache_train;
mod check;
mod config;
mod explanation;
mod export;
mod health;
mod import;
mod keys;
mod model_diff;
mod model_test;
mod model_test_http;
mod model_validate;
mod ring;
mod serve;

use std::fmt::Display;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use crate::cli::{CacheCommand, Cli, Command, ModelCommand};

/// The answer is yes, or what was asked for is done.
const YES: ExitCode = ExitCode::SUCCESS;
/// The answer is no.
const NO: u8 = 1;
/// The command could not be carried out.
const FAILED: u8 = 2;
/// The server ended because only another process can go on: start it again. `EX_TEMPFAIL` of sysexits(3).
const START_AGAIN: u8 = 75;

/// Runs a command line.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    match cli.command {
        None => serve::run(&cli.settings),
        Some(Command::Serve(settings)) => serve::run(&settings),
        Some(Command::Cache(CacheCommand::Train(args))) => cache_train::run(&args),
        Some(Command::Ring(command)) => ring::run(&command),
        Some(Command::Keys(command)) => keys::run(&command),
        Some(Command::Config(settings)) => config::run(&settings),
        Some(Command::Check(args)) => check::run(&args),
        Some(Command::Import(args)) => import::run(&args),
        Some(Command::Export(args)) => export::run(&args),
        Some(Command::Health(args)) => health::run(&args),
        Some(Command::Model(ModelCommand::Validate { file })) => model_validate::run(&file),
        Some(Command::Model(ModelCommand::Diff(args))) => model_diff::run(&args),
        Some(Command::Model(ModelCommand::Test(args))) => model_test::run(&args),
    }
}

/// Whether a file is a store file, by its name.
fn is_store_file(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default();
    name.ends_with(".fga.yaml") || name.ends_with(".fga.yml")
}

/// Prints to the standard output. Where nobody reads, as after `| head`, nobody misses it.
fn say(text: impl Display) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// Tells a person something that is no output.
fn note(text: impl Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Says why a command could not be carried out.
fn fail(error: impl Display) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "tiergate: {error}");
    ExitCode::from(FAILED)
}

/// A runtime for a command that asks one thing.
fn small_runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
