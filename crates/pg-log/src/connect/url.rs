//! Reads the URL: what tokio-postgres knows is left to it, the verifying modes of TLS and their root certificates are read here.

use std::time::Duration;

use percent_encoding::percent_decode_str;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode, SslNegotiation};

use super::tls::Mode;
use crate::{PgConfig, PgError, PgErrorKind};

/// How long data may stay without an acknowledgement before a connection is given up, unless the URL says otherwise.
const TCP_USER_TIMEOUT: Duration = Duration::from_secs(10);
/// When an idle connection is first asked whether it is still there, and how often then.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(15);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEPALIVE_RETRIES: u32 = 3;

const READING: &str = "read its URL";

/// A URL, read.
pub(super) struct Target {
    /// Each host by itself, in the order of the URL. Hosts that only parameters name are together in one.
    pub(super) hosts: Vec<Config>,
    pub(super) mode: Mode,
    pub(super) roots: Option<String>,
    /// Where it is, without credentials.
    pub(super) place: String,
    /// All hosts are directories of sockets.
    pub(super) local: bool,
}

pub(super) fn read(settings: &PgConfig) -> Result<Target, PgError> {
    // What stands before the first `@` are credentials, whatever characters they hold: as tokio-postgres reads it.
    let credentials = settings.url.find('@').unwrap_or(0);
    let question = settings.url[credentials..].find('?').map(|at| credentials + at);
    let (base, query) = question.map_or((&*settings.url, ""), |at| (&settings.url[..at], &settings.url[at + 1..]));
    // Whoever reads the first as the end of the password takes the rest of it for the name of a host, shows it, and asks for it in the DNS.
    let authority = base.find("://").map_or(base, |at| &base[at + 3..]);
    if authority.matches('@').count() > 1 || query.contains('@') {
        return Err(malformed());
    }
    let mut mode = None;
    let mut roots = None;
    let mut left = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sslmode", value)) => mode = Some(mode_of(value)?),
            Some(("sslrootcert", value)) => {
                roots = Some(percent_decode_str(value).decode_utf8().map_err(|_| malformed())?.into_owned());
            }
            _ => left.push(pair),
        }
    }
    if !base.starts_with("postgres://") && !base.starts_with("postgresql://") {
        return Err(malformed());
    }
    let parameters = if left.is_empty() { String::new() } else { format!("?{}", left.join("&")) };
    // The library's own message may quote a part of the URL, and a badly escaped password is such a part.
    let parsed = |base: &str| format!("{base}{parameters}").parse::<Config>().map_err(|_| malformed());
    let config = parsed(base)?;
    if config.get_hosts().is_empty() {
        return Err(malformed());
    }
    let local = config.get_hosts().iter().all(|host| matches!(host, Host::Unix(_)));
    if local && mode.is_some_and(|mode| mode > Mode::Prefer) {
        return Err(refuse("TLS is not spoken over a local socket; leave sslmode out".to_owned()));
    }
    let mode = if local { Mode::Disable } else { mode.unwrap_or(Mode::Prefer) };
    if roots.is_some() && mode <= Mode::Prefer {
        return Err(refuse("sslrootcert has no effect with this sslmode; write sslmode=verify-full".to_owned()));
    }
    if config.get_ssl_negotiation() == SslNegotiation::Direct && mode <= Mode::Prefer {
        return Err(refuse("sslnegotiation=direct needs sslmode=require, verify-ca or verify-full".to_owned()));
    }
    let mut hosts = if left.iter().any(|pair| names_hosts(pair)) {
        vec![config.clone()]
    } else {
        each(base).iter().map(|base| parsed(base)).collect::<Result<_, _>>()?
    };
    for host in &mut hosts {
        if host.get_hosts().is_empty() {
            return Err(malformed());
        }
        complete(host, settings);
        host.ssl_mode(SslMode::Require);
    }
    Ok(Target { hosts, mode, roots, place: place(&config), local })
}

/// A URL of its own for each host of one, which has no parameters.
fn each(base: &str) -> Vec<String> {
    let begin = base.find('@').or_else(|| base.find("://").map(|at| at + 2)).map_or(0, |at| at + 1);
    let end = base[begin..].find('/').map_or(base.len(), |at| begin + at);
    base[begin..end].split(',').map(|host| format!("{}{host}{}", &base[..begin], &base[end..])).collect()
}

/// Whether a parameter belongs to the hosts in their order, so that they can't be taken apart.
fn names_hosts(pair: &str) -> bool {
    pair.split_once('=').is_some_and(|(name, _)| matches!(name, "host" | "hostaddr" | "port"))
}

fn mode_of(value: &str) -> Result<Mode, PgError> {
    Ok(match value {
        "disable" => Mode::Disable,
        "prefer" | "allow" => Mode::Prefer,
        "require" => Mode::Require,
        "verify-ca" => Mode::VerifyCa,
        "verify-full" => Mode::VerifyFull,
        _ => return Err(refuse("sslmode is one of disable, prefer, require, verify-ca, verify-full".to_owned())),
    })
}

