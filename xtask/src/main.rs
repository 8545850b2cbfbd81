//! The workspace's own commands, run as `cargo xtask NAME`.
//!
//! What happens here happens from outside, as a user would do it: xtask starts cargo and its tools, reads files and
//! `cargo metadata`, and imports none of the product's crates.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool speaks on its standard streams")]
#![allow(clippy::disallowed_methods, reason = "a tool of the workspace may read the clock and the environment")]

mod bench;
mod ci;
mod clients;
mod consistency;
mod debian;
mod lint;
mod nginx;
mod process;
mod reference;
mod report;
mod services;
mod test;
mod tidy;
mod tool;
mod up;
mod workspace;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::report::Report;
use crate::workspace::Workspace;

/// The commands of this workspace: test it, check it, measure it.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "New here?  `cargo xtask test` builds everything and runs every test.\n\
                  While developing:  `cargo xtask up` starts Redis and PostgreSQL, `cargo xtask down` stops them.\n\
                  Before a pull request:  `cargo xtask ci` runs what CI runs, in CI's order.\n\
                  `cargo xtask NAME --help` says what a command does, needs and prints.\n\n\
                  Exit status: 0 when everything passed, 1 when something failed, 2 for a wrong command line, \
                  130 when interrupted."
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Test(test::Args),
    Lint(lint::Args),
    Tidy(tidy::Args),
    Bench(bench::Args),
    Consistency(consistency::Args),
    Ci(ci::Args),
    Up(up::UpArgs),
    Down(up::DownArgs),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    process::forward_signals();
    let workspace = match Workspace::find() {
        Ok(workspace) => workspace,
        Err(why) => {
            eprintln!("error: {why}");
            return ExitCode::FAILURE;
        }
    };
    let mut report = Report::default();
    let planned = match cli.command {
        Command::Test(args) => test::run(&workspace, &args, &mut report),
        Command::Lint(args) => lint::run(&workspace, &args, &mut report),
        Command::Tidy(args) => tidy::run(&workspace, &args, &mut report),
        Command::Bench(args) => bench::run(&workspace, &args, &mut report),
        Command::Consistency(args) => consistency::run(&workspace, &args, &mut report),
        Command::Ci(args) => ci::run(&workspace, &args, &mut report),
        Command::Up(args) => up::up(&workspace, &args, &mut report),
        Command::Down(args) => up::down(&workspace, &args, &mut report),
    };
    if let Err(why) = planned {
        eprintln!("error: {why}");
        return ExitCode::FAILURE;
    }
    report.finish()
}
