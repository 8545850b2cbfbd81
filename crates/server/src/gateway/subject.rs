//! Who asks: the one header in which the gateway says so.
//!
//! Invariant: a second value never counts. A client that gets a header of the same name past its gateway is refused, not believed.

use authz::relation::{Subject, Text, check_id, check_type};
use axum::http::{HeaderMap, HeaderName, HeaderValue};

use super::{GatewayFault, Refusal};
use crate::config;

/// Headers that say something else already.
const TAKEN: [&str; 6] =
    ["host", "x-original-uri", "x-original-method", "x-forwarded-uri", "x-forwarded-method", "x-forwarded-host"];

/// How subjects are named.
pub(super) struct Subjects {
    header: HeaderName,
    type_name: Text,
    anonymous: Option<Text>,
    challenge: Option<HeaderValue>,
}

impl Subjects {
    pub(super) fn new(settings: &config::Gateway) -> (Self, Vec<GatewayFault>) {
        let mut faults = Vec::new();
        let mut fault = |key, text| faults.push(GatewayFault { key, text });
        let header = header(&settings.subject_header).unwrap_or_else(|| {
            let name = &settings.subject_header;
            fault(
                "gateway.subject_header",
                format!("it is {name:?}; allowed is the name of a header that says nothing else"),
            );
            HeaderName::from_static("x-forwarded-user")
        });
        let type_name = check_type(&settings.subject_type).unwrap_or_else(|error| {
            fault("gateway.subject_type", error.to_string());
            Text::from("user")
        });
        let anonymous = settings.anonymous.as_deref().map(check_id).transpose().unwrap_or_else(|error| {
            fault("gateway.anonymous", error.to_string());
            None
        });
        let challenge = settings.challenge.as_deref().map(challenge).transpose().unwrap_or_else(|text| {
            fault("gateway.challenge", text);
            None
        });
        for name in settings.hosts.iter().filter(|name| !is_host(name)) {
            let text = format!("it holds {name:?}; allowed are names without scheme and port, as app.example.com");
            fault("gateway.hosts", text);
        }
        (Self { header, type_name, anonymous, challenge }, faults)
    }

    /// Who the request is from.
    pub(super) fn of(&self, headers: &HeaderMap) -> Result<Subject, Refusal> {
        let mut values = headers.get_all(&self.header).iter();
        let id = match (values.next(), values.next()) {
            (None, _) => self.anonymous.clone().ok_or(Refusal::Unauthenticated)?,
            (Some(value), None) => id(value)?,
            (Some(_), Some(_)) => return Err(Refusal::SubjectHeader),
        };
        Subject::object(&self.type_name, &id).map_err(Refusal::Subject)
    }

    pub(super) fn challenge(&self) -> Option<&HeaderValue> {
        self.challenge.as_ref()
    }
}

/// A comma may be where a proxy joined two headers into one.
fn id(value: &HeaderValue) -> Result<Text, Refusal> {
    match std::str::from_utf8(value.as_bytes()) {
        Ok(text) if !text.is_empty() && !text.contains(',') => check_id(text).map_err(Refusal::Subject),
        _ => Err(Refusal::SubjectHeader),
    }
}

fn header(name: &str) -> Option<HeaderName> {
    name.parse::<HeaderName>().ok().filter(|name| !TAKEN.contains(&name.as_str()))
}

fn challenge(text: &str) -> Result<HeaderValue, String> {
    let is_plain = !text.is_empty() && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    let value = HeaderValue::from_str(text).ok().filter(|_| is_plain);
    value.ok_or_else(|| format!("it is {text:?}; allowed is a challenge on one line, as Basic realm=\"app\""))
}

/// A name, or an IPv6 address in brackets.
fn is_host(name: &str) -> bool {
    let inside = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    match inside {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte)),
    }
}
