//! Directories of servers: each has one owner, and what a dead owner left is removed before anything new is made.
//!
//! The owner of a private server holds a lock on a file in its directory. The system releases it however the owner ends,
//! so that a lock which can be taken means a server that nobody uses any more.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::Signal;

use crate::error::Error;
use crate::{system, wait};

/// Where the servers of a workspace live.
#[derive(Clone, Debug)]
pub struct Place {
    target: PathBuf,
}

impl Place {
    /// Under the given target directory of cargo.
    pub fn under(target: impl Into<PathBuf>) -> Self {
        Self { target: target.into() }
    }

    /// Under the target directory that the running test was built in.
    pub fn of_this_build() -> Self {
        let program = std::env::current_exe().unwrap_or_default();
        // cargo marks its target directories, wherever they are.
        let built_in = program.ancestors().find(|directory| directory.join("CACHEDIR.TAG").is_file());
        let named = || std::env::var_os("CARGO_TARGET_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
        let usual = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target");
        Self::under(built_in.map(Path::to_path_buf).or_else(named).unwrap_or_else(usual))
    }

    /// Where `cargo xtask` unpacks programs.
    ///
    /// # Errors
    ///
    /// When the directory of all servers can't be made, beside which it is.
    pub fn tools(&self) -> Result<PathBuf, Error> {
        Ok(self.services()?.with_file_name("tools"))
    }

    /// The file in which `cargo xtask up` writes what it started.
    pub fn environment(&self) -> PathBuf {
        self.target.join("services").join("environment")
    }

    /// The directory of all servers. Where one has to run as another user who can't enter the target directory, it is
    /// in the system's directory for temporary files.
    pub(crate) fn services(&self) -> Result<PathBuf, Error> {
        let mut services = self.target.join("services");
        if system::other_than_root()?.is_some() && !everybody_enters(&self.target) {
            let mut hasher = DefaultHasher::new();
            self.target.hash(&mut hasher);
            services = std::env::temp_dir().join(format!("tiergate-{:016x}", hasher.finish())).join("services");
        }
        fs::create_dir_all(&services).map_err(Error::at(&services))?;
        services.canonicalize().map_err(Error::at(&services))
    }

    /// A new directory that goes with the returned value. What dead owners left is removed first.
    pub(crate) fn private(&self, kind: &str) -> Result<Home, Error> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let services = self.services()?;
        let _alone = lock(&services.join("lock"))?;
        let private = services.join("private");
        sweep(&private);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let directory = private.join(format!("{kind}-{}-{number}", std::process::id()));
        fs::create_dir_all(&directory).map_err(Error::at(&directory))?;
        let owner = lock(&directory.join("owner"))?;
        Ok(Home { directory, owner: Some(owner) })
    }

    /// The number of the server that runs in the directory of a shared one.
    pub(crate) fn shared_pid(&self, kind: &str) -> Option<u32> {
        running(&self.services().ok()?.join("shared").join(kind))
    }

    /// The directory of a server that outlives us. What lay there is removed: whoever ran there is gone.
    pub(crate) fn shared(&self, kind: &str) -> Result<Home, Error> {
        let directory = self.services()?.join("shared").join(kind);
        end(&directory);
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory).map_err(Error::at(&directory))?;
        Ok(Home { directory, owner: None })
    }

    /// Ends what runs in the directories of shared servers, and removes them. Says what it ended.
    pub(crate) fn remove_shared(&self) -> Result<Vec<String>, Error> {
        let shared = self.services()?.join("shared");
        let mut ended = Vec::new();
        for directory in directories(&shared) {
            if end(&directory) {
                ended.push(directory.file_name().unwrap_or_default().to_string_lossy().into_owned());
            }
            fs::remove_dir_all(&directory).map_err(Error::at(&directory))?;
        }
        Ok(ended)
    }
}

/// The directory of one server.
#[derive(Debug)]
pub(crate) struct Home {
    directory: PathBuf,
    /// Locked. Absent where the server is meant to outlive us.
    owner: Option<File>,
}

impl Home {
    pub(crate) fn path(&self) -> &Path {
        &self.directory
    }

    pub(crate) fn is_private(&self) -> bool {
        self.owner.is_some()
    }

    pub(crate) fn pid_file(&self) -> PathBuf {
        self.directory.join("pid")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.directory.join("log")
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        if self.is_private() {
            let _ = fs::remove_dir_all(&self.directory);
        }
    }
}

fn lock(path: &Path) -> Result<File, Error> {
    let file = File::options().create(true).append(true).open(path).map_err(Error::at(path))?;
    file.lock().map_err(Error::at(path))?;
    Ok(file)
}

/// Removes the directories whose owners are dead, with what still runs in them.
fn sweep(private: &Path) {
    for directory in directories(private) {
        let owner = File::options().append(true).open(directory.join("owner"));
        if owner.is_ok_and(|owner| owner.try_lock().is_err()) {
            continue;
        }
        end(&directory);
        let _ = fs::remove_dir_all(&directory);
    }
}

/// Kills what the directory's file of the process's number names, if that still runs there.
fn end(directory: &Path) -> bool {
    let Some(pid) = running(directory) else { return false };
    let family = system::family(pid);
    let ended = || wait::until(wait::STOP, || family.iter().all(|pid| !system::alive(*pid)));
    let all = |signal| family.iter().for_each(|pid| system::signal(*pid, signal));
    if directory.join("data").is_dir() {
        // PostgreSQL frees the memory that it shares only if it may.
        system::signal(pid, Signal::QUIT);
        all(Signal::CONT);
    } else {
        all(Signal::KILL);
    }
    if !ended() {
        all(Signal::KILL);
        ended();
    }
    true
}

/// The process that the directory's file names, if it is still that one.
fn running(directory: &Path) -> Option<u32> {
    let pid = fs::read_to_string(directory.join("pid")).ok()?.trim().parse().ok()?;
    system::runs_in(pid, directory).then_some(pid)
}

fn directories(parent: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

fn everybody_enters(directory: &Path) -> bool {
    directory.ancestors().all(|directory| {
        directory.as_os_str().is_empty()
            || fs::metadata(directory).is_ok_and(|found| found.permissions().mode() & 0o001 != 0)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_removed_once_its_owner_is_gone_and_not_before() {
        let target = tempfile::tempdir().expect("a directory");
        let place = Place::under(target.path());
        let mut left = place.private("thing").expect("a directory");
        let directory = left.path().to_path_buf();

        let other = place.private("thing").expect("a directory");
        assert!(directory.is_dir(), "its owner is alive");

        // As if the owner had been killed: the lock is free, and nobody removed the directory.
        drop(left.owner.take());
        drop(left);
        assert!(directory.is_dir());
        drop(place.private("thing").expect("a directory"));
        assert!(!directory.exists(), "its owner is dead");
        assert!(other.path().is_dir());
    }

    #[test]
    fn the_running_test_finds_its_target_directory() {
        assert!(Place::of_this_build().target.join("CACHEDIR.TAG").is_file());
    }
}
