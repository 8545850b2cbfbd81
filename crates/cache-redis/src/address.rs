//! Where Redis is, as one URL: a server, a master that sentinels know, or a cluster.
//!
//! | URL | meaning |
//! |---|---|
//! | `redis://[user[:password]@]host[:port][/database]` | one server; `rediss` for TLS |
//! | `unix:///path/to/socket` | one server on this machine |
//! | `redis+sentinel://[user[:password]@]host[:port][,host[:port]…]/master[/database]` | the master of that name; `rediss+sentinel` for TLS |
//! | `redis+cluster://[user[:password]@]host[:port][,host[:port]…]` | a cluster, found by any of these nodes; `rediss+cluster` for TLS |

use std::fmt;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;

use crate::error::ConfigError;
use crate::secret::Secret;

/// The port of a Redis server where the URL names none.
pub(crate) const DEFAULT_PORT: u16 = 6_379;
/// The port of a sentinel where the URL names none.
pub(crate) const DEFAULT_SENTINEL_PORT: u16 = 26_379;

/// A URL, taken apart. It is shown without its credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    pub(crate) place: Place,
    pub(crate) tls: bool,
    pub(crate) user: Option<String>,
    pub(crate) password: Option<Secret>,
    pub(crate) database: i64,
}

/// What the URL names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Server(Host),
    Socket(PathBuf),
    Sentinels { nodes: Vec<Host>, master: String },
    Cluster { nodes: Vec<Host> },
}

/// A name or an address, and a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Host {
    pub(crate) name: String,
    pub(crate) port: u16,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Server,
    Sentinels,
    Cluster,
}

impl Address {
    /// Takes a URL apart. No error repeats the URL, because it may hold a password.
    pub(crate) fn parse(url: &str) -> Result<Self, ConfigError> {
        let (scheme, rest) = url.split_once("://").ok_or(wrong("begin with a scheme such as redis://"))?;
        let (kind, tls) = match scheme {
            "redis" => (Kind::Server, false),
            "rediss" => (Kind::Server, true),
            "redis+sentinel" => (Kind::Sentinels, false),
            "rediss+sentinel" => (Kind::Sentinels, true),
            "redis+cluster" => (Kind::Cluster, false),
            "rediss+cluster" => (Kind::Cluster, true),
            "unix" => return Self::socket(rest),
            _ => return Err(wrong("have one of the schemes redis, rediss, unix, redis+sentinel, redis+cluster")),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (credentials, hosts) = match authority.rsplit_once('@') {
            Some((credentials, hosts)) => (Some(credentials), hosts),
            None => (None, authority),
        };
        let (user, password) = credentials.map(read_credentials).transpose()?.unwrap_or_default();
        let default_port = if kind == Kind::Sentinels { DEFAULT_SENTINEL_PORT } else { DEFAULT_PORT };
        let mut nodes = hosts.split(',').map(|host| Host::parse(host, default_port)).collect::<Result<Vec<_>, _>>()?;
        let mut path = path.split('/').filter(|segment| !segment.is_empty());
        let place = match kind {
            Kind::Server if nodes.len() == 1 => Place::Server(nodes.remove(0)),
            Kind::Server => return Err(wrong("name one host, or be of the scheme redis+sentinel or redis+cluster")),
            Kind::Cluster => Place::Cluster { nodes },
            Kind::Sentinels => {
                let master = path.next().ok_or(wrong("name the master after the sentinels: …/mymaster"))?;
                Place::Sentinels { nodes, master: decode(master)? }
            }
        };
        let database = match (path.next(), kind) {
            (None, _) => 0,
            (Some(_), Kind::Cluster) => return Err(wrong("name no database: a cluster has only one")),
            (Some(number), _) => number.parse().map_err(|_| wrong("end with the number of a database"))?,
        };
        if path.next().is_some() {
            return Err(wrong("end with the number of a database"));
        }
        Ok(Self { place, tls, user, password, database })
    }

    fn socket(path: &str) -> Result<Self, ConfigError> {
        if !path.starts_with('/') {
            return Err(wrong("name an absolute path: unix:///run/redis.sock"));
        }
        let place = Place::Socket(PathBuf::from(decode(path)?));
        Ok(Self { place, tls: false, user: None, password: None, database: 0 })
    }
}

impl Host {
    fn parse(text: &str, default_port: u16) -> Result<Self, ConfigError> {
        // An IPv6 address stands in brackets, because it has colons of its own.
        let (name, port) = match text.strip_prefix('[') {
            Some(rest) => rest.split_once(']').ok_or(wrong("close the bracket of an IPv6 address"))?,
            None => text.find(':').map_or((text, ""), |colon| text.split_at(colon)),
        };
        let port = match port.strip_prefix(':') {
            Some(number) => number.parse().map_err(|_| wrong("have ports between 1 and 65535"))?,
            None if port.is_empty() => default_port,
            None => return Err(wrong("have hosts of the form name:port")),
        };
        if name.is_empty() || port == 0 {
            return Err(wrong("have hosts of the form name:port"));
        }
        Ok(Self { name: name.to_owned(), port })
    }
}

impl Host {
    /// Whether it is this machine, without asking anybody.
    pub(crate) fn is_loopback(&self) -> bool {
        self.name.eq_ignore_ascii_case("localhost")
            || self.name.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name.contains(':') {
            true => write!(f, "[{}]:{}", self.name, self.port),
            false => write!(f, "{}:{}", self.name, self.port),
        }
    }
}

/// For errors and logs: where, but never as whom.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |nodes: &[Host]| nodes.iter().map(Host::to_string).collect::<Vec<_>>().join(",");
        match &self.place {
            Place::Server(host) => write!(f, "{host}"),
            Place::Socket(path) => write!(f, "{}", path.display()),
            Place::Sentinels { nodes, master } => write!(f, "{master} of {}", list(nodes)),
            Place::Cluster { nodes } => write!(f, "the cluster of {}", list(nodes)),
        }
    }
}

