//! A PostgreSQL server of one's own.
//!
//! `postgres` refuses to run as root. Where we are root it runs as the user `postgres` or `nobody`, to whom its data belong.

use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::Signal;

use crate::error::Error;
use crate::find::{self, Program};
use crate::place::{Home, Place};
use crate::process::{Plan, Process};
use crate::tls::Tls;
use crate::{port, process, skip, system};

/// What the directories of such servers are called.
pub(crate) const KIND: &str = "postgres";
/// How often another port is tried when somebody else was faster.
const PORTS: usize = 3;
/// Connections that a server of tests allows unless it is told otherwise.
const CONNECTIONS: u32 = 200;

/// What a server should be like. The default forgets nothing while the machine runs, and doesn't wait for its disk.
#[derive(Clone, Debug, Default)]
pub struct PostgresOptions {
    settings: Vec<(String, String)>,
    tls: Option<Tls>,
}

impl PostgresOptions {
    /// Any setting of postgresql.conf, after those that are always written.
    #[must_use]
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// How many connections are allowed.
    #[must_use]
    pub fn max_connections(self, most: u32) -> Self {
        self.setting("max_connections", most.to_string())
    }

    /// Speaks TLS to clients that want it.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// Waits for the disk as a server does that has something to lose: for measurements, and for tests of a machine that
    /// loses its power. What is committed survives [`Postgres::kill`] also without it.
    #[must_use]
    pub fn durable(self) -> Self {
        self.setting("fsync", "on").setting("full_page_writes", "on")
    }
}

/// A running PostgreSQL server. It is killed, and its directory removed, when this is dropped or its process ends.
///
/// All methods may be called from several threads. They block: for milliseconds, or for a named bound where a server
/// does not react.
pub struct Postgres {
    process: Mutex<Process>,
    data: PathBuf,
    port: u16,
    password: String,
}

impl Postgres {
    /// Starts a private server, or says `SKIPPED` and returns `None` where there is no PostgreSQL; with `CI` set it
    /// panics then.
    ///
    /// # Panics
    ///
    /// When the program is there and does not start with these options.
    pub fn start(options: &PostgresOptions) -> Option<Self> {
        skip::unless_present(Self::try_start(&Place::of_this_build(), options))
    }

    /// A program that comes with the server and talks to one, such as `pg_dump`. It runs as whoever we are: only servers refuse root.
    ///
    /// # Errors
    ///
    /// When there is no server on this machine.
    pub fn client(name: &str) -> Result<Command, Error> {
        Ok(find::postgres(&Place::of_this_build().tools()?)?.beside(name).command())
    }

    /// Starts a private server at a place.
    ///
    /// # Errors
    ///
    /// When there is no program, or when it does not start.
    pub fn try_start(place: &Place, options: &PostgresOptions) -> Result<Self, Error> {
        on_a_free_port(|| Self::start_in(place, place.private(KIND)?, options))
    }

    pub(crate) fn start_in(place: &Place, home: Home, options: &PostgresOptions) -> Result<Self, Error> {
        Prepared::make(place, home, options)?.start()
    }

    /// What a client connects to as superuser: `postgres://postgres:password@127.0.0.1:port/postgres`.
    pub fn url(&self) -> String {
        self.url_at(self.address())
    }

    /// As [`url`](Self::url), for another address, such as that of a proxy before it.
    pub fn url_at(&self, address: SocketAddr) -> String {
        format!("postgres://postgres:{}@{address}/postgres", self.password)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        port::loopback(self.port)
    }

    /// The number of the first of its processes while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process().pid()
    }

    /// Stops time for all of its processes: connections stay open, nothing answers.
    pub fn pause(&self) {
        self.process().pause();
    }

    /// Ends a [`pause`](Self::pause).
    pub fn resume(&self) {
        self.process().resume();
    }

    /// Kills all of its processes as `kill -9` does.
    pub fn kill(&self) {
        self.process().kill();
    }

    /// Lets it end cleanly: connections are closed, and what was not committed is undone.
    pub fn stop(&self) {
        self.process().stop();
    }

    /// Starts it again on the same port with the same data, after stopping it if it runs.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub fn restart(&self) -> Result<(), Error> {
        self.process().restart()
    }

    /// From now on the server outlives us.
    pub(crate) fn leave_running(&self) {
        self.process().leave_running();
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.process().quit();
        // A killed server leaves a segment of System V's shared memory, of which a system has few.
        let left = fs::read_to_string(self.data.join("postmaster.pid")).unwrap_or_default();
        let dead = |line: &str| line.trim().parse().is_ok_and(|pid| !system::alive(pid));
        if left.lines().next().is_some_and(dead)
            && let Some(segment) = left.lines().nth(6).and_then(|line| line.split_whitespace().nth(1))
        {
            let _ = Command::new("ipcrm").args(["-m", segment]).output();
        }
    }
}

/// Starts servers on ports that were free a moment ago; on others where somebody else was faster.
pub(crate) fn on_a_free_port<T>(start: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    let mut tries = std::iter::repeat_with(start).take(PORTS);
    let first = tries.next().unwrap_or_else(|| Err(Error::failed("no port was tried")));
    match first {
        Err(Error::Failed(why)) if why.contains("Address already in use") => {
            tries.find(Result::is_ok).unwrap_or(Err(Error::Failed(why)))
        }
        other => other,
    }
}

/// The data of a server that does not run yet.
pub(crate) struct Prepared {
    program: Program,
    user: Option<(u32, u32)>,
    data: PathBuf,
    port: u16,
    password: String,
    home: Home,
}

