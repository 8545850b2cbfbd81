//! Real servers: one PostgreSQL, one Redis, and instances that reach both through a proxy of their own.

use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use fault_proxy::{Fault, Proxy};
use rustix::process::{Pid, Signal, kill_process};
use test_services::{Place, Postgres, PostgresOptions, Redis, RedisOptions};

use crate::http::Client;

/// What an instance may take until it answers.
const START: Duration = Duration::from_secs(60);
/// What one may take to end: its `shutdown.grace_ms`, and as much again.
const END: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(20);
/// The most connections that one instance opens to PostgreSQL, as its operators are told to count them: those of its settings below, the shared
/// ones twice, and seven more.
pub(crate) const CONNECTIONS: usize = 6 + 2 + 7;

/// The servers behind.
pub(crate) struct Backends {
    pub(crate) postgres: Postgres,
    pub(crate) redis: Redis,
}

/// Instances over [`Backends`], in a schema and a namespace of their own.
pub(crate) struct Cluster<'b> {
    pub(crate) backends: &'b Backends,
    pub(crate) schema: String,
    pub(crate) instances: Vec<Instance>,
}

/// One server, which may be killed and started again.
pub(crate) struct Instance {
    number: usize,
    command: Vec<String>,
    mistake: Option<String>,
    /// Run in turns, one at each start.
    programs: Vec<PathBuf>,
    starts: AtomicUsize,
    log: PathBuf,
    pub(crate) postgres: Proxy,
    pub(crate) redis: Proxy,
    child: Mutex<Option<Child>>,
    addresses: RwLock<[SocketAddr; 2]>,
}

impl Backends {
    pub(crate) fn start(target: &Path) -> Result<Self, String> {
        let place = Place::under(target);
        let postgres = Postgres::try_start(&place, &PostgresOptions::default().max_connections(100));
        let redis = Redis::try_start(&place, &RedisOptions::default());
        Ok(Self {
            postgres: postgres.map_err(|error| error.to_string())?,
            redis: redis.map_err(|error| error.to_string())?,
        })
    }
}

impl<'b> Cluster<'b> {
    /// Starts instances, each with other tiers in front: all; a memory that holds little; no memory. Where there are several programs, they run
    /// side by side.
    pub(crate) fn start(
        backends: &'b Backends,
        programs: &[&Path],
        schema: &str,
        count: usize,
        mistake: Option<&str>,
        logs: &Path,
    ) -> Result<Self, String> {
        let mut instances = Vec::new();
        for number in 0..count {
            instances.push(Instance::new(backends, programs, schema, number, mistake, logs)?);
        }
        let cluster = Self { backends, schema: schema.to_owned(), instances };
        for instance in &cluster.instances {
            instance.start()?;
        }
        cluster.until_ready()?;
        Ok(cluster)
    }

    /// Waits until every instance says that it is ready.
    pub(crate) fn until_ready(&self) -> Result<(), String> {
        let begun = Instant::now();
        let mut client = Client::default();
        for instance in &self.instances {
            while !client.get(instance.public(), "/readyz").is_ok_and(|answer| answer.status == 200) {
                if begun.elapsed() > START {
                    return Err(format!("instance {} is not ready; see {}", instance.number, instance.log.display()));
                }
                std::thread::sleep(PAUSE);
            }
        }
        Ok(())
    }
}

