//! Starting other programs: each is shown before it runs, and none outlives an interruption of xtask.
//!
//! A child leads a process group of its own, and a signal that ends xtask is passed on to that whole group, so that
//! rustc and the tests end with the cargo that started them, also where no terminal sends the signal to everybody.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::report::Outcome;

/// A cargo of the toolchain that runs xtask, in the workspace's root.
pub(crate) fn cargo<A: AsRef<OsStr>>(root: &Path, args: impl IntoIterator<Item = A>) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root).args(args);
    // `cargo run` describes xtask in variables that build scripts also read; with them a crate would be built twice.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name);
        }
    }
    command
}

/// Shows and runs a command with our output streams.
pub(crate) fn run(command: &mut Command) -> Outcome {
    println!("    $ {}", shown(command));
    command.stdin(Stdio::null());
    match platform::spawn_and_wait(command) {
        Ok(status) if status.success() => Outcome::Passed,
        Ok(status) => Outcome::Failed(format!("`{}` ended with {status}", shown(command))),
        Err(error) => Outcome::Failed(format!("`{}` did not start: {error}", shown(command))),
    }
}

/// What a command prints, or why there is none. For short questions such as a version.
pub(crate) fn ask(command: &mut Command) -> Result<String, String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("`{}` did not start: {error}", shown(command)))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    } else {
        let said = String::from_utf8_lossy(&output.stderr);
        Err(format!("`{}` ended with {}: {}", shown(command), output.status, said.trim()))
    }
}

/// The command as one would type it.
fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let mut text = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
    for argument in command.get_args() {
        let argument = argument.to_string_lossy();
        text.push(' ');
        if argument.is_empty() || argument.contains(|c: char| c.is_whitespace() || "'\"$*()|&;<>".contains(c)) {
            text.push_str(&format!("'{}'", argument.replace('\'', r"'\''")));
        } else {
            text.push_str(&argument);
        }
    }
    text
}

pub(crate) use platform::{forward_signals, interrupted};

#[cfg(unix)]
mod platform {
    use std::io;
    use std::os::unix::process::CommandExt as _;
    use std::process::{Command, ExitStatus};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Mutex, PoisonError};

    use rustix::io::Errno;
    use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    use signal_hook::iterator::Signals;

    static INTERRUPTED: AtomicBool = AtomicBool::new(false);
    /// The group that runs now. Taken out before its leader is reaped, so that a number used again is never signalled.
    static RUNNING: Mutex<Option<Pid>> = Mutex::new(None);

    /// Whether somebody asked us to stop.
    pub(crate) fn interrupted() -> bool {
        INTERRUPTED.load(Ordering::SeqCst)
    }

    /// From now on a signal that would end us ends the children first; a second one does not ask them politely.
    pub(crate) fn forward_signals() {
        let Ok(mut signals) = Signals::new([SIGINT, SIGTERM, SIGHUP]) else {
            eprintln!("warning: no signal handler could be installed; an interruption may leave processes behind");
            return;
        };
        std::thread::spawn(move || {
            for signal in signals.forever() {
                let again = INTERRUPTED.swap(true, Ordering::SeqCst);
                let running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
                match *running {
                    Some(group) => {
                        let passed_on = match signal {
                            _ if again => Signal::KILL,
                            SIGTERM => Signal::TERM,
                            SIGHUP => Signal::HUP,
                            _ => Signal::INT,
                        };
                        let _ = kill_process_group(group, passed_on);
                    }
                    None if again => std::process::exit(130),
                    None => {}
                }
            }
        });
    }

    pub(super) fn spawn_and_wait(command: &mut Command) -> io::Result<ExitStatus> {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        if interrupted() {
            return Err(io::Error::from(io::ErrorKind::Interrupted));
        }
        let mut child = command.process_group(0).spawn()?;
        let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
        *running = group;
        drop(running);
        if let Some(leader) = group {
            // Waits without reaping: the number stays taken until the line after, which no signal can come between.
            let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
            while matches!(waitid(WaitId::Pid(leader), ended), Err(Errno::INTR)) {}
        }
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(group) = running.take()
            && interrupted()
        {
            // The leader is gone; what it had started and did not end in time goes with it.
            let _ = kill_process_group(group, Signal::KILL);
        }
        child.wait()
    }
}

#[cfg(not(unix))]
mod platform {
    use std::io;
    use std::process::{Command, ExitStatus};

    /// Elsewhere the console ends the whole tree by itself.
    pub(crate) fn interrupted() -> bool {
        false
    }

    pub(crate) fn forward_signals() {}

    pub(super) fn spawn_and_wait(command: &mut Command) -> io::Result<ExitStatus> {
        command.spawn()?.wait()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_shown_as_it_would_be_typed() {
        let mut command = Command::new("/opt/bin/cargo");
        command.args(["nextest", "run", "-E", "test(~one two)", ""]);
        assert_eq!(shown(&command), "cargo nextest run -E 'test(~one two)' ''");
    }

    #[test]
    fn a_program_that_is_missing_or_fails_is_a_failure_that_names_it() {
        let Outcome::Failed(why) = run(&mut Command::new("no-such-program-here")) else {
            panic!("a missing program ran");
        };
        assert!(why.contains("no-such-program-here"), "{why}");
        assert!(matches!(run(&mut Command::new("false")), Outcome::Failed(_)));
        assert_eq!(run(&mut Command::new("true")), Outcome::Passed);
    }
}
