//! OpenFGA's libraries for Python and JavaScript, with which the tests walk through the server.
//!
//! Nothing is installed outside of the workspace's target directory, and nothing unannounced.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::process;
use crate::report::Outcome;
use crate::workspace::Workspace;

/// A library that a program of its language loads from a directory.
#[derive(Debug)]
pub(crate) struct Library {
    /// What the step of the report is called.
    pub(crate) title: &'static str,
    /// Names the directory for the tests.
    pub(crate) variable: &'static str,
    /// The directory's name among the tools.
    directory: &'static str,
    /// The package with its version, as its registry's client reads it.
    package: &'static str,
    /// The program, the variable by which it finds the library, and arguments under which it ends well where it does.
    program: &'static str,
    path: &'static str,
    probe: [&'static str; 2],
    /// The command that installs a package into the directory that comes after these arguments.
    install: &'static [&'static str],
}

/// `openfga-sdk` from the Python registry.
pub(crate) const PYTHON: Library = Library {
    title: "client library for Python",
    variable: "TIERGATE_OPENFGA_PYTHON",
    directory: "openfga-python",
    package: "openfga-sdk==0.10.5",
    program: "python3",
    path: "PYTHONPATH",
    probe: ["-c", "import openfga_sdk"],
    install: &["python3", "-m", "pip", "install", "--quiet", "--target"],
};

/// `@openfga/sdk` from the JavaScript registry.
pub(crate) const JAVASCRIPT: Library = Library {
    title: "client library for JavaScript",
    variable: "TIERGATE_OPENFGA_JAVASCRIPT",
    directory: "openfga-javascript",
    package: "@openfga/sdk@0.9.7",
    program: "node",
    path: "NODE_PATH",
    probe: ["-e", "require('@openfga/sdk')"],
    install: &["npm", "install", "--silent", "--no-audit", "--no-fund", "--no-save", "--prefix"],
};

impl Library {
    /// The directory: the one that was named, one that was filled here before, or one filled now.
    pub(crate) fn find_or_install(&self, workspace: &Workspace, may_install: bool) -> Result<PathBuf, Outcome> {
        let home = workspace.target.join("tools").join(self.directory);
        let named = std::env::var_os(self.variable).map(PathBuf::from);
        if let Some(found) = named.into_iter().chain([self.within(&home)]).find(|path| self.works(path)) {
            return Ok(found);
        }
        let Self { package, program, .. } = self;
        if !may_install {
            return Err(Outcome::Skipped(format!("{package} is not installed; leave out --no-install")));
        }
        println!("    {package} is not installed; it goes into {} now", home.display());
        let [installer, arguments @ ..] = self.install else { return Err(Outcome::Skipped(String::new())) };
        let mut install = Command::new(installer);
        install.args(arguments).arg(&home).arg(package).env("PIP_ROOT_USER_ACTION", "ignore");
        match process::run(&mut install) {
            Outcome::Passed if self.works(&self.within(&home)) => Ok(self.within(&home)),
            Outcome::Passed => Err(Outcome::Skipped(format!("{package} was installed, and {program} can't load it"))),
            // Without a program or a registry nothing says that the code is wrong: the walk shows as skipped.
            Outcome::Failed(why) => Err(Outcome::Skipped(format!("{package} could not be installed: {why}"))),
            other => Err(other),
        }
    }

    fn within(&self, home: &Path) -> PathBuf {
        if self.program == "node" { home.join("node_modules") } else { home.to_owned() }
    }

    fn works(&self, path: &PathBuf) -> bool {
        path.is_dir() && process::ask(Command::new(self.program).args(self.probe).env(self.path, path)).is_ok()
    }
}
