//! The `tiergate` command.

use std::process::ExitCode;

use clap::Parser;
use server::cli::Cli;

fn main() -> ExitCode {
    server::commands::run(Cli::parse())
}
