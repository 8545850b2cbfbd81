//! By which names this server is asked.
//!
//! By default only this machine reaches the ports, but a browser on it runs the pages of strangers. A page whose name was made to point here (DNS
//! rebinding) gives itself away by its name in `Host`, and one that asks across origins by its name in `Origin`.

use std::net::{Ipv4Addr, Ipv6Addr};

use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, Uri};

use crate::app::App;
use crate::error::{Fault, FaultKind};

const FOREIGN_HOST: &str = "the Host header names another server; ask at localhost or 127.0.0.1, \
                            or set http.public_url to the URL by which clients know this one";
const FOREIGN_ORIGIN: &str = "the Origin header names a web page that is not of this server; ask without a browser, \
                              or set http.public_url to the URL by which clients know this one";

const UNKNOWN_APPLICATION: &str = "the gateway's request has a Host header that names neither this server nor an application; \
                                   have the gateway set it to this server's address, or add the name to gateway.hosts";

/// The names of this server, besides the loopback addresses. IPv6 addresses stand in brackets.
pub(super) struct Hosts {
    own: Vec<Box<str>>,
    /// The names of applications, by which some gateways ask.
    applications: Vec<Box<str>>,
}

impl Hosts {
    pub(super) fn of(app: &App) -> Self {
        let addresses = [app.settings.http.address, app.settings.admin.address];
        let addresses = addresses.map(|address| match address {
            std::net::IpAddr::V4(address) => address.to_string().into(),
            std::net::IpAddr::V6(address) => format!("[{address}]").into(),
        });
        let public = app.public_url.parse::<Uri>().ok().and_then(|url| url.host().map(Box::from));
        let mut names: Vec<Box<str>> = addresses.into_iter().chain(public).chain([Box::from("localhost")]).collect();
        names.dedup();
        let applications = app.settings.gateway.hosts.iter().map(|name| name.as_str().into()).collect();
        Self { own: names, applications }
    }

    /// Whether a gateway's request names this server, an application of `gateway.hosts`, or nobody. What `Origin` says is of the
    /// application's own client, and no web page can read the answer unless it is of a name that is known here.
    pub(super) fn check_gateway(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Fault> {
        let header = headers.get_all(HOST).iter().map(|host| host.as_bytes());
        let mut named = header.chain(uri.authority().map(|authority| authority.as_str().as_bytes()));
        if named.all(|host| self.has(host) || is_one_of(&self.applications, host)) {
            return Ok(());
        }
        Err(Fault::new(FaultKind::Forbidden, "forbidden", UNKNOWN_APPLICATION))
    }

    /// Whether the request names this server, or nobody.
    pub(super) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Fault> {
        let mut named = headers.get_all(HOST).iter().map(|host| host.as_bytes());
        // A whole URL in the request line goes before the header.
        let target = uri.authority().map(|authority| authority.as_str().as_bytes());
        if !named.all(|host| self.has(host)) || !target.is_none_or(|host| self.has(host)) {
            return Err(Fault::new(FaultKind::Forbidden, "forbidden", FOREIGN_HOST));
        }
        if !headers.get_all(ORIGIN).iter().all(|origin| self.has_origin(origin.as_bytes())) {
            return Err(Fault::new(FaultKind::Forbidden, "forbidden", FOREIGN_ORIGIN));
        }
        Ok(())
    }

    /// Whether this is a name of ours, with any port: a proxy or a tunnel may have another one than the listener.
    fn has(&self, authority: &[u8]) -> bool {
        is_one_of(&self.own, authority) || without_port(authority).is_some_and(is_loopback)
    }

    fn has_origin(&self, origin: &[u8]) -> bool {
        let authority = origin.strip_prefix(b"http://").or_else(|| origin.strip_prefix(b"https://"));
        authority.is_some_and(|authority| self.has(authority))
    }
}

fn is_one_of(names: &[Box<str>], authority: &[u8]) -> bool {
    without_port(authority).is_some_and(|host| names.iter().any(|name| name.as_bytes().eq_ignore_ascii_case(host)))
}

/// The host of an authority; none where what stands behind it is no port.
fn without_port(authority: &[u8]) -> Option<&[u8]> {
    let end = match authority.first() {
        Some(b'[') => authority.iter().position(|byte| *byte == b']')? + 1,
        _ => authority.iter().position(|byte| *byte == b':').unwrap_or(authority.len()),
    };
    let (host, port) = authority.split_at(end);
    let is_port = port.strip_prefix(b":").map_or(port.is_empty(), |port| port.iter().all(u8::is_ascii_digit));
    is_port.then_some(host)
}

fn is_loopback(host: &[u8]) -> bool {
    let Ok(host) = std::str::from_utf8(host) else { return false };
    match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        Some(host) => host.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback()),
        None => host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts() -> Hosts {
        Hosts { own: vec!["pdp.example.com".into(), "localhost".into()], applications: vec!["app.example.com".into()] }
    }

    #[test]
    fn this_machine_and_the_public_name_are_known_with_any_port() {
        let known =
            ["localhost", "LocalHost:1", "127.0.0.1:8080", "127.9.9.9", "[::1]", "[::1]:8081", "pdp.example.com:443"];
        for host in known {
            assert!(hosts().has(host.as_bytes()), "{host}");
        }
    }

    #[test]
    fn any_other_name_and_what_only_looks_like_one_of_ours_is_foreign() {
        let foreign = [
            "",
            "evil.example.com",
            "localhost.evil.com",
            "127.0.0.1.evil.com",
            "evil.com:127.0.0.1",
            "::1",
            "[::1",
            "[::2]",
            "192.0.2.1",
            "localhost:80@evil.com",
            "user@localhost",
            "[::1]evil.com",
            "0.0.0.0",
            "localhost:x",
        ];
        for host in foreign {
            assert!(!hosts().has(host.as_bytes()), "{host}");
        }
    }

    #[test]
    fn an_origin_is_known_by_its_host() {
        assert!(hosts().has_origin(b"https://pdp.example.com") && hosts().has_origin(b"http://localhost:3000"));
        for origin in
            ["null", "", "localhost", "http://evil.example.com", "file://localhost", "http://localhost.evil.com"]
        {
            assert!(!hosts().has_origin(origin.as_bytes()), "{origin}");
        }
    }
}
