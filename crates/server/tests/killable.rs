//! The server as a process of its own. Dropping it kills it (SIGKILL): it gets no chance to end anything.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

pub(crate) struct Process {
    child: Child,
    address: SocketAddr,
}

impl Process {
    /// Starts on a data directory, on free ports, without a demo world, with further arguments.
    pub(crate) fn start(data: &Path, further: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tiergate"));
        // Away from the settings of whoever runs the tests, and from what only tests read.
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TIERGATE_")) {
            command.env_remove(name);
        }
        let mut child = command
            .args(["serve", "--port", "0", "--admin-port", "0", "--demo", "off", "--log-level", "error", "--data"])
            .arg(data)
            .args(further)
            .current_dir(data)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let address = output
            .lines()
            .map_while(Result::ok)
            .find_map(|line| line.trim().strip_prefix("decisions")?.trim().strip_prefix("http://")?.parse().ok())
            .unwrap_or_else(|| panic!("the server did not start: {:?}", child.wait()));
        Self { child, address }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
