//! One server's process: started, asked until it is ready, stopped, paused, killed, and never left behind.
//!
//! A private server has a watchdog: a small shell that reads from a pipe which only we hold. When we end without having
//! stopped the server, however that comes about, the shell reads the end of the pipe, kills the server and removes its
//! directory. Servers lead process groups of their own, so that an interruption from the keyboard reaches whoever uses
//! them first.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::Signal;

use crate::error::Error;
use crate::place::Home;
use crate::{system, wait};

/// Lines of a server's log that an error shows.
const TAIL: usize = 20;

/// Ends with the word that says goodbye, or kills. A server that is paused can't end by itself: it is woken.
const WATCHDOG: &str = r#"
read -r goodbye && exit 0
kill -s "$3" "$1" && kill -s CONT "$1"
for _ in 1 2 3 4 5 6 7 8; do kill -s 0 "$1" || break; sleep 1; done
kill -s KILL "$1"
rm -rf "$2"
"#;

/// What to start, and how.
pub(crate) struct Plan {
    /// For messages: `redis on port 12345`.
    pub(crate) what: String,
    pub(crate) command: Box<dyn Fn() -> Command + Send + Sync>,
    /// Asks the server to end soon and cleanly.
    pub(crate) stop: Signal,
    /// Ends the server at once and lets it free what the system would keep.
    pub(crate) quit: Signal,
    /// Whether the process with this number answers; an error where it is certain that it never will.
    pub(crate) ready: Box<dyn Fn(u32) -> Result<bool, Error> + Send + Sync>,
}

/// A server's process with its directory.
pub(crate) struct Process {
    plan: Plan,
    running: Option<Running>,
    // Dropped last: the directory goes after the process.
    home: Home,
}

struct Running {
    server: Child,
    watchdog: Option<Child>,
}

impl Process {
    pub(crate) fn start(plan: Plan, home: Home) -> Result<Self, Error> {
        let mut process = Self { plan, running: None, home };
        process.launch()?;
        Ok(process)
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        self.running.as_ref().map(|running| running.server.id())
    }

    fn launch(&mut self) -> Result<(), Error> {
        let log = self.home.log();
        let open = || File::options().create(true).append(true).open(&log).map_err(Error::at(&log));
        let mut command = (self.plan.command)();
        command.stdin(Stdio::null()).stdout(open()?).stderr(open()?).process_group(0);
        let server = command.spawn().map_err(|error| {
            Error::failed(format!("{} did not start: {}: {error}", self.plan.what, command.get_program().display()))
        })?;
        let pid = server.id();
        let running = self.running.insert(Running { server, watchdog: None });
        let pid_file = self.home.pid_file();
        std::fs::write(&pid_file, pid.to_string()).map_err(Error::at(&pid_file))?;
        if self.home.is_private() {
            running.watchdog = Some(watchdog(pid, &self.home, self.plan.quit)?);
        }
        self.await_ready()
    }

    fn await_ready(&mut self) -> Result<(), Error> {
        let Self { plan, running, .. } = self;
        let Some(Running { server, .. }) = running else { return Ok(()) };
        let mut end: Option<Result<(), String>> = None;
        wait::until(wait::START, || {
            end = match (server.try_wait(), (plan.ready)(server.id())) {
                (Ok(Some(status)), _) => Some(Err(format!("it ended with {status}"))),
                (Err(error), _) => Some(Err(error.to_string())),
                (_, Ok(ready)) => ready.then_some(Ok(())),
                (_, Err(error)) => Some(Err(error.to_string())),
            };
            end.is_some()
        });
        match end.unwrap_or_else(|| Err(format!("it did not answer within {:?}", wait::START))) {
            Ok(()) => Ok(()),
            Err(why) => {
                let error = self.error(&format!("did not start: {why}"));
                self.kill();
                Err(error)
            }
        }
    }

    /// Asks it to end and waits; kills it when that takes too long.
    pub(crate) fn stop(&mut self) {
        let Some(Running { server, .. }) = &mut self.running else { return };
        system::signal(server.id(), self.plan.stop);
        self.resume();
        self.end();
    }

