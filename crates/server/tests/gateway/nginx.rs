//! nginx as a process, on a socket in a directory of its own. It ends with the test.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Names the program; `cargo xtask test` sets it.
const PROGRAM: &str = "TIERGATE_NGINX";
/// Longer than anything that a test waits for.
const PATIENCE: Duration = Duration::from_secs(20);

/// The program, if there is one.
pub(crate) fn program() -> Option<PathBuf> {
    let named = std::env::var_os(PROGRAM).map(PathBuf::from);
    let usual = ["nginx", "/usr/sbin/nginx"].map(PathBuf::from);
    let works = |program: &PathBuf| Command::new(program).arg("-v").output().is_ok_and(|said| said.status.success());
    let found = named.into_iter().chain(usual).find(works);
    if found.is_none() {
        println!(
            "SKIPPED the walk through nginx: it is not installed; run cargo xtask test, or install nginx and name it in {PROGRAM}"
        );
        assert!(std::env::var_os("CI").is_none(), "in CI nginx has to be there");
    }
    found
}

pub(crate) struct Nginx {
    child: Child,
    socket: PathBuf,
}

/// An answer that came through nginx.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Nginx {
    /// Where it listens: a socket, because a free port could be taken by somebody else before nginx has it.
    pub(crate) fn socket(directory: &Path) -> PathBuf {
        directory.join("nginx.sock")
    }

    /// Starts with one site, and returns when it takes connections.
    pub(crate) fn start(program: &Path, directory: &Path, site: &str) -> Self {
        let at = directory.display();
        let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|name| format!("    {name}_temp_path {at}/{name};\n"))
            .concat();
        let config = format!(
            "daemon off;\nmaster_process off;\npid {at}/nginx.pid;\nerror_log {at}/error.log notice;\n\
             events {{}}\nhttp {{\n    access_log off;\n{temporary}{site}}}\n"
        );
        let file = directory.join("nginx.conf");
        std::fs::write(&file, config).unwrap();
        let mut command = Command::new(program);
        command.arg("-e").arg(directory.join("error.log")).arg("-p").arg(directory).arg("-c").arg(file);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let mut nginx = Self { child, socket: Self::socket(directory) };
        while UnixStream::connect(&nginx.socket).is_err() {
            let ended = nginx.child.try_wait().unwrap();
            let log = || std::fs::read_to_string(directory.join("error.log")).unwrap_or_default();
            assert!(ended.is_none(), "nginx did not start: {}", log());
            std::thread::yield_now();
        }
        nginx
    }

    /// Sends one request as it stands, on a connection that the request closes.
    pub(crate) fn send(&self, request: &str) -> Answer {
        let mut stream = UnixStream::connect(&self.socket).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let (head, body) = text.split_once("\r\n\r\n").expect("an answer with an end to its head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Answer { status, head: head.to_owned(), body: body.to_owned() }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