fn read_credentials(text: &str) -> Result<(Option<String>, Option<Secret>), ConfigError> {
    let (user, password) = match text.split_once(':') {
        Some((user, password)) => (user, Some(Secret::new(decode(password)?))),
        None => (text, None),
    };
    let user = decode(user)?;
    Ok(((!user.is_empty()).then_some(user), password))
}

fn decode(text: &str) -> Result<String, ConfigError> {
    match percent_decode_str(text).decode_utf8() {
        Ok(decoded) => Ok(decoded.into_owned()),
        Err(_) => Err(wrong("be UTF-8 after percent-decoding")),
    }
}

fn wrong(must: &'static str) -> ConfigError {
    ConfigError::Url { must }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, port: u16) -> Host {
        Host { name: name.to_owned(), port }
    }

    #[test]
    fn a_server_a_socket_sentinels_and_a_cluster_have_urls() {
        let server = Address::parse("rediss://tier:p%40ss@cache.example:6380/3").expect("a URL");
        assert_eq!(server.place, Place::Server(host("cache.example", 6_380)));
        assert_eq!((server.tls, server.database), (true, 3));
        assert_eq!((server.user.as_deref(), server.password), (Some("tier"), Some(Secret::new("p@ss"))));

        let socket = Address::parse("unix:///run/redis.sock").expect("a URL");
        assert_eq!(socket.place, Place::Socket("/run/redis.sock".into()));

        let sentinels = Address::parse("redis+sentinel://:secret@a,b:1,[::1]:2/main/1").expect("a URL");
        let nodes = vec![host("a", DEFAULT_SENTINEL_PORT), host("b", 1), host("::1", 2)];
        assert_eq!(sentinels.place, Place::Sentinels { nodes, master: "main".to_owned() });
        assert_eq!((sentinels.user, sentinels.database), (None, 1));

        let cluster = Address::parse("redis+cluster://a,b").expect("a URL");
        assert_eq!(cluster.place, Place::Cluster { nodes: vec![host("a", DEFAULT_PORT), host("b", DEFAULT_PORT)] });
    }

    #[test]
    fn a_url_that_is_wrong_says_what_it_must_be_and_shows_no_password() {
        for url in [
            "cache:hunter2",
            "http://u:hunter2@a",
            "redis://u:hunter2@a,b",
            "redis://u:hunter2@:1",
            "redis://u:hunter2@a:x",
            "redis://u:hunter2@a:0",
            "redis://u:hunter2@[::1",
            "redis://u:hunter2@a/x",
            "redis://u:hunter2@a/1/2",
            "redis+sentinel://u:hunter2@a",
            "redis+cluster://u:hunter2@a/1",
            "unix://hunter2",
        ] {
            let error = Address::parse(url).expect_err(url);
            let shown = format!("{error} {error:?}");
            assert!(shown.contains("must"), "{shown}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }

    #[test]
    fn an_address_is_shown_without_its_credentials() {
        let address = Address::parse("redis+sentinel://tier:hunter2@a,b/main").expect("a URL");
        assert_eq!(address.to_string(), "main of a:26379,b:26379");
        assert!(!format!("{address:?}").contains("hunter2"));
    }
}
