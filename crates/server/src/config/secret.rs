//! Secrets among the settings, and URLs that may hold one: used as they are, shown without it.
//!
//! Invariant: neither Debug nor Serialize gives the password away, so that no log, dump or listing of the configuration does.

use std::fmt;

use percent_encoding::percent_decode_str;
use serde::{Deserialize, Serialize, Serializer};

/// What stands in the place of a password.
const MASK: &str = "***";
/// Parameters of URLs that hold no secret.
const HARMLESS_PARAMETERS: [&str; 18] = [
    "application_name",
    "channel_binding",
    "connect_timeout",
    "db",
    "dbname",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_idle",
    "load_balance_hosts",
    "port",
    "protocol",
    "sslmode",
    "sslnegotiation",
    "sslrootcert",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
];

/// A URL with what may be a password in it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct SecretUrl(String);

impl SecretUrl {
    /// A URL.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    /// As it is, for whoever connects.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Without the password.
    #[must_use]
    pub fn masked(&self) -> String {
        let url = self.0.as_str();
        // Without a scheme nothing says what is what.
        let Some(begin) = url.find("://").map(|at| at + 3) else { return MASK.to_owned() };
        // The last one: a password may hold a bare `@`, and a bare slash; a host may not hold the first.
        let masked = match url.rfind('@').filter(|at| *at >= begin) {
            Some(at) => {
                let (user, password) = match url[begin..at].split_once(':') {
                    Some((user, _)) => (user, format!(":{MASK}")),
                    None => (&url[begin..at], String::new()),
                };
                format!("{}{user}{password}{}", &url[..begin], &url[at..])
            }
            None => url.to_owned(),
        };
        let masked = mask_parameter(&masked);
        // What stands where nobody reads a password, and may be one all the same: show nothing of it.
        let left = percent_decode_str(&masked).decode_utf8_lossy().to_ascii_lowercase();
        let left = left.replace("pass=***", "").replace("password=***", "");
        if left.contains("pass") && left.contains('=')
            || left.contains('#')
            || masked.to_ascii_lowercase().contains("%3a")
        {
            return format!("{}{MASK}", &url[..begin]);
        }
        masked
    }
}

/// Clients also take the password as a parameter, each under names of its own, which may be escaped: shown is what is known to be none.
fn mask_parameter(url: &str) -> String {
    let Some((before, query)) = url.split_once('?') else { return url.to_owned() };
    let parts: Vec<String> = query
        .split('&')
        .map(|part| match part.split_once('=') {
            Some((name, _)) if HARMLESS_PARAMETERS.contains(&name) => part.to_owned(),
            Some((name, _)) => format!("{name}={MASK}"),
            None => MASK.to_owned(),
        })
        .collect();
    format!("{before}?{}", parts.join("&"))
}

/// Text that is never shown.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct SecretText(String);

impl SecretText {
    /// Some text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// As it is.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(MASK)
    }
}

impl Serialize for SecretText {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(MASK)
    }
}

impl fmt::Debug for SecretUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.masked())
    }
}

impl Serialize for SecretUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.masked())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_never_shown() {
        let shown = |url: &str| SecretUrl::new(url).masked();
        assert_eq!(shown("redis://:hunter2@cache:6379/0"), "redis://:***@cache:6379/0");
        assert_eq!(shown("redis://app:hunter2@cache:6379"), "redis://app:***@cache:6379");
        assert_eq!(shown("postgres://app:p@ss:word@db/x"), "postgres://app:***@db/x");
        assert_eq!(shown("postgres://app@db/x?password=hunter2&port=5"), "postgres://app@db/x?password=***&port=5");
        assert_eq!(
            shown("postgres://app@db/x?pass%77ord=hunter2&sslmode=require"),
            "postgres://app@db/x?pass%77ord=***&sslmode=require"
        );
        assert_eq!(shown("unix:///run/redis.sock?db=1&pass=hunter2"), "unix:///run/redis.sock?db=1&pass=***");
        assert_eq!(shown("redis://cache?hunter2"), "redis://cache?***");
        assert_eq!(shown("redis://cache:6379"), "redis://cache:6379");
        assert_eq!(shown("postgres://passepartout@db/x"), "postgres://passepartout@db/x");
        for odd in [
            "hunter2@cache",
            "host=db password=hunter2",
            "postgres://app:hun/ter2@db/x",
            "postgres://db/x#password=hunter2",
            "postgres://db?host=/x;password=hunter2",
            "postgres://app%3Ahunter2@db/x",
            "postgres://app%3ahunter2@db/x",
            "redis://cache?db=1;pass=hunter2",
            "redis+sentinel://host/main#hunter2",
            "postgres://db?application_name=x%26password=hunter2",
        ] {
            assert!(!shown(odd).contains("ter2"), "{odd}");
        }
    }

    #[test]
    fn what_is_shown_is_what_debug_and_files_show() {
        let url = SecretUrl::new("redis://:hunter2@cache");
        assert_eq!(format!("{url:?}"), "redis://:***@cache");
        assert_eq!(serde_json::to_string(&url).unwrap(), "\"redis://:***@cache\"");
    }
}
