//! The shared servers: which there are, who names them, and how `cargo xtask` starts and stops them.
//!
//! The environment comes before the file that `cargo xtask up` writes; a variable that is set and empty says that there
//! is none. The file counts only while the server that it names runs.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use crate::error::Error;
use crate::place::Place;
use crate::postgres::{Postgres, PostgresOptions};
use crate::redis::{Redis, RedisOptions};
use crate::{find, skip};

/// A kind of server that tests share.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Backend {
    /// Redis.
    Redis,
    /// PostgreSQL.
    Postgres,
}

/// A private server of either kind; it ends when this is dropped.
pub enum Server {
    /// Redis.
    Redis(Redis),
    /// PostgreSQL.
    Postgres(Postgres),
}

impl Server {
    /// What a client connects to.
    pub fn url(&self) -> String {
        match self {
            Self::Redis(redis) => redis.url(),
            Self::Postgres(postgres) => postgres.url(),
        }
    }

    fn leave_running(&self) {
        match self {
            Self::Redis(redis) => redis.leave_running(),
            Self::Postgres(postgres) => postgres.leave_running(),
        }
    }
}

impl Backend {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Redis, Self::Postgres];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Redis => "redis",
            Self::Postgres => "postgres",
        }
    }

    /// The variable that names the shared server to tests.
    pub fn variable(self) -> &'static str {
        match self {
            Self::Redis => "TIERGATE_TEST_REDIS_URL",
            Self::Postgres => "TIERGATE_TEST_POSTGRES_URL",
        }
    }

    /// The variable that names such a server to `tiergate`.
    pub fn setting(self) -> &'static str {
        match self {
            Self::Redis => "TIERGATE_REDIS__URL",
            Self::Postgres => "TIERGATE_POSTGRES__URL",
        }
    }

    /// Where its program is.
    ///
    /// # Errors
    ///
    /// When it is not on this machine.
    pub fn find(self, place: &Place) -> Result<find::Program, Error> {
        match self {
            Self::Redis => find::redis(&place.tools()?),
            Self::Postgres => find::postgres(&place.tools()?),
        }
    }

    /// The URL that the environment names, or that of the server that `cargo xtask up` has started and that runs.
    pub fn shared_url(self, place: &Place) -> Option<String> {
        match std::env::var(self.variable()) {
            Ok(url) => Some(url).filter(|url| !url.is_empty()),
            Err(_) => self.running_url(place),
        }
    }

    /// The URL of the server that `cargo xtask up` has started and that runs.
    pub fn running_url(self, place: &Place) -> Option<String> {
        let text = std::fs::read_to_string(place.environment()).ok()?;
        let url = read(&text, self.variable())?;
        place.shared_pid(self.name()).map(|_| url)
    }

    /// Starts a server for the time of our own process.
    ///
    /// # Errors
    ///
    /// When there is no program, or when it does not start.
    pub fn start_private(self, place: &Place) -> Result<Server, Error> {
        Ok(match self {
            Self::Redis => Server::Redis(Redis::try_start(place, &RedisOptions::default())?),
            Self::Postgres => Server::Postgres(Postgres::try_start(place, &shared_postgres_options())?),
        })
    }

    /// The URL of the server that outlives us; it is started if it does not run.
    ///
    /// # Errors
    ///
    /// When there is no program, or when it does not start.
    pub fn start_shared(self, place: &Place) -> Result<String, Error> {
        if let Some(url) = self.running_url(place) {
            return Ok(url);
        }
        self.find(place)?;
        let home = place.shared(self.name())?;
        let server = match self {
            Self::Redis => Server::Redis(Redis::start_in(place, home, &RedisOptions::default())?),
            Self::Postgres => Server::Postgres(Postgres::start_in(place, home, &shared_postgres_options())?),
        };
        server.leave_running();
        Ok(server.url())
    }
}

/// Every test of a machine connects to it.
fn shared_postgres_options() -> PostgresOptions {
    PostgresOptions::default().max_connections(500)
}

/// The lines that name the servers: for a shell to read, for us to read again, and for people to copy.
pub fn environment(urls: &[(Backend, String)]) -> String {
    let mut text = String::new();
    for (backend, url) in urls {
        text.push_str(&format!("export {}='{url}'\n", backend.variable()));
    }
    if !urls.is_empty() {
        text.push_str("# For a server of your own, `cargo run --release`:\n");
    }
    for (backend, url) in urls {
        text.push_str(&format!("# export {}='{url}'\n", backend.setting()));
    }
    text
}

/// Writes the file that tests read. It holds passwords, and is the user's alone.
///
/// # Errors
///
/// When the file can't be written.
pub fn write_environment(place: &Place, urls: &[(Backend, String)]) -> Result<(), Error> {
    let path = place.environment();
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).map_err(Error::at(directory))?;
    }
    let written = || -> std::io::Result<()> {
        let mut options = std::fs::File::options();
        let mut file = options.create(true).write(true).truncate(true).mode(0o600).open(&path)?;
        file.write_all(environment(urls).as_bytes())
    };
    written().map_err(Error::at(&path))
}

/// Ends the servers of `cargo xtask up`, removes their data, and says which ran.
///
/// # Errors
///
/// When the data can't be removed.
pub fn stop_shared(place: &Place) -> Result<Vec<String>, Error> {
    let ended = place.remove_shared()?;
    let path: &Path = &place.environment();
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::at(path)(error)),
        _ => Ok(ended),
    }
}

fn read(text: &str, variable: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let value = line.strip_prefix("export ")?.strip_prefix(variable)?.strip_prefix('=')?;
        Some(value.trim_matches('\'').to_owned())
    })
}

/// The Redis that all tests share, or `None` and a line `SKIPPED …` where there is none; with `CI` set a panic.
pub fn shared_redis() -> Option<SharedRedis> {
    let url = Backend::Redis.shared_url(&Place::of_this_build());
    url.map_or_else(|| skip::skip("no shared Redis"), |url| Some(SharedRedis { url }))
}

/// The URL of the PostgreSQL that all tests share, or `None` and a line `SKIPPED …` where there is none; with `CI` set a
/// panic. Tests want a [`TestDatabase`](crate::TestDatabase) on it.
pub fn shared_postgres() -> Option<String> {
    let url = Backend::Postgres.shared_url(&Place::of_this_build());
    url.or_else(|| skip::skip("no shared PostgreSQL"))
}

/// The Redis that all tests share. Nobody flushes it, changes its settings, or looks at keys that are not its own: a test
/// that must starts a [`Redis`] for itself.
#[derive(Clone, Debug)]
pub struct SharedRedis {
    url: String,
}

impl SharedRedis {
    /// What a client connects to.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// A prefix for keys that no other test and no earlier run uses.
    ///
    /// # Panics
    ///
    /// When the system has no random bytes.
    pub fn prefix(&self) -> String {
        let bytes = crate::port::random::<8>().expect("the system gives random bytes");
        format!("test:{:016x}:", u64::from_le_bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_is_read_as_it_was_written() {
        let urls = [(Backend::Redis, "redis://:a@b:1".to_owned()), (Backend::Postgres, "postgres://c".to_owned())];
        let text = environment(&urls);
        for (backend, url) in urls {
            assert_eq!(read(&text, backend.variable()), Some(url));
            assert_eq!(read(&text, backend.setting()), None, "a comment is no value");
        }
    }
}
