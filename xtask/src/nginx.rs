//! nginx, which a test walks through: found on the machine, or unpacked from the distribution's package under the target directory.
//!
//! Nothing is installed outside of that directory, so that no service starts and nobody has to be root; and nothing unannounced.

use std::path::{Path, PathBuf};
use std::process::Command;

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
        match unpack(package, &home) {
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

/// Downloads a package, after a look for new lists where the old ones don't have it, and unpacks it.
fn unpack(package: &str, home: &Path) -> Result<(), String> {
    // What an earlier attempt left is not taken for the package.
    let _ = std::fs::remove_dir_all(home);
    std::fs::create_dir_all(home).map_err(|error| format!("{}: {error}", home.display()))?;
    let download = || process::ask(Command::new("apt-get").args(["download", "--quiet", package]).current_dir(home));
    if download().is_err() {
        process::ask(Command::new("apt-get").args(["update", "--quiet"]))?;
        download()?;
    }
    let archive = std::fs::read_dir(home)
        .map_err(|error| error.to_string())?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|extension| extension == "deb"))
        .ok_or_else(|| format!("apt-get downloaded no package {package}"))?;
    process::ask(Command::new("dpkg-deb").arg("-x").arg(archive).arg(home)).map(|_| ())
}
