//! `cargo xtask lint`: every check that reads the code without running it.

use std::path::Path;
use std::process::Command;

use crate::report::{Outcome, Report};
use crate::tool::Tool;
use crate::workspace::Workspace;
use crate::{process, tidy};

const DENY: Tool = Tool { krate: "cargo-deny", binary: "cargo-deny", version: "^0.20", takes: "about three minutes" };
const MACHETE: Tool =
    Tool { krate: "cargo-machete", binary: "cargo-machete", version: "^0.9", takes: "about one minute" };
const TYPOS: Tool = Tool { krate: "typos-cli", binary: "typos", version: "^1.42", takes: "about three minutes" };

/// Check format, lints, dependencies, spelling and the workspace's own rules.
#[derive(Debug, Default, clap::Args)]
#[command(after_help = "Checks, in this order:\n  \
                        rustfmt        the format of every file\n  \
                        clippy         every target and feature, warnings denied\n  \
                        tidy           the workspace's own rules; see `cargo xtask tidy --help`\n  \
                        cargo-deny     licences, banned crates, sources (deny.toml)\n  \
                        cargo-machete  dependencies that nothing uses\n  \
                        typos          spelling (typos.toml)\n\n\
                        A tool that is not installed is built once into target/tools, which is said before it happens.\n\
                        A check that could not run is SKIPPED in the table, never passed.")]
pub(crate) struct Args {
    /// Correct what can be corrected: format, clippy's suggestions, spelling
    #[arg(long)]
    pub(crate) fix: bool,
    /// Also look for known vulnerabilities; fetches the advisory database
    #[arg(long)]
    pub(crate) advisories: bool,
    /// Leave out a check whose tool is not installed, instead of building the tool
    #[arg(long)]
    pub(crate) no_install: bool,
}

pub(crate) fn run(workspace: &Workspace, args: &Args, report: &mut Report) -> Result<(), String> {
    let root = workspace.root.as_path();
    report.step("rustfmt", || {
        let check: &[&str] = if args.fix { &[] } else { &["--check"] };
        let outcome = process::run(process::cargo(root, ["fmt", "--all"]).args(check));
        advise(outcome, "`cargo xtask lint --fix` formats the files")
    });
    report.step("clippy", || {
        let mut command = process::cargo(root, ["clippy"]);
        if args.fix {
            command.args(["--fix", "--allow-dirty", "--allow-staged"]);
        }
        command.args(["--workspace", "--all-targets", "--all-features", "--locked", "--", "-D", "warnings"]);
        advise(process::run(&mut command), "each message above says where; `cargo xtask lint --fix` corrects some")
    });
    report.step("tidy", || tidy::check(workspace));

    let with = |tool: Tool, call: &dyn Fn(Command) -> Outcome| match tool.find_or_install(workspace, !args.no_install) {
        Ok(program) => call(at(root, &program)),
        Err(outcome) => outcome,
    };
    report.step("cargo-deny", || {
        with(DENY, &|mut deny| {
            deny.args([
                "--locked",
                "--all-features",
                "check",
                "--hide-inclusion-graph",
                "--allow",
                "unused-wrapper",
                "bans",
                "licenses",
                "sources",
            ]);
            if args.advisories {
                deny.arg("advisories");
            }
            advise(process::run(&mut deny), "each error above names its rule in deny.toml")
        })
    });
    report.step("cargo-machete", || {
        with(MACHETE, &|mut machete| {
            // With the metadata it knows that our libraries are called otherwise than their packages.
            machete.arg("--with-metadata");
            advise(process::run(&mut machete), "remove the dependencies listed above from their Cargo.toml")
        })
    });
    report.step("typos", || {
        with(TYPOS, &|mut typos| {
            if args.fix {
                typos.arg("--write-changes");
            }
            let advice = "correct them (`cargo xtask lint --fix`), or teach typos.toml the word";
            advise(process::run(&mut typos), advice)
        })
    });
    Ok(())
}

fn at(root: &Path, program: &Path) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root);
    command
}

/// Replaces "ended with exit status 1", which the output above explains, by what to do.
fn advise(outcome: Outcome, advice: &str) -> Outcome {
    match outcome {
        Outcome::Failed(why) if why.contains("exit status") => Outcome::Failed(advice.to_owned()),
        other => other,
    }
}
