//! A redis-server of one's own.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::process::Signal;

use crate::error::Error;
use crate::place::{Home, Place};
use crate::process::{Plan, Process};
use crate::resp::{self, Reply};
use crate::tls::Tls;
use crate::{find, port, skip};

/// How often another port is tried when somebody else was faster.
const PORTS: usize = 3;

/// What a server should be like. The default keeps everything in memory and wants a password that nobody else knows.
#[derive(Clone, Debug, Default)]
pub struct RedisOptions {
    settings: Vec<(String, String)>,
    users: Vec<String>,
    tls: Option<Tls>,
    pub(crate) password: Option<String>,
    pub(crate) mode: Mode,
}

/// Which of Redis' programs it plays.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Mode {
    #[default]
    Alone,
    Cluster,
    Sentinel,
}

impl RedisOptions {
    /// Any directive of redis.conf, after those that are always written. Its arguments are separated by spaces, and
    /// quoted as redis.conf wants them.
    #[must_use]
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// The most memory, such as `16mb`, and what happens then, such as `noeviction` or `allkeys-lru`.
    #[must_use]
    pub fn maxmemory(self, size: &str, policy: &str) -> Self {
        self.setting("maxmemory", size).setting("maxmemory-policy", policy)
    }

    /// Keeps what is written across a restart, by an append-only file that is synchronised after each write.
    #[must_use]
    pub fn appendonly(self) -> Self {
        self.setting("appendonly", "yes").setting("appendfsync", "always")
    }

    /// A line of the ACL file, such as `app on >secret ~cache:* +@read`. The user `default` keeps its own password.
    #[must_use]
    pub fn user(mut self, line: impl Into<String>) -> Self {
        self.users.push(line.into());
        self
    }

    /// The password of the user `default`, instead of one made up.
    #[must_use]
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// A second port that speaks TLS; [`Redis::url`] names that one then. A client has to show a certificate only where
    /// [`Tls::clients_too`] says so.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// A node of a cluster that has no other nodes and no slots. For a whole one there is [`RedisCluster`](crate::RedisCluster).
    #[must_use]
    pub fn cluster_enabled(mut self) -> Self {
        self.mode = Mode::Cluster;
        self
    }
}

/// A running redis-server. It is killed, and its directory removed, when this is dropped or its process ends.
///
/// All methods may be called from several threads. They block: for milliseconds, or for a named bound where a server
/// does not react.
pub struct Redis {
    process: Mutex<Process>,
    ports: Ports,
    password: String,
}

/// Where it listens: without TLS, with it, and for the other nodes of a cluster.
#[derive(Clone, Copy, Debug)]
struct Ports {
    plain: u16,
    tls: Option<u16>,
    bus: Option<u16>,
}

impl Redis {
    /// Starts a private server, or says `SKIPPED` and returns `None` where there is no redis-server; with `CI` set it
    /// panics then.
    ///
    /// # Panics
    ///
    /// When the program is there and does not start with these options.
    pub fn start(options: &RedisOptions) -> Option<Self> {
        skip::unless_present(Self::try_start(&Place::of_this_build(), options))
    }

    /// Starts a private server at a place.
    ///
    /// # Errors
    ///
    /// When there is no program, or when it does not start.
    pub fn try_start(place: &Place, options: &RedisOptions) -> Result<Self, Error> {
        // Somebody else may take a port between our look and the server's.
        let mut tries = (0..PORTS).map(|_| Self::start_in(place, place.private("redis")?, options));
        let first = tries.next().unwrap_or_else(|| Err(Error::failed("no port was tried")));
        match first {
            Err(Error::Failed(why)) if why.contains("Address already in use") => {
                tries.find(Result::is_ok).unwrap_or(Err(Error::Failed(why)))
            }
            other => other,
        }
    }

    pub(crate) fn start_in(place: &Place, home: Home, options: &RedisOptions) -> Result<Self, Error> {
        let program = find::redis(&place.tools()?)?;
        let ports = Ports {
            plain: port::free()?,
            tls: options.tls.as_ref().map(|_| port::free()).transpose()?,
            bus: (options.mode == Mode::Cluster).then(port::free).transpose()?,
        };
        let port = ports.plain;
        let password = options.password.clone().map_or_else(port::password, Ok)?;
        let file = configuration(&home, ports, &password, options)?;
        let address = port::loopback(port);
        let sentinel = options.mode == Mode::Sentinel;
        let secret = password.clone();
        let plan = Plan {
            what: format!("{} on port {port}", if sentinel { "redis-sentinel" } else { "redis-server" }),
            command: Box::new(move || {
                let mut command = program.command();
                command.arg(&file).args(sentinel.then_some("--sentinel"));
                command
            }),
            stop: Signal::TERM,
            quit: Signal::KILL,
            ready: Box::new(move |_| match resp::ask(address, Some(&secret), &["PING"]) {
                Ok(Reply::Text(_)) => Ok(true),
                // It reads its data.
                Ok(Reply::Error(why)) if why.starts_with("LOADING") => Ok(false),
                Ok(odd) => Err(Error::failed(format!("the port is somebody else's (Address already in use): {odd:?}"))),
                Err(_) => Ok(false),
            }),
        };
        let process = Mutex::new(Process::start(plan, home)?);
        Ok(Self { process, ports, password })
    }

