//! `cargo xtask test`: everything that somebody needs who has just cloned the repository.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::clients::{self, Library};
use crate::nginx;
use crate::process;
use crate::reference;
use crate::report::{Outcome, Report};
use crate::services::Services;
use crate::workspace::Workspace;

/// Names the directory of further store files for the tests that read such files.
const STORES: &str = "TIERGATE_TEST_STORES";

/// What the tests are built as: all crates, with the mistakes that some tests plant. Whatever else is built like this is there already.
pub(crate) const FORM: [&str; 4] = ["--locked", "--workspace", "--features", WITH_MISTAKES];
const WITH_MISTAKES: &str =
    "tiergate-authz/mistakes,tiergate-pg-log/mistakes,tiergate-cache-pg/mistakes,tiergate-server/mistakes";

/// Build everything and run every test.
#[derive(Debug, Default, clap::Args)]
#[command(
    after_help = "Unit and integration tests run under cargo-nextest (one process a test, no retries, a hanging \
                        test is ended); where it is not installed, under `cargo test`. Doc tests run under `cargo test` \
                        in both cases. Redis and PostgreSQL are those that TIERGATE_TEST_REDIS_URL and \
                        TIERGATE_TEST_POSTGRES_URL name, or those of `cargo xtask up`, or are started for the time of the \
                        command.\n\n\
                        Examples:\n  \
                        cargo xtask test\n  \
                        cargo xtask test --filter late_fill\n  \
                        cargo xtask test --filter 'package(tiergate-cache-core) & !test(shuttle)'\n  \
                        cargo xtask test --stores ../my-stores"
)]
pub(crate) struct Args {
    /// Also test with the store files in this directory (passed on as TIERGATE_TEST_STORES)
    #[arg(long, value_name = "DIR")]
    stores: Option<PathBuf>,
    /// Only tests whose name contains EXPR, or that match it as a filter expression of cargo-nextest
    #[arg(long, value_name = "EXPR")]
    filter: Option<String>,
    /// Install nothing: tests that need Redis, PostgreSQL, the reference engine, client libraries or nginx are skipped where those are missing
    #[arg(long)]
    no_install: bool,
}

impl Args {
    /// All tests, for `cargo xtask ci`.
    pub(crate) fn everything(no_install: bool) -> Self {
        Self { no_install, ..Self::default() }
    }
}

pub(crate) fn run(workspace: &Workspace, args: &Args, report: &mut Report) -> Result<(), String> {
    let services = Services::prepare(workspace, !args.no_install, report);
    run_with(&services, workspace, args, report)
}