impl Prepared {
    pub(crate) fn make(place: &Place, home: Home, options: &PostgresOptions) -> Result<Self, Error> {
        let program = find::postgres(&place.tools()?)?;
        let user = system::other_than_root()?;
        let (port, password) = (port::free()?, port::password()?);
        let data = home.path().join("data");
        initialize(&program, &home, &data, user, &password)?;
        configure(&data, port, options)?;
        if let Some(tls) = &options.tls {
            offer_tls(&data, tls, user)?;
        }
        Ok(Self { program, user, data, port, password, home })
    }

    /// The same data for a server on another port that repeats what this one writes, once that runs.
    #[cfg(feature = "databases")]
    pub(crate) fn standby(&self, home: Home) -> Result<Self, Error> {
        let (port, data) = (port::free()?, home.path().join("data"));
        process::run(Command::new("cp").arg("-a").arg(&self.data).arg(&data))?;
        let primary = format!("host=127.0.0.1 port={} user=postgres password={}", self.port, self.password);
        // It looks for its primary again at once where that was not there yet, and not after five seconds.
        let settings =
            [("port", &*port.to_string()), ("primary_conninfo", &primary), ("wal_retrieve_retry_interval", "100ms")];
        append(&data, settings.into_iter())?;
        let signal = data.join("standby.signal");
        fs::write(&signal, "").map_err(Error::at(&signal))?;
        self.user
            .map_or(Ok(()), |(user, group)| chown(&signal, Some(user), Some(group)))
            .map_err(Error::at(&signal))?;
        let (program, password) = (self.program.clone(), self.password.clone());
        Ok(Self { program, user: self.user, data, port, password, home })
    }

    pub(crate) fn start(self) -> Result<Postgres, Error> {
        let Self { program, user, data, port, password, home } = self;
        let (of, pid_file) = (data.clone(), data.join("postmaster.pid"));
        let plan = Plan {
            what: format!("postgres on port {port}"),
            command: Box::new(move || {
                let mut command = as_user(program.command(), user, &of);
                command.arg("-D").arg(&of);
                command
            }),
            stop: Signal::INT,
            quit: Signal::QUIT,
            ready: Box::new(move |pid| Ok(says_ready(&pid_file, pid))),
        };
        let process = Mutex::new(Process::start(plan, home)?);
        Ok(Postgres { process, data, port, password })
    }
}

/// A command that runs as another user, in a directory that this user may enter.
fn as_user(mut command: Command, user: Option<(u32, u32)>, data: &Path) -> Command {
    if let Some((user, group)) = user {
        command.uid(user).gid(group);
    }
    if let Some(home) = data.parent() {
        command.current_dir(home);
    }
    command
}

fn initialize(
    program: &Program,
    home: &Home,
    data: &Path,
    user: Option<(u32, u32)>,
    password: &str,
) -> Result<(), Error> {
    fs::create_dir(data).map_err(Error::at(data))?;
    let secret = home.path().join("password");
    fs::write(&secret, password).map_err(Error::at(&secret))?;
    let give = |path: &Path| user.map_or(Ok(()), |(user, group)| chown(path, Some(user), Some(group)));
    give(data).map_err(Error::at(data))?;
    let mut command = as_user(program.beside("initdb").command(), user, data);
    command.arg("-D").arg(data).arg("--pwfile").arg(&secret);
    command.args(["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"]);
    let made = process::run(&mut command);
    fs::remove_file(&secret).map_err(Error::at(&secret))?;
    made
}

fn configure(data: &Path, port: u16, options: &PostgresOptions) -> Result<(), Error> {
    let (port, connections) = (port.to_string(), CONNECTIONS.to_string());
    let ours = [
        ("listen_addresses", "127.0.0.1"),
        ("port", &port),
        // Its path could be longer than a socket's may be.
        ("unix_socket_directories", ""),
        ("max_connections", &connections),
        ("fsync", "off"),
        ("full_page_writes", "off"),
        // A client that a fault stops while it logs in holds up every DROP DATABASE of the others until this is over; the default is a minute.
        ("authentication_timeout", "5s"),
    ];
    let theirs = options.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    append(data, ours.into_iter().chain(theirs))
}

/// Lets the server have copies of the files: it wants its key to be its user's alone.
fn offer_tls(data: &Path, tls: &Tls, user: Option<(u32, u32)>) -> Result<(), Error> {
    let files = [("server.crt", &tls.certificate), ("server.key", &tls.key), ("ca.crt", &tls.authority)];
    for (name, from) in files {
        let copy = data.join(name);
        fs::copy(from, &copy).map_err(Error::at(from))?;
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o600)).map_err(Error::at(&copy))?;
        user.map_or(Ok(()), |(user, group)| chown(&copy, Some(user), Some(group))).map_err(Error::at(&copy))?;
    }
    append(data, [("ssl", "on"), ("ssl_ca_file", "ca.crt")].into_iter())
}

fn append<'a>(data: &Path, settings: impl Iterator<Item = (&'a str, &'a str)>) -> Result<(), Error> {
    let lines = settings.map(|(name, value)| format!("{name} = '{}'\n", value.replace('\'', "''")));
    let path = data.join("postgresql.conf");
    let mut file = fs::File::options().append(true).open(&path).map_err(Error::at(&path))?;
    file.write_all(lines.collect::<String>().as_bytes()).map_err(Error::at(&path))
}

/// Whether the server with this number has written that it accepts connections, as `pg_ctl --wait` reads it.
fn says_ready(pid_file: &Path, pid: u32) -> bool {
    let text = fs::read_to_string(pid_file).unwrap_or_default();
    let mut lines = text.lines().map(str::trim);
    lines.next() == Some(pid.to_string().as_str()) && lines.nth(6) == Some("ready")
}
