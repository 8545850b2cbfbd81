//! Whoever may be reached from other machines asks for keys, and lets none of them travel in clear.

use super::{ConfigError, Settings};

/// Refuses addresses that other machines can reach, unless callers show keys, and do so within TLS.
///
/// # Errors
/// For each listener with such an address.
pub fn require_loopback(settings: &Settings) -> Result<(), ConfigError> {
    let missing = match (&settings.auth.keys_file, &settings.tls.cert_file) {
        (Some(_), Some(_)) => return Ok(()),
        (None, Some(_)) => "auth.keys_file is not set, and whoever reaches the port may read and change everything",
        (Some(_), None) => "tls.cert_file is not set, and keys travel in clear",
        (None, None) => {
            "neither auth.keys_file nor tls.cert_file is set, and whoever reaches the port may read and change everything"
        }
    };
    let listeners = [("http.address", settings.http.address), ("admin.address", settings.admin.address)];
    let open = listeners.into_iter().filter(|(_, address)| !address.is_loopback());
    let fault = |(key, address)| format!("{key} is {address}, but {missing}; set both, or bind to 127.0.0.1 or ::1");
    ConfigError::check(open.map(fault).collect())
}