/// As `run`, with servers that were prepared before.
pub(crate) fn run_with(
    services: &Services,
    workspace: &Workspace,
    args: &Args,
    report: &mut Report,
) -> Result<(), String> {
    let stores = args.stores.as_deref().map(directory).transpose()?;
    let filter = args.filter.as_deref().map(Filter::read);
    report.step("toolchain", || toolchain(workspace));
    let mut engine = None;
    report.step("reference engine", || match reference::find_or_install(workspace, !args.no_install) {
        Ok(program) => {
            println!("    {}", program.display());
            engine = Some(program);
            Outcome::Passed
        }
        Err(outcome) => outcome,
    });
    let mut gateway = None;
    report.step("nginx", || match nginx::find_or_install(workspace, !args.no_install) {
        Ok(program) => {
            println!("    {}", program.display());
            gateway = Some(program);
            Outcome::Passed
        }
        Err(outcome) => outcome,
    });
    let mut libraries: Vec<(&Library, PathBuf)> = Vec::new();
    for library in [&clients::PYTHON, &clients::JAVASCRIPT] {
        report.step(library.title, || match library.find_or_install(workspace, !args.no_install) {
            Ok(directory) => {
                println!("    {}", directory.display());
                libraries.push((library, directory));
                Outcome::Passed
            }
            Err(outcome) => outcome,
        });
    }
    let cargo = |words: &[&str]| {
        let mut command = process::cargo(&workspace.root, words);
        services.name_to(&mut command);
        if let Some(stores) = &stores {
            command.env(STORES, stores);
        }
        if let Some(engine) = &engine {
            command.env(reference::PROGRAM, engine);
        }
        if let Some(gateway) = &gateway {
            command.env(nginx::PROGRAM, gateway);
        }
        for (library, directory) in &libraries {
            command.env(library.variable, directory);
        }
        command
    };
    let nextest = process::ask(process::cargo(&workspace.root, ["nextest", "--version"]).env_remove(STORES));
    report.step("unit and integration tests", || {
        let mut command = match (&nextest, &filter) {
            (Ok(_), filter) => {
                let mut command = cargo(&["nextest", "run"]);
                command.args(FORM);
                filter.iter().for_each(|filter| filter.narrow_nextest(&mut command));
                command
            }
            (Err(_), Some(Filter::Expression(text))) => {
                return Outcome::Failed(format!(
                    "`{text}` is a filter expression of cargo-nextest; install that with \
                     `cargo install cargo-nextest --locked`, or give a part of a test's name"
                ));
            }
            (Err(_), filter) => {
                println!(
                    "    cargo-nextest is not installed; `cargo test` runs the tests instead, without time limits."
                );
                println!(
                    "    To install it: `cargo install cargo-nextest --locked`, or a binary from https://nexte.st"
                );
                let mut command = cargo(&["test", "--workspace", "--locked", "--tests", "--no-fail-fast"]);
                if let Some(Filter::Name(name)) = filter {
                    command.args(["--", name]);
                }
                command
            }
        };
        process::run(&mut command)
    });
    if nextest.is_err() {
        // Tests of one binary share a process here, in which one mistake can be planted at a time, and is met by all.
        report.step("planted mistakes", || {
            if filter.is_some() {
                return Outcome::Skipped("a filter was given; without one they are run".to_owned());
            }
            let mut command = cargo(&["test"]);
            command.args(FORM).args(["--tests", "--no-fail-fast", "mistake", "--", "--test-threads", "1"]);
            process::run(&mut command)
        });
    }
    report.step("doc tests", || {
        let mut command = cargo(&["test", "--doc"]);
        command.args(FORM);
        match &filter {
            Some(Filter::Expression(_)) => {
                return Outcome::Skipped("a filter expression does not apply to doc tests".to_owned());
            }
            Some(Filter::Name(name)) => _ = command.args(["--", name]),
            None => {}
        }
        process::run(&mut command)
    });
    Ok(())
}

/// Which tests to run.
#[derive(PartialEq, Eq, Debug)]
enum Filter {
    /// Every runner understands a part of a name.
    Name(String),
    /// Only cargo-nextest understands this.
    Expression(String),
}

impl Filter {
    fn read(text: &str) -> Self {
        let of_a_name = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        if text.chars().all(of_a_name) { Self::Name(text.to_owned()) } else { Self::Expression(text.to_owned()) }
    }

    fn narrow_nextest(&self, command: &mut Command) {
        match self {
            Self::Name(name) => command.arg(name),
            Self::Expression(text) => command.args(["-E", text]),
        };
    }
}

fn directory(path: &Path) -> Result<OsString, String> {
    let absolute = path.canonicalize().map_err(|error| format!("--stores {}: {error}", path.display()))?;
    if absolute.is_dir() {
        Ok(absolute.into_os_string())
    } else {
        Err(format!("--stores {} is not a directory; give the one that holds the store files", path.display()))
    }
}

fn toolchain(workspace: &Workspace) -> Outcome {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let said = match process::ask(Command::new(rustc).current_dir(&workspace.root).arg("--version")) {
        Ok(said) => said,
        Err(why) => return Outcome::Failed(format!("{why}; install Rust from https://rustup.rs")),
    };
    println!("    {}", said.trim());
    let needed = workspace.rust_version().unwrap_or_default();
    match (version(&said), version(needed)) {
        (Some(have), Some(need)) if have < need => {
            Outcome::Failed(format!("Rust {needed} or newer is needed; `rustup update stable` brings it"))
        }
        _ => Outcome::Passed,
    }
}

/// The first `major.minor` in a text.
fn version(text: &str) -> Option<(u32, u32)> {
    text.split_whitespace().find_map(|word| {
        let mut numbers = word.split('.').map(str::parse);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_name_suits_every_runner_and_an_expression_only_nextest() {
        assert_eq!(Filter::read("read::late_fill"), Filter::Name("read::late_fill".to_owned()));
        assert_eq!(Filter::read("test(late)"), Filter::Expression("test(late)".to_owned()));
    }

    #[test]
    fn versions_compare_as_numbers() {
        assert_eq!(version("rustc 1.95.0 (abc 2026-03-21)"), Some((1, 95)));
        assert_eq!(version("1.90"), Some((1, 90)));
        assert_eq!(version("rustc"), None);
        assert!(version("1.100.0") > version("1.90"));
    }
}
