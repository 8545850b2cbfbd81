//! Connections to Redis: how each is made, whatever the URL names.
//!
//! No connection has a time limit for answers of its own, because whoever asks knows its limit; and each is watched by the kernel, so that a
//! peer that vanished without a word is noticed also by who only listens.

use std::path::Path;
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use redis::io::tcp::{TcpSettings, socket2};
use redis::sentinel::{SentinelClient, SentinelClientBuilder, SentinelServerType};
use redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, Cmd, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, Pipeline,
    RedisConnectionInfo, RedisError, RedisFuture, TlsCertificates, TlsMode, Value,
};
use tokio::sync::Mutex;

use crate::address::{Address, Host, Place};
use crate::config::RedisConfig;
use crate::error::ConfigError;

/// How long a connection may be idle before the kernel asks whether the peer is there.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(10);
/// How long it waits between two such questions.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(3);
/// How many of them may stay unanswered.
const KEEPALIVE_PROBES: u32 = 3;
/// How long what was sent may stay unacknowledged before the kernel gives the connection up.
const USER_TIMEOUT: Duration = Duration::from_secs(5);
/// Requests that may wait in a connection to be written. The bound on operations under way is the tier's.
const WRITE_QUEUE: usize = 1_024;
/// How often the cluster client follows a redirection, or finds a node anew, within one request. It is the only retry below the tier's own.
const CLUSTER_RETRIES: u32 = 3;
/// The longest wait between two of those, in milliseconds.
const CLUSTER_RETRY_WAIT_MS: u64 = 10;

/// Makes connections.
pub(crate) struct Connector {
    plan: Plan,
    config: AsyncConnectionConfig,
    timeout: Duration,
    address: String,
}

enum Plan {
    Server(Box<Client>),
    /// Asked anew for each connection: the master may be another one by then.
    Sentinels(Box<Mutex<SentinelClient>>),
    Cluster(Box<ClusterClient>),
}

/// One connection. Clones share it: each may ask without waiting for the answers of the others, and the answers come in the order of the
/// questions. So a blocking command needs a connection of its own.
#[derive(Clone)]
pub(crate) enum Link {
    /// To one server.
    Server(MultiplexedConnection),
    /// To every node of a cluster.
    Cluster(ClusterConnection),
}

impl Connector {
    /// Prepares connections by the settings, without making one. Certificates are read from their files.
    ///
    /// # Errors
    /// Where a setting is out of its bounds, or a file can't be used.
    pub(crate) fn new(config: &RedisConfig) -> Result<Self, ConfigError> {
        config.validate()?;
        let address = config.address()?;
        let certificates = certificates(config, &address)?;
        let plan = Plan::new(config, &address, certificates).map_err(|error| ConfigError::Unusable {
            what: "the URL of Redis or a certificate",
            problem: error.to_string(),
        })?;
        let timeout = config.connect_timeout();
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(timeout))
            .set_response_timeout(None)
            .set_pipeline_buffer_size(WRITE_QUEUE);
        Ok(Self { plan, config, timeout, address: address.to_string() })
    }

    /// Where connections go, without credentials.
    #[must_use]
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Whether keys lie on several nodes, so that one command can't ask for many.
    #[must_use]
    pub(crate) const fn is_cluster(&self) -> bool {
        matches!(self.plan, Plan::Cluster(_))
    }

    /// A new connection, which nobody else has. Names are resolved, and sentinels asked, each time.
    ///
    /// # Errors
    /// Where none could be made within the time for it.
    pub(crate) async fn connect(&self) -> Result<Link, RedisError> {
        let link = async {
            match &self.plan {
                Plan::Server(client) => {
                    client.get_multiplexed_async_connection_with_config(&self.config).await.map(Link::Server)
                }
                Plan::Sentinels(client) => {
                    client.lock().await.get_async_connection_with_config(&self.config).await.map(Link::Server)
                }
                Plan::Cluster(client) => client.get_async_connection().await.map(Link::Cluster),
            }
        };
        // Several servers may have to be asked in turn; all of it has one limit.
        match tokio::time::timeout(self.timeout, link).await {
            Ok(made) => made,
            Err(_) => Err(std::io::Error::from(std::io::ErrorKind::TimedOut).into()),
        }
    }
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Connector({})", self.address)
    }
}

