//! OpenFGA's libraries walk through the server, each by a script in its language.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::missing;
use crate::process::Process;

struct Library {
    title: &'static str,
    /// Names the directory that holds it; `cargo xtask test` sets it.
    variable: &'static str,
    program: &'static str,
    /// The variable by which the program finds the library.
    path: &'static str,
    probe: [&'static str; 2],
    script: &'static str,
}

/// What every walk goes through, one line each.
const STEPS: [&str; 13] = [
    "store",
    "model with a condition",
    "writes and deletes",
    "read",
    "check with context and contextual tuples",
    "batch check, also of more than one request takes",
    "list relations",
    "assertions",
    "changes",
    "list objects, plain and streamed",
    "list users",
    "expand",
    "faults surface at once",
];

#[test]
fn the_library_for_python_works_unmodified() {
    walk(&Library {
        title: "OpenFGA's library for Python",
        variable: "TIERGATE_OPENFGA_PYTHON",
        program: "python3",
        path: "PYTHONPATH",
        probe: ["-c", "import openfga_sdk"],
        script: "openfga_sdk_walk.py",
    });
}

#[test]
fn the_library_for_javascript_works_unmodified() {
    walk(&Library {
        title: "OpenFGA's library for JavaScript",
        variable: "TIERGATE_OPENFGA_JAVASCRIPT",
        program: "node",
        path: "NODE_PATH",
        probe: ["-e", "require('@openfga/sdk')"],
        script: "openfga_sdk_walk.cjs",
    });
}

fn walk(library: &Library) {
    let directory = std::env::var_os(library.variable).map(PathBuf::from);
    if !library.command(directory.as_deref()).args(library.probe).output().is_ok_and(|output| output.status.success()) {
        return missing(library.title);
    }
    let data = tempfile::tempdir().unwrap();
    let server = Process::start(data.path(), &[]);
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients");
    let output = library
        .command(directory.as_deref())
        .arg(here.join(library.script))
        .arg(format!("http://{}", server.address()))
        .arg(here.join("model.json"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let steps: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix("ok ")).collect();
    assert_eq!(steps, STEPS);
}

impl Library {
    fn command(&self, directory: Option<&Path>) -> Command {
        let mut command = Command::new(self.program);
        // A script that is run from a source tree leaves nothing behind in it.
        command.env("PYTHONDONTWRITEBYTECODE", "1");
        if let Some(directory) = directory {
            command.env(self.path, directory);
        }
        command
    }
}
