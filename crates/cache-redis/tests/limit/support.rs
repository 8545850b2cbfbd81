//! A server, limiters on it, and quotas.

use std::num::NonZeroU32;

use cache_core::Error;
use cache_redis::limit::{Charge, Quota, RedisLimiter, Taken};
use cache_redis::{BreakerConfig, Keyring, Machine, RedisConfig};

pub(crate) struct Server {
    child: std::sync::Mutex<std::process::Child>,
    port: u16,
    args: Vec<String>,
}
impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}
impl Server {
    pub(crate) fn start(args: &[&str]) -> Option<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let args: Vec<String> = args.iter().map(|a| (*a).to_owned()).collect();
        let this = Self { child: std::sync::Mutex::new(Self::spawn(port, &args)), port, args };
        Some(this)
    }
    fn spawn(port: u16, args: &[String]) -> std::process::Child {
        let dir = std::env::temp_dir().join(format!("limits-{port}"));
        std::fs::create_dir_all(&dir).unwrap();
        let child = std::process::Command::new("redis-server")
            .args(["--port", &port.to_string(), "--save", "", "--bind", "127.0.0.1", "--dir", dir.to_str().unwrap()])
            .args(args)
            .stdout(std::process::Stdio::null())
            .spawn()
            .unwrap();
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::yield_now();
        }
        child
    }
    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }
    pub(crate) fn kill(&self) {
        let mut child = self.child.lock().unwrap();
        let _ = child.kill();
        let _ = child.wait();
    }
    pub(crate) fn pid(&self) -> u32 {
        self.child.lock().unwrap().id()
    }
    fn signal(&self, name: &str) {
        std::process::Command::new("kill").args([name, &self.pid().to_string()]).status().unwrap();
    }
    pub(crate) fn pause(&self) {
        self.signal("-STOP");
    }
    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }
    pub(crate) fn restart(&self) {
        self.kill();
        *self.child.lock().unwrap() = Self::spawn(self.port, &self.args);
    }
}

/// A server of a test's own; none where there is no Redis, which is said.
pub(crate) fn server() -> Option<Server> {
    Server::start(&[])
}

/// The settings of a patient limiter: what a busy machine does to it is no part of most tests.
pub(crate) fn patient(url: &str) -> RedisConfig {
    RedisConfig {
        get_timeout_ms: 5_000,
        connect_timeout_ms: 5_000,
        breaker: BreakerConfig { slow_call_ms: 5_000, ..BreakerConfig::default() },
        ..RedisConfig::at(url)
    }
}

/// A limiter of one instance. All have the same master key.
pub(crate) fn limiter(config: &RedisConfig) -> RedisLimiter {
    let keyring = Keyring::from_bytes(&[7; 32]).expect("long enough");
    RedisLimiter::new(config, &keyring, Machine::default()).expect("the settings are within their bounds")
}

pub(crate) fn quota(burst: u32, per_second: u32) -> Quota {
    Quota::new(NonZeroU32::new(burst).expect("not zero"), NonZeroU32::new(per_second).expect("not zero"))
}

/// Takes from one bucket.
pub(crate) async fn take(limiter: &RedisLimiter, bucket: &str, quota: Quota, units: u32) -> Result<Taken, Error> {
    limiter.take(&[Charge { bucket: bucket.as_bytes(), quota, units }]).await
}

/// Sends a command on a connection of its own.
pub(crate) fn command(server: &Server, words: &[&str]) -> redis::Value {
    let client = redis::Client::open(server.url()).expect("a URL");
    let mut connection = client.get_connection().expect("the server is there");
    let mut command = redis::Cmd::new();
    command.arg(words).query(&mut connection).expect("the server knows the command")
}

/// The names of everything that lies there.
pub(crate) fn names(server: &Server) -> Vec<String> {
    redis::from_redis_value(command(server, &["KEYS", "*"])).expect("names")
}