    /// What a client connects to: `redis://:password@127.0.0.1:port`, or `rediss://…` where TLS was asked for.
    pub fn url(&self) -> String {
        self.url_at(self.address())
    }

    /// As [`url`](Self::url), for another address, such as that of a proxy before it.
    pub fn url_at(&self, address: SocketAddr) -> String {
        let scheme = if self.ports.tls.is_some() { "rediss" } else { "redis" };
        format!("{scheme}://:{}@{address}", self.password)
    }

    /// Where it listens; with TLS, where it listens for that.
    pub fn address(&self) -> SocketAddr {
        port::loopback(self.ports.tls.unwrap_or(self.ports.plain))
    }

    /// Where it listens without TLS.
    pub fn plain_address(&self) -> SocketAddr {
        port::loopback(self.ports.plain)
    }

    /// The password of the user `default`.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// The port for the other nodes of its cluster.
    pub(crate) fn bus_port(&self) -> Option<u16> {
        self.ports.bus
    }

    /// The process's number while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process().pid()
    }

    /// Stops time for it: connections stay open, nothing answers.
    pub fn pause(&self) {
        self.process().pause();
    }

    /// Ends a [`pause`](Self::pause).
    pub fn resume(&self) {
        self.process().resume();
    }

    /// Kills it as `kill -9` does.
    pub fn kill(&self) {
        self.process().kill();
    }

    /// Lets it end cleanly.
    pub fn stop(&self) {
        self.process().stop();
    }

    /// Starts it again on the same port, after stopping it if it runs. Without [`RedisOptions::appendonly`] it is empty.
    ///
    /// # Errors
    ///
    /// When it does not start.
    pub fn restart(&self) -> Result<(), Error> {
        self.process().restart()
    }

    /// Sends one command as the user `default` on a connection of its own.
    ///
    /// # Errors
    ///
    /// When it does not answer, or answers with an error.
    pub fn command(&self, words: &[&str]) -> Result<Reply, Error> {
        resp::command(self.plain_address(), Some(&self.password), words)
    }

    /// From now on the server outlives us.
    pub(crate) fn leave_running(&self) {
        self.process().leave_running();
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes the server's files and returns the path of its configuration. They are ours alone: they hold passwords.
fn configuration(home: &Home, ports: Ports, password: &str, options: &RedisOptions) -> Result<PathBuf, Error> {
    let directory = home.path();
    let quoted = |path: &std::path::Path| format!("\"{}\"", path.display());
    let mut lines = vec![
        "bind 127.0.0.1".to_owned(),
        format!("port {}", ports.plain),
        format!("dir {}", quoted(directory)),
        // With its own title the process would not show its directory, by which we know it again.
        "set-proc-title no".to_owned(),
        "daemonize no".to_owned(),
    ];
    if options.mode == Mode::Sentinel {
        lines.push(format!("requirepass {password}"));
    } else {
        lines.extend(["save \"\"", "enable-debug-command yes"].map(str::to_owned));
        lines.push(format!("masterauth {password}"));
        let users = directory.join("users.acl");
        let mut acl = format!("user default on >{password} ~* &* +@all\n");
        options.users.iter().for_each(|line| acl.push_str(&format!("user {line}\n")));
        write_secret(&users, &acl)?;
        lines.push(format!("aclfile {}", quoted(&users)));
    }
    if let (Some(tls), Some(port)) = (&options.tls, ports.tls) {
        lines.push(format!("tls-port {port}"));
        lines.push(format!("tls-cert-file {}", quoted(&tls.certificate)));
        lines.push(format!("tls-key-file {}", quoted(&tls.key)));
        lines.push(format!("tls-ca-cert-file {}", quoted(&tls.authority)));
        lines.push(format!("tls-auth-clients {}", if tls.clients_too { "yes" } else { "no" }));
    }
    if let Some(bus) = ports.bus {
        lines.extend(["cluster-enabled yes".to_owned(), format!("cluster-port {bus}")]);
        // Nodes of tests die without a replica; the others still serve their own slots.
        lines.push("cluster-require-full-coverage no".to_owned());
    }
    lines.extend(options.settings.iter().map(|(name, value)| format!("{name} {value}")));
    let file = directory.join("redis.conf");
    write_secret(&file, &(lines.join("\n") + "\n"))?;
    Ok(file)
}

fn write_secret(path: &std::path::Path, text: &str) -> Result<(), Error> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let mut options = std::fs::File::options();
    let mut file = options.create(true).write(true).truncate(true).mode(0o600).open(path).map_err(Error::at(path))?;
    file.write_all(text.as_bytes()).map_err(Error::at(path))
}
