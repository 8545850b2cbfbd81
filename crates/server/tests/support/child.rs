//! The binary as a process, on ports that the system chooses.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use tempfile::TempDir;

pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_tiergate");

/// A running server. It ends with the test.
pub(crate) struct Server {
    pub(crate) public: SocketAddr,
    pub(crate) admin: SocketAddr,
    /// What it printed up to its addresses.
    child: Child,
    output: BufReader<ChildStdout>,
    _directory: TempDir,
}

/// The binary, away from the settings of whoever runs the tests.
pub(crate) fn tiergate(directory: &TempDir, args: &[&str]) -> Command {
    let mut command = Command::new(BINARY);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TIERGATE_") {
            command.env_remove(name);
        }
    }
    command.current_dir(directory.path()).args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Runs a command to its end.
pub(crate) fn run(args: &[&str]) -> Output {
    tiergate(&tempfile::tempdir().unwrap(), args).output().unwrap()
}

/// Starts a command, and leaves it running.
pub(crate) fn spawn(args: &[&str]) -> Child {
    // What it works on is named by absolute paths.
    tiergate(&tempfile::tempdir().unwrap(), args).current_dir("/").spawn().unwrap()
}

impl Server {
    /// Starts with an empty data directory and no demo world.
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::start_with(args, &[])
    }

    /// The same with further variables in its environment.
    pub(crate) fn start_with(args: &[&str], environment: &[(&str, &str)]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut all = vec!["serve", "--port", "0", "--admin-port", "0"];
        all.extend(args);
        let mut command = tiergate(&directory, &all);
        let mut child = command.env("TIERGATE_DATA__DEMO", "off").envs(environment.iter().copied()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let (mut public, mut admin) = (None, None);
        for line in output.by_ref().lines().map(Result::unwrap) {
            let address = || line.rsplit("://").next().unwrap().parse().ok();
            if line.contains("decisions") {
                public = address();
            } else if line.contains("administration") {
                admin = address();
                break;
            }
        }
        let (Some(public), Some(admin)) = (public, admin) else {
            let output = child.wait_with_output().unwrap();
            panic!("the server did not start: {}", String::from_utf8_lossy(&output.stderr));
        };
        Self { public, admin, child, output, _directory: directory }
    }

    /// Asks it to end, as an operator does.
    pub(crate) fn terminate(&self) {
        self.signal("-TERM");
    }

    /// Asks it to read its keys anew, as an operator does.
    pub(crate) fn hang_up(&self) {
        self.signal("-HUP");
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// The process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Its exit status and its log, once it has ended.
    pub(crate) fn ended(&mut self) -> (Option<i32>, String) {
        let mut log = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        (self.child.wait().unwrap().code(), log)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
