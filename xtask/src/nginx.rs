//! nginx, which a test walks through: found on the machine, or unpacked from the distribution's package under the target directory.
//!
//! Nothing is installed outside of that directory, so that no service starts and nobody has to be root; and nothing unannounced.

use std::path::PathBuf;
use std::process::Command;

use crate::debian;
use crate::process;
use crate::report::Outcome;
use crate::workspace::Workspace;

/// Names the program for the tests.
pub(crate) const PROGRAM: &str = "TIERGATE_NGINX";
/// The packages that hold the program, by the release of the distribution; the first one that has it is taken.
const PACKAGES: [&str; 2] = ["nginx", "nginx-light"];
const REMEDY: &str = "install nginx with the system's packages (`apt-get install nginx-light`), or name it in TIERGATE_NGINX; \
                      the walk through it is skipped";

/// The program: the one that was named, one from the machine, one that was unpacked here before, or one unpacked now.
pub(crate) fn find_or_install(workspace: &Workspace, may_install: bool) -> Result<PathBuf, Outcome> {
    let home = workspace.target.join("tools").join("nginx");
    let here = home.join("usr").join("sbin").join("nginx");
    let named = std::env::var_os(PROGRAM).map(PathBuf::from);
    let usual = [PathBuf::from("nginx"), PathBuf::from("/usr/sbin/nginx"), here.clone()];
    if let Some(found) = named.into_iter().chain(usual).find(works) {
        return Ok(found);
    }
    if !may_install {
        return Err(Outcome::Skipped(format!("nginx is not installed; leave out --no-install, or {REMEDY}")));
    }
    println!("    nginx is not installed; the distribution's package is unpacked into {} now", home.display());
    let mut why = String::new();
    for package in PACKAGES {
        match debian::unpack(&[package], &home) {
            Ok(()) if works(&here) => return Ok(here),
            Ok(()) => why = format!("the package {package} holds no nginx that starts"),
            Err(error) => why = error,
        }
    }
    // Without a package nothing says that the code is wrong: the walk shows as skipped.
    Err(Outcome::Skipped(format!("nginx could not be unpacked: {why}; {REMEDY}")))
}

fn works(program: &PathBuf) -> bool {
    process::ask(Command::new(program).arg("-v")).is_ok()
}