/// Sets what the URL leaves open, and the options of every session.
fn complete(config: &mut Config, settings: &PgConfig) {
    if config.get_application_name().is_none() {
        config.application_name(&settings.application_name);
    }
    config.connect_timeout(settings.connect_timeout);
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(TCP_USER_TIMEOUT);
    }
    if config.get_keepalives_interval().is_none() {
        config.keepalives_idle(KEEPALIVE_IDLE);
        config.keepalives_interval(KEEPALIVE_INTERVAL);
        config.keepalives_retries(KEEPALIVE_RETRIES);
    }
    // `tiergate.writer` tells the triggers that this session wakes the others itself, after its commit. Compiling a statement pays for
    // none of the short ones here. A client that is gone is noticed while a statement runs.
    let options = format!(
        "{}{}-c statement_timeout={} -c lock_timeout={} -c idle_in_transaction_session_timeout={} \
         -c client_connection_check_interval=1000 -c jit=off -c tiergate.writer=on",
        config.get_options().unwrap_or_default(),
        if config.get_options().is_some() { " " } else { "" },
        settings.statement_timeout.as_millis(),
        settings.lock_timeout.as_millis(),
        settings.idle_in_transaction_timeout.as_millis(),
    );
    config.options(options);
}

pub(super) fn place(config: &Config) -> String {
    let hosts: Vec<_> = config
        .get_hosts()
        .iter()
        .enumerate()
        .map(|(index, host)| {
            let port = config.get_ports().get(index).or(config.get_ports().first()).copied().unwrap_or(5432);
            match host {
                Host::Tcp(name) => format!("{name}:{port}"),
                Host::Unix(path) => format!("{}:{port}", path.display()),
            }
        })
        .collect();
    format!("{}/{}", hosts.join(","), config.get_dbname().unwrap_or_default())
}

fn refuse(message: String) -> PgError {
    PgError::new(PgErrorKind::Config, READING, message)
}

fn malformed() -> PgError {
    refuse(
        "write postgresql://user:password@host:port/database?sslmode=verify-full, with %-escapes for special characters of the \
         password"
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use tokio_postgres::config::TargetSessionAttrs;

    use super::*;

    fn target(url: &str) -> Result<Target, PgError> {
        read(&PgConfig::new(url))
    }

    #[test]
    fn the_modes_of_tls_are_read_and_their_contradictions_refused() {
        assert_eq!(target("postgres://h/d").unwrap().mode, Mode::Prefer);
        assert_eq!(target("postgres://h/d?sslmode=disable").unwrap().mode, Mode::Disable);
        let full =
            target("postgresql://h/d?sslmode=verify-full&sslrootcert=%2Fetc%2Froot.pem&connect_timeout=3").unwrap();
        assert_eq!((full.mode, full.roots.as_deref()), (Mode::VerifyFull, Some("/etc/root.pem")));
        for wrong in [
            "postgres://h/d?sslmode=verify-fully",
            "postgres://h/d?sslmode=prefer&sslrootcert=/x",
            "postgres://%2Ftmp/d?sslmode=verify-full",
            "postgres://h/d?sslnegotiation=direct",
            "postgres:///d",
            "postgres://u:p@ss@h/d",
            "postgres://u:p@x/ss@h/d",
            "postgres://u:p?@ss@h/d",
            "mysql://h/d",
            "host=h",
        ] {
            assert_eq!(target(wrong).err().map(|error| error.kind()), Some(PgErrorKind::Config), "{wrong}");
        }
    }

    #[test]
    fn neither_an_error_nor_a_place_shows_a_password() {
        let place = target("postgres://ann:s3cret@db.example:6432/app").unwrap().place;
        assert_eq!(place, "db.example:6432/app");
        let odd = target("postgres://ann:s3cret?sslmode=none@h:1/d?sslmode=disable").unwrap();
        assert_eq!((&*odd.place, odd.mode), ("h:1/d", Mode::Disable));
        for wrong in ["postgres://ann:s3cret@h:port/d", "postgres://ann@h/d?s3cret=1", "s3cret://h"] {
            let error = target(wrong).err().map(|error| format!("{error} {error:?}")).unwrap();
            assert!(!error.contains("s3cret"), "{error}");
        }
        assert!(!format!("{:?}", PgConfig::new("postgres://ann:s3cret@h/d")).contains("s3cret"));
    }

    #[test]
    fn options_of_the_url_stay() {
        let target = target("postgres://h/d?options=-c%20geqo%3Doff&application_name=mine").unwrap();
        let options = target.hosts[0].get_options().unwrap();
        assert!(options.starts_with("-c geqo=off -c statement_timeout=10000"), "{options}");
        assert_eq!(target.hosts[0].get_application_name(), Some("mine"));
    }

    #[test]
    fn each_host_stands_by_itself_with_all_that_belongs_to_it() {
        let several = target("postgres://ann:a%2Cb@one:1,[::1]:2,three/d?target_session_attrs=read-write").unwrap();
        assert_eq!(several.hosts.iter().map(place).collect::<Vec<_>>(), ["one:1/d", "::1:2/d", "three:5432/d"]);
        for host in &several.hosts {
            assert_eq!((host.get_user(), host.get_password()), (Some("ann"), Some(&b"a,b"[..])));
            assert_eq!(host.get_target_session_attrs(), TargetSessionAttrs::ReadWrite);
            assert!(host.get_options().unwrap().contains("statement_timeout"));
        }
        assert_eq!(several.place, "one:1,::1:2,three:5432/d");
        let local = target("postgres://%2Ftmp,%2Frun/d").unwrap();
        assert_eq!((local.hosts.len(), local.local), (2, true));
        // Which port belongs to which of them is known of all together only.
        assert_eq!(target("postgres:///d?host=a&host=b&port=1,2").unwrap().hosts.len(), 1);
        assert!(target("postgres://a,,b/d").is_err());
    }
}
