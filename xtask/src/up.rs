//! `cargo xtask up` and `down`: private servers that outlive the command, for developing and for tests that are run one by one.

use test_services::{Backend, environment, stop_shared, write_environment};

use crate::report::{Outcome, Report};
use crate::services;
use crate::workspace::Workspace;

/// Start Redis and PostgreSQL for development, and print how to reach them.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Both listen on free ports of 127.0.0.1 with passwords made up for them, keep their data under \
                        target/services, and run until `cargo xtask down`. Tests find them by themselves. A second `up` \
                        finds what runs.\n\n\
                        What is not installed is brought first: packages of Debian's kind are unpacked into \
                        target/tools, elsewhere Homebrew installs. --no-install forbids both.\n\n\
                        To have the environment in a shell: `. target/services/environment`"
)]
pub(crate) struct UpArgs {
    /// Bring nothing that is missing
    #[arg(long)]
    no_install: bool,
}

/// Stop what `cargo xtask up` started, and remove its data.
#[derive(Debug, clap::Args)]
pub(crate) struct DownArgs {}

pub(crate) fn up(workspace: &Workspace, args: &UpArgs, report: &mut Report) -> Result<(), String> {
    let place = services::place(workspace);
    let mut urls = Vec::new();
    for backend in Backend::ALL {
        report.step(backend.name(), || {
            if let Some(url) = backend.running_url(&place) {
                println!("    it runs");
                urls.push((backend, url));
                return Outcome::Passed;
            }
            if let Err(outcome) = services::find_or_install(backend, &place, !args.no_install) {
                return outcome;
            }
            match backend.start_shared(&place) {
                Ok(url) => {
                    urls.push((backend, url));
                    Outcome::Passed
                }
                Err(error) => Outcome::Failed(error.to_string()),
            }
        });
    }
    if urls.is_empty() {
        return Ok(());
    }
    report.step("environment", || match write_environment(&place, &urls) {
        Ok(()) => {
            println!("    in {}:\n\n{}", place.environment().display(), environment(&urls));
            Outcome::Passed
        }
        Err(error) => Outcome::Failed(error.to_string()),
    });
    Ok(())
}

pub(crate) fn down(workspace: &Workspace, _: &DownArgs, report: &mut Report) -> Result<(), String> {
    report.step("down", || match stop_shared(&services::place(workspace)) {
        Ok(ended) if ended.is_empty() => {
            println!("    nothing ran");
            Outcome::Passed
        }
        Ok(ended) => {
            println!("    stopped {}; their data are removed", ended.join(" and "));
            Outcome::Passed
        }
        Err(error) => Outcome::Failed(error.to_string()),
    });
    Ok(())
}
