//! Until there are credentials, only this machine may ask.

use super::{ConfigError, Settings};

/// Refuses addresses that other machines can reach.
///
/// # Errors
/// For each listener with such an address.
pub fn require_loopback(settings: &Settings) -> Result<(), ConfigError> {
    let listeners = [("http.address", settings.http.address), ("admin.address", settings.admin.address)];
    let open = listeners.into_iter().filter(|(_, address)| !address.is_loopback());
    ConfigError::check(open.map(|(key, address)| fault(key, address)).collect())
}

fn fault(key: &str, address: std::net::IpAddr) -> String {
    format!(
        "{key} is {address}, but this release has no authentication: whoever reaches the port may read and change \
         everything; bind to 127.0.0.1 or ::1, and put a proxy that authenticates its callers in front of it"
    )
}
