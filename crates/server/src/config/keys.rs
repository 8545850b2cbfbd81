//! Which keys there are, and what somebody may have meant who wrote another one.

use figment::value::{Dict, Value};

use super::load::ENV_PREFIX;

/// Settings that have no default value, and therefore don't stand among the defaults.
pub(super) const OPTIONAL: [&str; 18] = [
    "auth.keys_file",
    "gateway.anonymous",
    "gateway.challenge",
    "http.public_url",
    "keys.master",
    "keys.master_file",
    "keys.ring_file",
    "postgres.url",
    "redis.ca_file",
    "redis.client_cert_file",
    "redis.client_key_file",
    "redis.sentinel_password",
    "redis.sentinel_username",
    "redis.url",
    "server.default_store",
    "server.instance",
    "tls.cert_file",
    "tls.key_file",
];
/// Settings that are, or may hold, a secret: no message shows their values.
pub(super) const SECRET: [&str; 4] = ["keys.master", "postgres.url", "redis.sentinel_password", "redis.url"];
/// Tables whose keys are names of the operator's own.
const FREE: [&str; 3] = ["cache.assign.", "limits.rate.classes.", "redis.dictionaries."];
/// Names are suggested from this likeness on (Jaro-Winkler, 0 to 1).
const ALIKE: f64 = 0.8;

/// The keys that are read.
pub(super) struct Known(Vec<String>);

impl Known {
    pub(super) fn of(defaults: &Dict) -> Self {
        let mut keys: Vec<String> = leaves(defaults).into_iter().map(|(key, _)| key).collect();
        keys.extend(OPTIONAL.map(str::to_owned));
        Self(keys)
    }

    /// A fault for each key of a source that nobody reads. `place` says how the source writes a key.
    pub(super) fn faults(&self, source: &Dict, place: &dyn Fn(&str) -> String) -> Vec<String> {
        leaves(source)
            .into_iter()
            .filter(|(key, _)| !self.contains(key))
            .map(|(key, _)| match self.nearest(&key) {
                Some(near) if place(&key) == variable(&key) => {
                    format!("{} is no setting; did you mean {}?", place(&key), variable(near))
                }
                Some(near) => format!("{} is no setting; did you mean {near}?", place(&key)),
                None => format!("{} is no setting; `tiergate config` lists them all", place(&key)),
            })
            .collect()
    }

    /// A key that stands for a whole table passes: that its value is none is a fault of its type.
    fn contains(&self, key: &str) -> bool {
        FREE.iter().any(|prefix| key.starts_with(prefix))
            || FREE.iter().any(|prefix| prefix.strip_suffix('.') == Some(key))
            || self
                .0
                .iter()
                .any(|known| known == key || known.strip_prefix(key).is_some_and(|rest| rest.starts_with('.')))
    }

    fn nearest(&self, key: &str) -> Option<&str> {
        let known: Vec<&str> = self.0.iter().map(String::as_str).collect();
        nearest(key, &known)
    }
}

/// Whether a value that was given for this key may be a secret, or hold one: also where somebody wrote it one level too high.
pub(super) fn is_secret(key: &str) -> bool {
    SECRET.iter().any(|secret| secret.strip_prefix(key).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
}

/// The name that is most like this one, if any is alike.
pub(super) fn nearest<'k>(key: &str, known: &[&'k str]) -> Option<&'k str> {
    let likeness = |known: &str| strsim::jaro_winkler(known, key).max(strsim::jaro_winkler(last(known), last(key)));
    let near = known.iter().copied().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(near) >= ALIKE).then_some(near)
}

/// The environment variable of a setting.
pub(super) fn variable(key: &str) -> String {
    format!("{ENV_PREFIX}{}", key.replace('.', "__").to_uppercase())
}

/// Every value that is no table, under its dotted key. An empty table has no leaves.
pub(super) fn leaves(dict: &Dict) -> Vec<(String, &Value)> {
    let mut found = Vec::new();
    for (key, value) in dict {
        match value {
            Value::Dict(_, inner) => {
                found.extend(leaves(inner).into_iter().map(|(rest, value)| (format!("{key}.{rest}"), value)));
            }
            leaf => found.push((key.clone(), leaf)),
        }
    }
    found
}

fn last(key: &str) -> &str {
    key.rsplit('.').next().unwrap_or(key)
}
