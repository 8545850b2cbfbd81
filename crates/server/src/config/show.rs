//! The effective configuration as text: TOML that can be used as a file, with the origin of each value behind it.

use std::fmt::Write;

use figment::Provider;
use figment::providers::Serialized;
use figment::value::{Dict, Num, Value};

use super::Loaded;
use super::keys::{OPTIONAL, leaves};

/// Lines up to this length have their origins in one column.
const MAX_ALIGNED: usize = 100;

impl Loaded {
    /// A line for each setting, as `http.port = 8080  # default`; before them what an operator should know of them.
    #[must_use]
    pub fn show(&self) -> String {
        let dict =
            Serialized::defaults(&self.settings).data().unwrap_or_default().into_values().next().unwrap_or_default();
        let lines = lines(&dict);
        // A list of many things is long; the others need not make room for it.
        let lengths = lines.iter().map(|(_, line)| line.chars().count());
        let width = lengths.filter(|length| *length <= MAX_ALIGNED).max().unwrap_or_default();
        let unset = OPTIONAL.iter().filter(|key| !lines.iter().any(|(known, _)| known == *key));
        let caution = self.settings.postgres.caution().map(|caution| format!("# CAUTION: {caution}\n"));
        let mut text = caution.unwrap_or_default();
        text.extend(unset.map(|key| format!("# {key} is not set\n")));
        for (key, line) in &lines {
            // Writing to a string can't fail.
            let _ = writeln!(text, "{line:width$}  # {}", self.origin(key));
        }
        text
    }
}

fn lines(dict: &Dict) -> Vec<(String, String)> {
    leaves(dict).into_iter().map(|(key, value)| (key.clone(), format!("{key} = {}", literal(value)))).collect()
}

fn literal(value: &Value) -> String {
    match value {
        // A JSON string is a TOML string as well.
        Value::String(_, text) => serde_json::Value::from(text.as_str()).to_string(),
        Value::Char(_, c) => serde_json::Value::from(c.to_string()).to_string(),
        Value::Bool(_, flag) => flag.to_string(),
        Value::Num(_, number) => match *number {
            Num::F32(float) => float.to_string(),
            Num::F64(float) => float.to_string(),
            other => other.to_i128().map_or_else(|| other.to_u128().unwrap_or_default().to_string(), |n| n.to_string()),
        },
        Value::Array(_, items) => format!("[{}]", items.iter().map(literal).collect::<Vec<_>>().join(", ")),
        Value::Dict(_, dict) => {
            let pairs = dict.iter().map(|(key, value)| format!("{key} = {}", literal(value)));
            format!("{{ {} }}", pairs.collect::<Vec<_>>().join(", "))
        }
        Value::Empty(..) => "{}".to_owned(),
    }
}
