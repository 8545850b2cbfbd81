//! Tools that cargo does not bring along: where they are, and how they come here.
//!
//! Nothing is installed outside of the workspace's target directory, and nothing is installed unannounced.

use std::path::PathBuf;

use crate::process;
use crate::report::Outcome;
use crate::workspace::Workspace;

/// A program from a registry of crates.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tool {
    pub(crate) krate: &'static str,
    pub(crate) binary: &'static str,
    /// As `cargo install --version` reads it.
    pub(crate) version: &'static str,
    /// How long a build takes on two cores, in words.
    pub(crate) takes: &'static str,
}

impl Tool {
    /// The tool's path: one that was installed here before, else one from PATH, else one built now.
    pub(crate) fn find_or_install(&self, workspace: &Workspace, may_install: bool) -> Result<PathBuf, Outcome> {
        if let Some(path) = self.find(workspace) {
            return Ok(path);
        }
        if !may_install {
            let Self { krate, version, .. } = self;
            return Err(Outcome::Skipped(format!(
                "{krate} is not installed; leave out --no-install, or run \
                 `cargo install {krate} --locked --version '{version}'`"
            )));
        }
        let home = home(workspace);
        println!("    {} is not installed; it is built now, once, into {}", self.krate, home.display());
        println!("    ({} on two cores; --no-install leaves this check out)", self.takes);
        // Unoptimized, it is there sooner, and reads a workspace in seconds all the same.
        let mut install = process::cargo(&workspace.root, ["install", "--locked", "--quiet", "--debug", "--root"]);
        install.arg(&home).args(["--version", self.version, self.krate]);
        // Without this the tool would be built among our own crates, and would wait for whoever builds those.
        install.env_remove("CARGO_TARGET_DIR");
        match process::run(&mut install) {
            Outcome::Passed => self.find(workspace).ok_or_else(|| {
                Outcome::Failed(format!("{} was installed and {} does not start", self.krate, self.binary))
            }),
            // Without a registry nothing says that the code is wrong, nor that it is right.
            Outcome::Failed(why) => Err(Outcome::Skipped(format!("{} could not be installed: {why}", self.krate))),
            other => Err(other),
        }
    }

    fn find(&self, workspace: &Workspace) -> Option<PathBuf> {
        [home(workspace).join("bin").join(self.binary), PathBuf::from(self.binary)].into_iter().find(|program| {
            // cargo's plug-ins expect their own name first when they are called directly; `--version` works anyway.
            process::ask(std::process::Command::new(program).arg("--version")).is_ok()
        })
    }
}

fn home(workspace: &Workspace) -> PathBuf {
    workspace.target.join("tools")
}
