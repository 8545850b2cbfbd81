//! `cargo xtask ci`: what CI runs, in CI's order. CI itself calls this and adds nothing.

use crate::report::Report;
use crate::services::Services;
use crate::workspace::Workspace;
use crate::{bench, consistency, lint, test};

/// Run what CI runs: lint, test, consistency --dev, bench --quick --dev.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The same as `cargo xtask lint`, `cargo xtask test`, `cargo xtask consistency --dev --seed 3` and \
                        `cargo xtask bench --quick --dev` one after the other, with one table at the end that says how long each step took. It stops at the \
                        first failure."
)]
pub(crate) struct Args {
    /// Run the later steps although an earlier one failed
    #[arg(long)]
    keep_going: bool,
    /// Leave out a check whose tool is not installed, instead of building the tool
    #[arg(long)]
    no_install: bool,
}

pub(crate) fn run(workspace: &Workspace, args: &Args, report: &mut Report) -> Result<(), String> {
    if !args.keep_going {
        report.stop_at_failure();
    }
    lint::run(workspace, &lint::Args { no_install: args.no_install, ..lint::Args::default() }, report)?;
    let services = Services::prepare(workspace, !args.no_install, report);
    test::run_with(&services, workspace, &test::Args::everything(args.no_install), report)?;
    consistency::run(workspace, &consistency::Args::brief(args.no_install), report)?;
    bench::run_with(&services, workspace, &bench::Args::brief(), report)
}