    /// Kills the server and all that it started, at once.
    pub(crate) fn kill(&mut self) {
        let Some(Running { server, .. }) = &self.running else { return };
        for pid in system::family(server.id()) {
            system::signal(pid, Signal::KILL);
        }
        self.end();
    }

    /// Ends it as fast as it can without leaving anything in the system: for a server that nobody needs any more.
    pub(crate) fn quit(&mut self) {
        let Some(Running { server, .. }) = &self.running else { return };
        system::signal(server.id(), self.plan.quit);
        self.resume();
        self.end();
    }

    fn end(&mut self) {
        let Some(Running { mut server, watchdog }) = self.running.take() else { return };
        let family = system::family(server.id());
        let ended = |server: &mut Child| !matches!(server.try_wait(), Ok(None));
        if !wait::until(wait::STOP, || ended(&mut server)) {
            family.iter().for_each(|pid| system::signal(*pid, Signal::KILL));
            let _ = server.wait();
        }
        // A restart would find the memory of those that are still there.
        wait::until(wait::STOP, || family.iter().all(|pid| !system::alive(*pid)));
        dismiss(watchdog);
        let _ = std::fs::remove_file(self.home.pid_file());
    }

    /// Starts it again, with the same settings and data, after stopping it if it runs.
    pub(crate) fn restart(&mut self) -> Result<(), Error> {
        self.stop();
        self.launch()
    }

    /// Stops time for the server and all that it started: connections stay open and nothing answers.
    pub(crate) fn pause(&self) {
        let Some(pid) = self.pid() else { return };
        // The parent first, so that it starts nobody else.
        for of in [1, 2] {
            let family = system::family(pid);
            for pid in if of == 1 { &family[..1] } else { &family[..] } {
                system::signal(*pid, Signal::STOP);
                wait::until(wait::SIGNAL, || system::is_stopped(*pid) || !system::alive(*pid));
            }
        }
    }

    pub(crate) fn resume(&self) {
        let Some(pid) = self.pid() else { return };
        for pid in system::family(pid).into_iter().rev() {
            system::signal(pid, Signal::CONT);
        }
    }

    /// From now on the server outlives us. Its directory must not be private.
    pub(crate) fn leave_running(&mut self) {
        self.running = None;
    }

    /// An error about this server, with the end of its log.
    pub(crate) fn error(&self, what: &str) -> Error {
        let log = self.home.log();
        let text = String::from_utf8_lossy(&std::fs::read(&log).unwrap_or_default()).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        let tail = lines[lines.len().saturating_sub(TAIL)..].join("\n    ");
        Error::failed(format!("{} {what}; the end of {}:\n    {tail}", self.plan.what, log.display()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.quit();
    }
}

fn watchdog(pid: u32, home: &Home, signal: Signal) -> Result<Child, Error> {
    let signal = if signal == Signal::QUIT { "QUIT" } else { "KILL" };
    let mut shell = Command::new("sh");
    shell.args(["-c", WATCHDOG, "watchdog", &pid.to_string()]).arg(home.path()).arg(signal).process_group(0);
    shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    shell.spawn().map_err(|error| Error::failed(format!("no shell could be started to watch over a server: {error}")))
}

fn dismiss(watchdog: Option<Child>) {
    let Some(mut watchdog) = watchdog else { return };
    if let Some(mut pipe) = watchdog.stdin.take() {
        let _ = pipe.write_all(b"goodbye\n");
    }
    let _ = watchdog.wait();
}

/// Runs a program that ends by itself, such as `initdb`. What it said is part of the error.
pub(crate) fn run(command: &mut Command) -> Result<(), Error> {
    let shown = command.get_program().display().to_string();
    let output = command.output().map_err(|error| Error::failed(format!("{shown} did not start: {error}")))?;
    let status: ExitStatus = output.status;
    if status.success() {
        return Ok(());
    }
    let said = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned()).join("\n");
    Err(Error::failed(format!("{shown} ended with {status}: {}", said.trim())))
}
