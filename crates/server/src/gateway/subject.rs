//! Who asks: the one header in which the gateway says so.
//!
//! Invariant: a second value never counts. A client that gets a header of the same name past its gateway is refused, not believed.

use authz::relation::{Subject, Text, check_id, check_type};
use axum::http::{HeaderMap, HeaderName, HeaderValue};

use super::Refusal;
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
    pub(super) fn new(settings: &config::Gateway) -> (Self, Vec<String>) {
        let mut faults = Vec::new();
        let header = header(&settings.subject_header).unwrap_or_else(|| {
            let name = &settings.subject_header;
            faults.push(format!(
                "gateway.subject_header is {name:?}; allowed is the name of a header that says nothing else"
            ));
            HeaderName::from_static("x-forwarded-user")
        });
        let type_name = check_type(&settings.subject_type).unwrap_or_else(|error| {
            faults.push(format!("gateway.subject_type: {error}"));
            Text::from("user")
        });
        let anonymous = settings
            .anonymous
            .as_deref()
            .and_then(|id| check_id(id).map_err(|error| faults.push(format!("gateway.anonymous: {error}"))).ok());
        let challenge = settings.challenge.as_deref().and_then(|text| {
            let value = HeaderValue::from_str(text).ok().filter(|value| !value.is_empty() && value.to_str().is_ok());
            if value.is_none() {
                faults.push(format!(
                    "gateway.challenge is {text:?}; allowed is a challenge on one line, as Basic realm=\"app\""
                ));
            }
            value
        });
        for name in settings.hosts.iter().filter(|name| !is_host(name)) {
            faults.push(format!(
                "gateway.hosts holds {name:?}; allowed are names without scheme and port, as app.example.com"
            ));
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

fn is_host(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._[]:".contains(&byte)) && {
        name.starts_with('[') || !name.contains(':')
    }
}
