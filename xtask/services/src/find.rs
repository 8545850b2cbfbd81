//! Where the programs are: named by the environment, installed on the machine, or unpacked under the target directory.
//!
//! Nothing is installed here; that is what `cargo xtask up`, `test` and `ci` do. What is found has been started once with
//! `--version`, so that a program without its libraries is not taken for one that works.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::Error;

/// Names the program redis-server, where a certain one is wanted.
pub const REDIS_PROGRAM: &str = "TIERGATE_TEST_REDIS_SERVER";
/// Names the directory that holds `initdb` and `postgres`, where certain ones are wanted.
pub const POSTGRES_PROGRAMS: &str = "TIERGATE_TEST_POSTGRES_BIN";

/// The oldest Redis that the fixtures know how to drive (`cluster-port`, `CLUSTER ADDSLOTSRANGE`).
const OLDEST_REDIS: u32 = 7;
/// The oldest PostgreSQL that the product works with: its reader of the log refuses older ones, so that a test on one could only fail.
pub const OLDEST_POSTGRES: u32 = 15;

/// A program, and where the libraries lie that were unpacked beside it.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    libraries: Vec<PathBuf>,
    version: (u32, u32),
}

impl Program {
    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its major and minor version.
    pub fn version(&self) -> (u32, u32) {
        self.version
    }

    /// The program in the same directory, with the same libraries.
    pub(crate) fn beside(&self, name: &str) -> Self {
        Self { path: self.path.with_file_name(name), ..self.clone() }
    }

    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        if !self.libraries.is_empty() {
            let inherited = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
            let all = self.libraries.iter().cloned().chain(std::env::split_paths(&inherited));
            command.env("LD_LIBRARY_PATH", std::env::join_paths(all).unwrap_or_default());
        }
        command.stdin(Stdio::null());
        command
    }

    /// The program there, if it starts and is new enough.
    fn at(path: PathBuf, unpacked: Option<&Path>, oldest: u32) -> Option<Self> {
        let libraries = unpacked.map(libraries).unwrap_or_default();
        let mut program = Self { path, libraries, version: (0, 0) };
        let output = program.command().arg("--version").stderr(Stdio::null()).output().ok()?;
        program.version = version(&String::from_utf8_lossy(&output.stdout))?;
        (output.status.success() && program.version.0 >= oldest).then_some(program)
    }
}

/// The server that Redis comes as. `tools` is where `cargo xtask` unpacks.
pub(crate) fn redis(tools: &Path) -> Result<Program, Error> {
    let unpacked = tools.join("redis");
    let looked = [
        (std::env::var_os(REDIS_PROGRAM).map(PathBuf::from), None),
        (Some("redis-server".into()), None),
        (Some("/usr/bin/redis-server".into()), None),
        (Some("/usr/local/bin/redis-server".into()), None),
        (Some("/opt/homebrew/bin/redis-server".into()), None),
        (Some(unpacked.join("usr/bin/redis-server")), Some(unpacked.as_path())),
    ];
    first(looked, OLDEST_REDIS).ok_or_else(|| Error::Missing {
        program: "redis-server 7 or newer",
        looked: format!("the PATH, /usr/bin, {}, and what {REDIS_PROGRAM} names", unpacked.display()),
        remedy: "`cargo xtask up` brings it, or the system's package redis-server (brew: redis)",
    })
}

/// The server `postgres`; `initdb` lies beside it. `tools` is where `cargo xtask` unpacks.
pub(crate) fn postgres(tools: &Path) -> Result<Program, Error> {
    let unpacked = tools.join("postgres");
    let named = std::env::var_os(POSTGRES_PROGRAMS).map(|directory| Path::new(&directory).join("postgres"));
    let mut looked = vec![(named, None)];
    let parents =
        [("/usr/lib/postgresql", "bin"), ("/opt/homebrew/opt", "bin"), ("/usr/local/opt", "bin"), ("/usr", "bin")];
    for (parent, within) in parents {
        looked.extend(
            numbered(Path::new(parent)).into_iter().map(|home| (Some(home.join(within).join("postgres")), None)),
        );
    }
    looked.push((on_path("postgres"), None));
    let debian = numbered(&unpacked.join("usr/lib/postgresql"));
    looked.extend(debian.into_iter().map(|home| (Some(home.join("bin/postgres")), Some(unpacked.as_path()))));
    first(looked, OLDEST_POSTGRES).ok_or_else(|| Error::Missing {
        program: "postgres 15 or newer",
        looked: format!("/usr/lib/postgresql, the PATH, {}, and what {POSTGRES_PROGRAMS} names", unpacked.display()),
        remedy: "`cargo xtask up` brings it, or the system's package postgresql (brew: postgresql@17)",
    })
}

