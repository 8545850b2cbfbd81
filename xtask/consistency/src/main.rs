//! Runs several servers on real Redis and PostgreSQL under load and faults, and judges from outside whether any answer broke the promise: no allow
//! that was asked for after a revocation was acknowledged.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool speaks on its standard streams")]
#![allow(clippy::disallowed_methods, reason = "it measures other processes in real time")]

mod caused;
mod cluster;
mod faults;
mod heal;
mod history;
mod http;
mod judge;
mod load;
mod planted;
mod report;
mod run;
mod world;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

/// Judge whether several servers keep their promise under faults.
#[derive(Debug, Parser)]
#[command(name = "consistency")]
pub(crate) struct Args {
    /// The server's program
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// The program of another release, which instances run in turns with the server's: side by side, and each at its own starts
    #[arg(long, value_name = "FILE", requires = "binary")]
    beside: Option<PathBuf>,
    /// The server's program that can make mistakes; without it none is planted
    #[arg(long, value_name = "FILE")]
    mistakes: Option<PathBuf>,
    /// Only this mistake
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// How long load and faults last
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    seconds: u64,
    /// Instances, of which every third has all tiers, a small memory, no memory
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u8).range(2..=9))]
    instances: u8,
    /// Threads that grant and revoke, beside one that does so by SQL
    #[arg(long, value_name = "N", default_value_t = 3)]
    writers: usize,
    /// Revocations a second that all writers begin together, at most; without, each begins one when it has been told about the last
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    changes: Option<u32>,
    /// Questions a second on each instance beside those about what was just changed; most are batches
    #[arg(long, value_name = "N", default_value_t = 40)]
    pace: u32,
    /// Questions in one batch
    #[arg(long, value_name = "N", default_value_t = world::DOCUMENTS, value_parser = clap::value_parser!(u32).range(1..=i64::from(world::DOCUMENTS)))]
    batch: u32,
    /// Decides which faults come when, and what is asked; drawn where it is not given
    #[arg(long)]
    seed: Option<u64>,
    /// No faults: for latencies
    #[arg(long)]
    calm: bool,
    /// What was built, for the report
    #[arg(long, default_value = "unknown")]
    commit: String,
    /// Where the programs of the servers behind are found
    #[arg(long, value_name = "DIR", default_value = "target")]
    target: PathBuf,
    /// Where history, report and logs go
    #[arg(long, value_name = "DIR", default_value = "target/consistency")]
    output: PathBuf,
    /// Judge a history of before, and run nothing
    #[arg(long, value_name = "FILE")]
    judge: Option<PathBuf>,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match run::all(&args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("error: {why}");
            ExitCode::from(2)
        }
    }
}