impl Plan {
    fn new(config: &RedisConfig, address: &Address, certificates: Option<TlsCertificates>) -> Result<Self, RedisError> {
        let login = login(address.user.as_deref(), address.password.as_ref().map(|secret| secret.reveal()))
            .set_db(address.database);
        let info = |to: ConnectionAddr| -> Result<ConnectionInfo, RedisError> {
            Ok(to.into_connection_info()?.set_redis_settings(login.clone()).set_tcp_settings(tcp_settings()))
        };
        Ok(match &address.place {
            Place::Socket(path) => Self::Server(Box::new(Client::open(info(ConnectionAddr::Unix(path.clone()))?)?)),
            Place::Server(host) => {
                let info = info(to(host, address.tls))?;
                Self::Server(Box::new(match certificates {
                    Some(certificates) => Client::build_with_tls(info, certificates)?,
                    None => Client::open(info)?,
                }))
            }
            Place::Cluster { nodes } => {
                let nodes = nodes.iter().map(|host| info(to(host, address.tls))).collect::<Result<Vec<_>, _>>()?;
                let mut builder = ClusterClient::builder(nodes)
                    .connection_timeout(config.connect_timeout())
                    .response_timeout(config.connect_timeout())
                    .retries(CLUSTER_RETRIES)
                    .min_retry_wait(1)
                    .max_retry_wait(CLUSTER_RETRY_WAIT_MS)
                    .tcp_settings(tcp_settings());
                if address.tls {
                    builder = builder.tls(TlsMode::Secure);
                }
                if let Some(certificates) = certificates {
                    builder = builder.certs(certificates);
                }
                Self::Cluster(Box::new(builder.build()?))
            }
            Place::Sentinels { nodes, master } => {
                let nodes = nodes.iter().map(|host| to(host, address.tls));
                let mut builder = SentinelClientBuilder::new(nodes, master, SentinelServerType::Master)?
                    .set_client_to_redis_db(address.database)
                    .set_client_to_redis_tcp_settings(tcp_settings())
                    .set_client_to_sentinel_tcp_settings(tcp_settings());
                if let Some(user) = &address.user {
                    builder = builder.set_client_to_redis_username(user);
                }
                if let Some(password) = &address.password {
                    builder = builder.set_client_to_redis_password(password.reveal());
                }
                if let Some(user) = &config.sentinel_username {
                    builder = builder.set_client_to_sentinel_username(user);
                }
                if let Some(password) = &config.sentinel_password {
                    builder = builder.set_client_to_sentinel_password(password.reveal());
                }
                if address.tls {
                    builder = builder.set_client_to_redis_tls_mode(TlsMode::Secure);
                }
                if let Some(certificates) = certificates {
                    builder = builder
                        .set_client_to_redis_certificates(certificates.clone())
                        .set_client_to_sentinel_certificates(certificates);
                }
                Self::Sentinels(Box::new(Mutex::new(builder.build()?)))
            }
        })
    }
}

impl ConnectionLike for Link {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Server(connection) => connection.req_packed_command(command),
            Self::Cluster(connection) => connection.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        commands: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Server(connection) => connection.req_packed_commands(commands, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(commands, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Server(connection) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Server(_) => "Link::Server",
            Self::Cluster(_) => "Link::Cluster",
        })
    }
}

fn to(host: &Host, tls: bool) -> ConnectionAddr {
    if tls {
        ConnectionAddr::TcpTls { host: host.name.clone(), port: host.port, insecure: false, tls_params: None }
    } else {
        ConnectionAddr::Tcp(host.name.clone(), host.port)
    }
}

fn login(user: Option<&str>, password: Option<&str>) -> RedisConnectionInfo {
    // An ACL user needs no right to name its library.
    let mut login = RedisConnectionInfo::default().set_skip_set_lib_name();
    if let Some(user) = user {
        login = login.set_username(user);
    }
    if let Some(password) = password {
        login = login.set_password(password);
    }
    login
}

fn tcp_settings() -> TcpSettings {
    let keepalive = socket2::TcpKeepalive::new()
        .with_time(KEEPALIVE_IDLE)
        .with_interval(KEEPALIVE_INTERVAL)
        .with_retries(KEEPALIVE_PROBES);
    let settings = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(USER_TIMEOUT);
    settings
}

/// The certificates of the settings; none where there is no TLS, or where the machine's are trusted.
fn certificates(config: &RedisConfig, address: &Address) -> Result<Option<TlsCertificates>, ConfigError> {
    let read = |what: &'static str, path: &Path| {
        std::fs::read(path).map_err(|error| ConfigError::File {
            what,
            path: path.display().to_string(),
            problem: error.to_string(),
        })
    };
    if !address.tls {
        return match config.ca_file.is_some() || config.client_cert_file.is_some() {
            true => Err(ConfigError::Url { must: "have the scheme rediss where certificates are set" }),
            false => Ok(None),
        };
    }
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Whoever else sets it at this very moment has set one that will do.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    let root_cert = config.ca_file.as_deref().map(|path| read("the certificate file", path)).transpose()?;
    let client_tls = match (&config.client_cert_file, &config.client_key_file) {
        (Some(cert), Some(key)) => Some(ClientTlsConfig {
            client_cert: read("the client's certificate file", cert)?,
            client_key: read("the client's key file", key)?,
        }),
        _ => None,
    };
    Ok((root_cert.is_some() || client_tls.is_some()).then_some(TlsCertificates { client_tls, root_cert }))
}