impl Instance {
    fn new(
        backends: &Backends,
        programs: &[&Path],
        schema: &str,
        number: usize,
        mistake: Option<&str>,
        logs: &Path,
    ) -> Result<Self, String> {
        let proxy = |to: SocketAddr| Proxy::start_with(to, number as u64).map_err(|error| error.to_string());
        let (postgres, redis) = (proxy(backends.postgres.address())?, proxy(backends.redis.address())?);
        let mut settings = vec![
            format!("server.instance=instance-{number}"),
            format!("postgres.url={}", backends.postgres.url_at(postgres.address())),
            format!("postgres.schema={schema}"),
            "postgres.connections=6".to_owned(),
            "postgres.shared_connections=1".to_owned(),
            format!("redis.url={}", backends.redis.url_at(redis.address())),
            format!("redis.namespace={schema}"),
            "cache.l3.refresh_seconds=1".to_owned(),
            "data.demo=off".to_owned(),
            "log.level=warn".to_owned(),
        ];
        match number % 3 {
            1 => settings.push("cache.l1.budget_bytes=1000000".to_owned()),
            2 => settings.push("cache.l1.enabled=false".to_owned()),
            _ => {}
        }
        let mut command: Vec<String> = ["serve", "--port", "0", "--admin-port", "0"].map(str::to_owned).into();
        command.extend(settings.into_iter().flat_map(|setting| ["--set".to_owned(), setting]));
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 9));
        Ok(Self {
            number,
            command,
            mistake: mistake.map(str::to_owned),
            programs: programs.iter().map(|program| (*program).to_owned()).collect(),
            // Neighbours begin with different ones.
            starts: AtomicUsize::new(number),
            log: logs.join(format!("{schema}-{number}.log")),
            postgres,
            redis,
            child: Mutex::new(None),
            addresses: RwLock::new([nowhere; 2]),
        })
    }

    /// Where it answers.
    pub(crate) fn public(&self) -> SocketAddr {
        self.addresses.read().unwrap_or_else(PoisonError::into_inner)[0]
    }

    /// Where it is administered.
    pub(crate) fn admin(&self) -> SocketAddr {
        self.addresses.read().unwrap_or_else(PoisonError::into_inner)[1]
    }

    /// Whether it is of another release at other starts.
    pub(crate) fn runs_several_programs(&self) -> bool {
        self.programs.len() > 1
    }

    /// Starts it, and waits for its addresses.
    pub(crate) fn start(&self) -> Result<(), String> {
        let program = &self.programs[self.starts.fetch_add(1, Ordering::Relaxed) % self.programs.len()];
        let said = |error: std::io::Error| format!("{}: {error}", program.display());
        let log = File::options().create(true).append(true).open(&self.log).map_err(said)?;
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TIERGATE_")) {
            command.env_remove(name);
        }
        if let Some(mistake) = &self.mistake {
            command.env("TIERGATE_TEST_MISTAKE", mistake);
        }
        command.args(&self.command).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().map_err(said)?;
        let Some(output) = child.stdout.take() else { return Err("no standard output".to_owned()) };
        let (tell, told) = channel();
        // Whatever it says later is read too, so that it never waits for us.
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let Some(place) = ["decisions", "administration"].iter().position(|what| line.contains(what)) else {
                    continue;
                };
                if let Some(address) = line.rsplit("http://").next().and_then(|address| address.parse().ok()) {
                    let _ = tell.send((place, address));
                }
            }
        });
        *self.child.lock().unwrap_or_else(PoisonError::into_inner) = Some(child);
        let mut addresses = [None; 2];
        while addresses.contains(&None) {
            let silent = |_| format!("instance {} does not start; see {}", self.number, self.log.display());
            let (place, address) = told.recv_timeout(START).map_err(silent)?;
            addresses[place] = Some(address);
        }
        let [Some(public), Some(admin)] = addresses else { return Ok(()) };
        *self.addresses.write().unwrap_or_else(PoisonError::into_inner) = [public, admin];
        Ok(())
    }

    /// Sends a signal to the process.
    pub(crate) fn signal(&self, signal: Signal) {
        let child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let id = child.as_ref().and_then(|child| i32::try_from(child.id()).ok()).and_then(Pid::from_raw);
        if let Some(id) = id {
            let _ = kill_process(id, signal);
        }
    }

    /// Waits for the process, which was told to end, or ends by itself; its exit status, where it has one.
    ///
    /// # Errors
    /// Where it does not end, and was killed.
    pub(crate) fn wait(&self) -> Result<Option<i32>, String> {
        let child = self.child.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(mut child) = child else { return Ok(None) };
        let begun = Instant::now();
        loop {
            match child.try_wait() {
                Ok(Some(status)) => return Ok(status.code()),
                Ok(None) => {}
                Err(error) => return Err(format!("instance {} can't be waited for: {error}", self.number)),
            }
            if begun.elapsed() > END {
                let _ = child.kill();
                let _ = child.wait();
                return Err(format!("instance {} did not end within {} s", self.number, END.as_secs()));
            }
            std::thread::sleep(PAUSE);
        }
    }

    /// Nothing is in its way any more.
    pub(crate) fn heal(&self) {
        for proxy in [&self.postgres, &self.redis] {
            proxy.set(Fault::None);
            // TCP never goes on after bytes that were lost.
            proxy.reset();
            let _ = proxy.accept();
        }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        self.signal(Signal::CONT);
        self.signal(Signal::KILL);
        let _ = self.wait();
    }
}
