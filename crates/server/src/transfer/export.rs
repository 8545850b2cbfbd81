//! Export: the latest model and every relationship of a store, page by page.
//!
//! Pages are read one after another: what changes meanwhile may or may not be among them.

use std::io::{self, Write};

use authz::model::Model;
use axum::http::Method;
use serde_json::{Value, json};

use super::pool::Pool;
use crate::client::{ClientError, Reply, Server};

/// Relationships that are asked for at a time: the largest page.
const PAGE: usize = 100;

/// How an export is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A store file: name, model and relationships, as `tiergate import` and `fga model test` read it.
    Yaml,
    /// Relationships alone, as a JSON list.
    Json,
    /// Relationships alone, a line each.
    Csv,
}

/// Why an export ended early.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The server can't be reached.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The server said no.
    #[error("the server answered {status}: {message}")]
    Refused {
        /// The status.
        status: u16,
        /// What it said.
        message: String,
    },
    /// What it sent is no model.
    #[error("the model that the server sent can't be read: {0}")]
    Model(String),
    /// The output can't be written.
    #[error("the export can't be written: {0}; name another place with --output")]
    Output(#[from] io::Error),
}

/// Writes a store to `out`; how many relationships there were.
///
/// # Errors
/// See [`ExportError`].
pub async fn export(server: &Server, store: &str, format: Format, out: &mut dyn Write) -> Result<usize, ExportError> {
    let pool = Pool::new(server);
    let record = get(&pool, &format!("/stores/{store}")).await?;
    if format == Format::Yaml {
        writeln!(out, "name: {}", record["name"])?;
        let models = get(&pool, &format!("/stores/{store}/authorization-models?page_size=1")).await?;
        if let Some(model) = models["authorization_models"].get(0) {
            let model =
                Model::from_json(&model.to_string()).map_err(|errors| ExportError::Model(errors.to_string()))?;
            writeln!(out, "model: |")?;
            for line in model.to_dsl().lines() {
                writeln!(out, "{}", if line.is_empty() { String::new() } else { format!("  {line}") })?;
            }
        }
    }
    let mut writer = RowWriter::new(format, out)?;
    let mut token = String::new();
    loop {
        let body = json!({"page_size": PAGE, "continuation_token": token});
        let reply = pool.send(&Method::POST, &format!("/stores/{store}/read"), Some(&body)).await?;
        let page = expect(&reply)?;
        for tuple in page["tuples"].as_array().into_iter().flatten() {
            writer.write(&tuple["key"])?;
        }
        match page["continuation_token"].as_str() {
            Some(next) if !next.is_empty() => token = next.to_owned(),
            _ => break,
        }
    }
    writer.end()
}

/// Writes relationships one by one.
struct RowWriter<'o> {
    format: Format,
    out: &'o mut dyn Write,
    count: usize,
}

impl<'o> RowWriter<'o> {
    fn new(format: Format, out: &'o mut dyn Write) -> io::Result<Self> {
        match format {
            Format::Yaml => writeln!(out, "tuples:")?,
            Format::Json => write!(out, "[")?,
            Format::Csv => writeln!(
                out,
                "user_type,user_id,user_relation,relation,object_type,object_id,condition_name,condition_context"
            )?,
        }
        Ok(Self { format, out, count: 0 })
    }

    fn write(&mut self, key: &Value) -> io::Result<()> {
        match self.format {
            // JSON is YAML.
            Format::Yaml => writeln!(self.out, "  - {}", shown(key))?,
            Format::Json => write!(self.out, "{}\n  {}", if self.count > 0 { "," } else { "" }, shown(key))?,
            Format::Csv => writeln!(self.out, "{}", csv_line(key))?,
        }
        self.count += 1;
        Ok(())
    }

    fn end(self) -> Result<usize, ExportError> {
        match self.format {
            Format::Json => writeln!(self.out, "\n]")?,
            // A list without items is written as one.
            Format::Yaml if self.count == 0 => writeln!(self.out, "  []")?,
            Format::Yaml | Format::Csv => {}
        }
        self.out.flush()?;
        Ok(self.count)
    }
}

/// In the order in which people read it.
fn shown(key: &Value) -> String {
    let field = |of: &Value, name: &str| match &of[name] {
        Value::Null => None,
        value => Some(format!("{}: {value}", json!(name))),
    };
    let condition = &key["condition"];
    let condition = condition.is_object().then(|| {
        let parts = ["name", "context"].into_iter().filter_map(|name| field(condition, name));
        format!("\"condition\": {{{}}}", parts.collect::<Vec<_>>().join(", "))
    });
    let parts = ["user", "relation", "object"].into_iter().filter_map(|name| field(key, name)).chain(condition);
    format!("{{{}}}", parts.collect::<Vec<_>>().join(", "))
}

fn csv_line(key: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let (user, object) = (text(&key["user"]), text(&key["object"]));
    let (user_type, user_rest) = user.split_once(':').unwrap_or(("", &user));
    let (user_id, user_relation) = user_rest.split_once('#').unwrap_or((user_rest, ""));
    let (object_type, object_id) = object.split_once(':').unwrap_or(("", &object));
    let condition = &key["condition"];
    let context = match &condition["context"] {
        Value::Null => String::new(),
        context => context.to_string(),
    };
    let relation = text(&key["relation"]);
    let name = text(&condition["name"]);
    [user_type, user_id, user_relation, &relation, object_type, object_id, &name, &context].map(csv_field).join(",")
}

/// A field of CSV by RFC 4180: in quotes where it must be.
fn csv_field(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text.to_owned() }
}

async fn get(pool: &Pool, path: &str) -> Result<Value, ExportError> {
    let reply = pool.send(&Method::GET, path, None).await?;
    expect(&reply).cloned()
}

fn expect(reply: &Reply) -> Result<&Value, ExportError> {
    let Reply { status, body } = reply;
    if *status == 200 {
        return Ok(body);
    }
    let message = body["message"].as_str().or(body.as_str()).unwrap_or("no reason was given").to_owned();
    Err(ExportError::Refused { status: *status, message })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_can_say_everything_about_a_relationship() {
        let key = json!({
            "user": "team:a,b#member", "relation": "viewer", "object": "doc:say \"x\"",
            "condition": {"name": "until", "context": {"until": "2026"}},
        });
        let written = |format| {
            let mut out = Vec::new();
            let mut writer = RowWriter::new(format, &mut out).unwrap();
            writer.write(&key).unwrap();
            writer.write(&json!({"user": "user:*", "relation": "viewer", "object": "doc:1"})).unwrap();
            writer.end().unwrap();
            String::from_utf8(out).unwrap()
        };
        insta::assert_snapshot!([Format::Yaml, Format::Json, Format::Csv].map(written).join("---\n"));
    }
}
