//! The settings, with their units in their names and their defaults in one place.
//!
//! Every bound of the process that somebody may want to move is here; what is not here is a constant beside the code it bounds.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{AccessLog, Auth, Cache, Gateway, Keys, Postgres, Rate, Redis, Tls};

/// All settings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// The listener for decisions, models and relationships.
    pub http: Http,
    /// The listener for whoever operates the server.
    pub admin: Admin,
    /// Who may call.
    pub auth: Auth,
    /// Where the data is.
    pub data: Data,
    /// Tiers and lifetimes.
    pub cache: Cache,
    /// The bounds of one evaluation.
    pub limits: Limits,
    /// How conditions are evaluated.
    pub conditions: Conditions,
    /// The embedded origin.
    pub sqlite: Sqlite,
    /// The origin in PostgreSQL, and the tier over its views.
    pub postgres: Postgres,
    /// The Redis tier's connections and bounds.
    pub redis: Redis,
    /// Which accesses are noted.
    pub access_log: AccessLog,
    /// The master key.
    pub keys: Keys,
    /// What is logged, and how.
    pub log: Log,
    /// Which store the plain AuthZEN paths stand for.
    pub server: Server,
    /// What gateways ask.
    pub gateway: Gateway,
    /// TLS of the listeners.
    pub tls: Tls,
    /// How the process ends.
    pub shutdown: Shutdown,
}

/// The listener for decisions, models and relationships.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// The address to listen at.
    pub address: IpAddr,
    /// The port; 0 takes a free one.
    pub port: u16,
    /// The base URL by which clients know this server, for the metadata document. Without it, address and port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
    /// How long a request may take, its body included.
    pub request_timeout_ms: u64,
    /// How long a connection may take to send the head of a request, or be idle between two.
    pub header_timeout_ms: u64,
    /// The longest body, in bytes.
    pub max_body_bytes: usize,
    /// The most questions in one request.
    pub max_batch: usize,
    /// Connections at a time; the next one is refused with 503.
    pub max_connections: usize,
    /// Requests at a time; the next one is refused with 503.
    pub max_requests: usize,
}

/// The listener for whoever operates the server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admin {
    /// The address to listen at.
    pub address: IpAddr,
    /// The port; 0 takes a free one.
    pub port: u16,
}

/// Where the data is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// The directory; created where it is missing.
    pub directory: PathBuf,
    /// Whether an empty directory is filled with a small world to try things out.
    pub demo: Demo,
}

/// Whether an empty directory is filled with a small world to try things out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Demo {
    /// When the directory is empty, and the origin is the embedded one.
    Auto,
    /// Also in PostgreSQL, where it has no store.
    On,
    /// Never.
    Off,
}

/// The bounds of one evaluation, and of what it answers. A question that meets one of the evaluation has no answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// The most objects in a row on the way from the question to a relationship.
    pub depth: usize,
    /// The most pairs of object and relation that are looked at.
    pub breadth: usize,
    /// The most look-ups of relationships.
    pub reads: usize,
    /// The most steps of conditions.
    pub condition_steps: u64,
    /// The most items of a list that OpenFGA's interface answers, where it does not stream.
    pub list_results: usize,
    /// How often the origin may be asked.
    pub rate: Rate,
}

/// How conditions are evaluated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conditions {
    /// The parameter that stands for the time of this server where neither a relationship nor a question gives it; empty for none.
    pub clock: String,
}

/// The embedded origin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sqlite {
    /// Connections that read, and so snapshots at a time.
    pub readers: usize,
    /// Writes that may wait; the next one is refused.
    pub max_queued_writes: usize,
}

/// What is logged, and how. The log goes to the standard error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// Lines for people or JSON for machines.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug`, `trace`, or a list by module as in `info,server=debug`.
    pub level: String,
}

/// Lines for people or JSON for machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// A JSON object a line.
    Json,
}

/// Which store the plain AuthZEN paths stand for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    /// The id of that store. Without it: the only store, or the one that is named `demo`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default_store: Option<String>,
    /// What this instance is called where somebody asks who lags. Without it, the name of the machine and the port.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instance: Option<String>,
}

impl Server {
    /// What this instance is called.
    #[must_use]
    pub fn instance_name(&self, http: &Http) -> String {
        let machine = || rustix::system::uname().nodename().to_string_lossy().into_owned();
        self.instance.clone().unwrap_or_else(|| format!("{}:{}", machine(), http.port))
    }
}

/// How the process ends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shutdown {
    /// How long requests that were begun may go on after the signal.
    pub grace_ms: u64,
}

impl Default for Http {
    fn default() -> Self {
        Self {
            address: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 8080,
            public_url: None,
            request_timeout_ms: 3_000,
            header_timeout_ms: 30_000,
            max_body_bytes: 1 << 20,
            max_batch: 50,
            max_connections: 10_000,
            max_requests: 2_048,
        }
    }
}

impl Default for Admin {
    fn default() -> Self {
        Self { address: IpAddr::V4(Ipv4Addr::LOCALHOST), port: 8081 }
    }
}

impl Default for Data {
    fn default() -> Self {
        Self { directory: PathBuf::from("tiergate-data"), demo: Demo::Auto }
    }
}

impl Default for Limits {
    fn default() -> Self {
        let authz::evaluate::Limits { max_depth, max_nodes, max_reads, max_condition_steps, .. } = Default::default();
        Self {
            depth: max_depth,
            breadth: max_nodes,
            reads: max_reads,
            condition_steps: max_condition_steps,
            list_results: 1_000,
            rate: Rate::default(),
        }
    }
}

impl Default for Conditions {
    fn default() -> Self {
        Self { clock: authz::decide::DEFAULT_CLOCK_PARAMETER.to_owned() }
    }
}

impl Default for Sqlite {
    fn default() -> Self {
        Self { readers: 4, max_queued_writes: 1_024 }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Text, level: "info".to_owned() }
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self { grace_ms: 10_000 }
    }
}

impl Http {
    /// Where to listen.
    #[must_use]
    pub fn socket(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.port)
    }

    /// How long a request may take.
    #[must_use]
    pub fn request_timeout(&self) -> Duration {
        Duration::from_millis(self.request_timeout_ms)
    }
}

impl Admin {
    /// Where to listen.
    #[must_use]
    pub fn socket(&self) -> SocketAddr {
        SocketAddr::new(self.address, self.port)
    }
}
