//! What the operating system knows of a process: its command line, its children, whether it is stopped.
//!
//! A number is signalled only after its command line has said that it is ours: numbers are used again.

use std::path::Path;
#[cfg(not(target_os = "linux"))]
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

use crate::error::Error;

pub(crate) fn alive(pid: u32) -> bool {
    // A process of another user is alive although we may not signal it.
    number(pid).is_some_and(|pid| !matches!(test_kill_process(pid), Err(rustix::io::Errno::SRCH))) && !is(pid, 'Z')
}

pub(crate) fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = number(pid) {
        // One that has just ended needs no signal any more.
        let _ = kill_process(pid, signal);
    }
}

fn number(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

/// Whether the process runs a program that was given this path: a server that was started in that directory.
pub(crate) fn runs_in(pid: u32, home: &Path) -> bool {
    alive(pid) && command_line(pid).is_some_and(|line| line.contains(&*home.to_string_lossy()))
}

/// Whether the process does nothing because of SIGSTOP.
pub(crate) fn is_stopped(pid: u32) -> bool {
    is(pid, 'T')
}

/// The process and those that it started, parents before their children.
pub(crate) fn family(pid: u32) -> Vec<u32> {
    let parents = parents();
    let mut family = vec![pid];
    let mut next = 0;
    while let Some(&parent) = family.get(next) {
        family.extend(parents.iter().filter(|(_, of)| *of == parent).map(|(child, _)| *child));
        next += 1;
    }
    family
}

#[cfg(target_os = "linux")]
fn command_line(pid: u32) -> Option<String> {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    Some(String::from_utf8_lossy(&bytes).replace('\0', " "))
}

#[cfg(not(target_os = "linux"))]
fn command_line(pid: u32) -> Option<String> {
    ps(&["-ww", "-o", "command=", "-p", &pid.to_string()])
}

#[cfg(target_os = "linux")]
fn is(pid: u32, state: char) -> bool {
    stat(pid).is_some_and(|(now, _)| now == state)
}

#[cfg(not(target_os = "linux"))]
fn is(pid: u32, state: char) -> bool {
    ps(&["-o", "stat=", "-p", &pid.to_string()]).is_some_and(|said| said.trim().starts_with(state))
}

/// Every process with its parent.
#[cfg(target_os = "linux")]
fn parents() -> Vec<(u32, u32)> {
    let entries = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter_map(|pid| Some((pid, stat(pid)?.1))).collect()
}

#[cfg(not(target_os = "linux"))]
fn parents() -> Vec<(u32, u32)> {
    let said = ps(&["-A", "-o", "pid=,ppid="]).unwrap_or_default();
    let line = |line: &str| {
        let mut numbers = line.split_whitespace().map(|word| word.parse().ok());
        Some((numbers.next()??, numbers.next()??))
    };
    said.lines().filter_map(line).collect()
}

/// State and parent. The program's name stands before them in parentheses and may hold some itself.
#[cfg(target_os = "linux")]
fn stat(pid: u32) -> Option<(char, u32)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = text.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

#[cfg(not(target_os = "linux"))]
fn ps(arguments: &[&str]) -> Option<String> {
    let output = Command::new("ps").args(arguments).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Numbers of user and group for a server that refuses to be root, where we are root.
pub(crate) fn other_than_root() -> Result<Option<(u32, u32)>, Error> {
    if !rustix::process::geteuid().is_root() {
        return Ok(None);
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let of = |name: &str| {
        users.lines().find_map(|line| {
            let mut fields = line.split(':');
            (fields.next()? == name).then_some(())?;
            Some((fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?))
        })
    };
    let found = of("postgres").or_else(|| of("nobody"));
    found.map(Some).ok_or_else(|| {
        Error::failed("postgres refuses to run as root, and there is no user postgres or nobody; run as another user")
    })
}
