//! Redis and PostgreSQL: found, brought here where they are missing, and started for tests and benchmarks.
//!
//! Packages of Debian's kind are unpacked under the target directory, so that nothing is installed and no service starts.
//! Only where that is not possible a package manager is asked to install, which is said before.

use std::process::Command;

use test_services::{Backend, Error, Place, Server};

use crate::report::{Outcome, Report};
use crate::workspace::Workspace;
use crate::{debian, process};

/// The packages that hold the programs; the first choice that the distribution has is taken.
const REDIS_PACKAGES: &[&[&str]] = &[&["redis-server", "redis-tools"]];
const POSTGRES_PACKAGES: &[&[&str]] = &[&["postgresql-18"], &["postgresql-17"], &["postgresql-16"], &["postgresql-15"]];

/// The servers that a command uses; those that it started end with this.
pub(crate) struct Services {
    urls: Vec<(Backend, String)>,
    started: Vec<Server>,
}

impl Services {
    /// One step for each: the server that is named or that `cargo xtask up` has started, else one started now.
    pub(crate) fn prepare(workspace: &Workspace, may_install: bool, report: &mut Report) -> Self {
        let place = place(workspace);
        let mut services = Self { urls: Vec::new(), started: Vec::new() };
        for backend in Backend::ALL {
            report.step(backend.name(), || {
                if let Some(url) = backend.shared_url(&place) {
                    println!("    the one at {} is used", without_password(&url));
                    services.urls.push((backend, url));
                    return Outcome::Passed;
                }
                match find_or_install(backend, &place, may_install).and_then(|()| start(backend, &place)) {
                    Ok(server) => {
                        println!("    started at {}; it ends with this command", without_password(&server.url()));
                        services.urls.push((backend, server.url()));
                        services.started.push(server);
                        Outcome::Passed
                    }
                    Err(outcome) => outcome,
                }
            });
        }
        services
    }

    /// Names the servers to what a command starts.
    pub(crate) fn name_to(&self, command: &mut Command) {
        for backend in Backend::ALL {
            let url = self.urls.iter().find(|(of, _)| *of == backend).map(|(_, url)| url.as_str());
            // Empty: what could not be started here is not looked for again.
            command.env(backend.variable(), url.unwrap_or_default());
        }
    }
}

/// Where servers live.
pub(crate) fn place(workspace: &Workspace) -> Place {
    Place::under(&workspace.target)
}

fn start(backend: Backend, place: &Place) -> Result<Server, Outcome> {
    backend.start_private(place).map_err(|error| Outcome::Failed(error.to_string()))
}

/// Looks for the program, and brings it here unless that is forbidden.
pub(crate) fn find_or_install(backend: Backend, place: &Place, may_install: bool) -> Result<(), Outcome> {
    let found = || match backend.find(place) {
        Ok(program) => {
            let (major, minor) = program.version();
            println!("    {} (version {major}.{minor})", program.path().display());
            Ok(())
        }
        Err(error) => Err(error),
    };
    match found() {
        Ok(()) => Ok(()),
        Err(Error::Missing { .. }) if may_install => {
            let brought = install(backend, place);
            found().map_err(|error| {
                absent(brought.err().map_or_else(|| error.to_string(), |why| format!("{why}; {error}")))
            })
        }
        Err(missing @ Error::Missing { .. }) => Err(absent(format!("{missing}; --no-install forbids to bring it"))),
        Err(error) => Err(Outcome::Failed(error.to_string())),
    }
}

/// Tests without their server are skipped; where nobody watches, that is a failure.
fn absent(why: String) -> Outcome {
    if std::env::var_os("CI").is_some_and(|value| !value.is_empty()) {
        Outcome::Failed(format!("{why} (CI is set: what needs it would be left out unseen)"))
    } else {
        Outcome::Skipped(format!("{why}; tests that need it are skipped"))
    }
}

fn install(backend: Backend, place: &Place) -> Result<(), String> {
    let home = place.tools().map_err(|error| error.to_string())?.join(backend.name());
    if process::ask(Command::new("dpkg-deb").arg("--version")).is_ok() {
        println!(
            "    {} is missing; the distribution's packages are unpacked into {} now",
            backend.name(),
            home.display()
        );
        let choices = if backend == Backend::Redis { REDIS_PACKAGES } else { POSTGRES_PACKAGES };
        return first_that_works(choices, &home);
    }
    if process::ask(Command::new("brew").arg("--version")).is_ok() {
        let formula = if backend == Backend::Redis { "redis" } else { "postgresql@17" };
        println!("    {} is missing; Homebrew installs {formula} now, without starting it", backend.name());
        return match process::run(Command::new("brew").args(["install", "--quiet", formula])) {
            Outcome::Failed(why) => Err(why),
            _ => Ok(()),
        };
    }
    Err("neither apt-get and dpkg-deb nor brew is here to bring it".to_owned())
}

fn first_that_works(choices: &[&[&str]], home: &std::path::Path) -> Result<(), String> {
    let mut why = String::new();
    for packages in choices {
        match debian::unpack(packages, home) {
            Ok(()) => return Ok(()),
            Err(error) => why = error,
        }
    }
    Err(why)
}

/// The URL as a log may show it.
fn without_password(url: &str) -> String {
    match (url.split_once("://"), url.rsplit_once('@')) {
        (Some((scheme, _)), Some((_, place))) => format!("{scheme}://…@{place}"),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_shows_no_password() {
        assert_eq!(without_password("redis://:secret@127.0.0.1:1/0"), "redis://…@127.0.0.1:1/0");
        assert_eq!(without_password("redis://127.0.0.1:1"), "redis://127.0.0.1:1");
    }
}