fn first<'a>(looked: impl IntoIterator<Item = (Option<PathBuf>, Option<&'a Path>)>, oldest: u32) -> Option<Program> {
    looked.into_iter().find_map(|(path, unpacked)| Program::at(path?, unpacked, oldest))
}

/// The directories of a parent that are versions of PostgreSQL (`15`, `postgresql@15`, `pgsql-15`), the newest first.
fn numbered(parent: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
    let mut found: Vec<(u32, PathBuf)> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let number = ["postgresql@", "pgsql-"].iter().find_map(|prefix| name.strip_prefix(prefix)).unwrap_or(&name);
            Some((number.parse().ok()?, entry.path()))
        })
        .collect();
    found.sort();
    found.into_iter().rev().map(|(_, path)| path).collect()
}

/// The whole path of a program on the PATH: what lies beside it matters, too.
fn on_path(name: &str) -> Option<PathBuf> {
    let path: OsString = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|program| program.is_file())
}

/// The directories of an unpacked package that may hold its libraries.
fn libraries(unpacked: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for parent in ["usr/lib", "lib"].map(|parent| unpacked.join(parent)) {
        let entries = std::fs::read_dir(&parent).into_iter().flatten().flatten();
        found.extend(entries.map(|entry| entry.path()).filter(|path| path.is_dir()));
        found.extend(parent.is_dir().then_some(parent));
    }
    found
}

/// The first `major.minor` in what a program says of itself: `v=7.0.15`, `(PostgreSQL) 15.8`, `17beta1`.
fn version(said: &str) -> Option<(u32, u32)> {
    said.split_whitespace().find_map(|word| {
        let mut numbers = word.trim_start_matches("v=").split('.').map(|part| {
            let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
            part[..digits].parse().ok()
        });
        Some((numbers.next()??, numbers.next().flatten().unwrap_or(0)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_programs_say() {
        let redis = "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64 build=1";
        assert_eq!(version(redis), Some((7, 0)));
        assert_eq!(version("postgres (PostgreSQL) 15.8 (Debian 15.8-0+deb12u1)"), Some((15, 8)));
        assert_eq!(version("postgres (PostgreSQL) 17beta1"), Some((17, 0)));
        assert_eq!(version("something else"), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_program_that_is_too_old_is_not_taken() {
        use std::os::unix::fs::PermissionsExt;
        let parent = tempfile::tempdir().expect("a directory");
        let says = |version: &str| {
            let path = parent.path().join(version);
            std::fs::write(&path, format!("#!/bin/sh\necho 'postgres (PostgreSQL) {version}'\n")).expect("a script");
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("its mode");
            Program::at(path, None, OLDEST_POSTGRES).map(|program| program.version())
        };
        assert_eq!(says("13.11"), None);
        assert_eq!(says("14.9"), None);
        assert_eq!(says("15.1"), Some((15, 1)));
    }

    #[test]
    fn the_newest_version_comes_first_by_number() {
        let parent = tempfile::tempdir().expect("a directory");
        for name in ["9", "15", "postgresql@17", "common"] {
            std::fs::create_dir(parent.path().join(name)).expect("a directory");
        }
        let names: Vec<_> =
            numbered(parent.path()).into_iter().filter_map(|path| Some(path.file_name()?.to_owned())).collect();
        assert_eq!(names, ["postgresql@17", "15", "9"]);
    }
}
