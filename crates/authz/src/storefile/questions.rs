//! Questions without expectations: a list of `{user, relation, object, context}` in YAML, JSON or CSV.

use std::path::Path;

use serde::Deserialize;
use serde_json::{Map, Value};
use serde_saphyr::Spanned;

use super::{MAX_FILE_BYTES, StoreFileError, files};
use crate::condition::Context;
use crate::relation::{IdentError, Object, Subject, Text, check_relation};

/// A question to be asked.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Question {
    /// Who,
    pub subject: Subject,
    /// stands in which relation
    pub relation: Text,
    /// to what?
    pub object: Object,
    /// Values that the question brings.
    pub context: Context,
}

impl std::fmt::Display for Question {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.subject, self.relation, self.object)?;
        self.context.iter().try_for_each(|(name, value)| write!(f, ", {name} = {value}"))
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawQuestion {
    user: String,
    relation: String,
    object: String,
    context: Option<Map<String, Value>>,
}

/// A line of CSV. The names of the columns stand in the first one.
#[derive(Deserialize)]
struct RawLine {
    user: String,
    relation: String,
    object: String,
    context: Option<String>,
}

/// Reads a file of questions.
///
/// # Errors
/// Where the file can't be read, is too large, or holds something else; with its line.
pub fn questions(path: &Path) -> Result<Vec<Question>, StoreFileError> {
    let text = files::text(path, MAX_FILE_BYTES)?;
    match path.extension().and_then(|extension| extension.to_str()) {
        // JSON is YAML, which knows its lines.
        Some("yaml" | "yml" | "json") => {
            let listed: Vec<Spanned<RawQuestion>> = files::yaml(path, &text)?;
            listed.into_iter().map(|raw| question(path, raw.value, raw.referenced.line())).collect()
        }
        Some("csv") => lines(path, &text),
        _ => {
            let what = "the format of this file of questions is not known by its name";
            Err(StoreFileError::new(
                path,
                what,
                "give it the ending .yaml, .json or .csv, or .fga.yaml for a store file",
            ))
        }
    }
}

fn lines(path: &Path, text: &str) -> Result<Vec<Question>, StoreFileError> {
    let cannot = |error: csv::Error| {
        let what = format!("the file can't be read as CSV: {error}");
        let fault = StoreFileError::new(path, what, "name the columns in the first line: user,relation,object,context");
        match error.position() {
            Some(position) => fault.at(position.line()),
            None => fault,
        }
    };
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).flexible(true).from_reader(text.as_bytes());
    let columns = reader.headers().map_err(cannot)?.clone();
    if let Some(missing) = ["user", "relation", "object"].into_iter().find(|name| !columns.iter().any(|it| it == *name))
    {
        let what = format!("the first line names no column `{missing}`");
        return Err(StoreFileError::new(path, what, "begin with: user,relation,object,context").at(1));
    }
    let (mut record, mut found) = (csv::StringRecord::new(), Vec::new());
    while reader.read_record(&mut record).map_err(cannot)? {
        let RawLine { user, relation, object, context } = record.deserialize(Some(&columns)).map_err(cannot)?;
        let line = record.position().map_or(0, csv::Position::line);
        let context = match context.filter(|text| !text.is_empty()) {
            None => None,
            Some(text) => Some(serde_json::from_str(&text).map_err(|error| {
                let what = format!("`context` can't be read as a JSON object: {error}");
                StoreFileError::new(path, what, "write it as \"{\"\"x\"\": 1}\"").at(line)
            })?),
        };
        found.push(question(path, RawQuestion { user, relation, object, context }, line)?);
    }
    Ok(found)
}

fn question(path: &Path, raw: RawQuestion, line: u64) -> Result<Question, StoreFileError> {
    let ident = |text: &str, error: &IdentError| StoreFileError::ident(path, text, error).at(line);
    Ok(Question {
        subject: Subject::parse(&raw.user).map_err(|error| ident(&raw.user, &error))?,
        relation: check_relation(&raw.relation).map_err(|error| ident(&raw.relation, &error))?,
        object: Object::parse(&raw.object).map_err(|error| ident(&raw.object, &error))?,
        context: Context::from(raw.context.unwrap_or_default()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str, text: &str) -> Result<Vec<String>, String> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        match questions(&path) {
            Ok(found) => Ok(found.iter().map(ToString::to_string).collect()),
            Err(error) => Err(error.to_string().replace(&directory.path().display().to_string(), "")),
        }
    }

    #[test]
    fn each_format_says_the_same() {
        let expected = Ok(vec!["user:ann viewer doc:1".to_owned(), "user:bob viewer doc:2, x = 1".to_owned()]);
        let yaml = "- {user: user:ann, relation: viewer, object: doc:1}\n- user: user:bob\n  relation: viewer\n  object: doc:2\n  context: {x: 1}\n";
        let json = r#"[{"user":"user:ann","relation":"viewer","object":"doc:1"},{"user":"user:bob","relation":"viewer","object":"doc:2","context":{"x":1}}]"#;
        let csv = "user,relation,object,context\nuser:ann,viewer,doc:1\nuser:bob,viewer,doc:2,\"{\"\"x\"\":1}\"\n";
        for (name, text) in [("q.yaml", yaml), ("q.json", json), ("q.csv", csv)] {
            assert_eq!(read(name, text), expected, "{name}");
        }
    }

    #[test]
    fn a_fault_is_told_with_its_line() {
        let fault = read(
            "q.yaml",
            "- {user: user:ann, relation: viewer, object: doc:1}\n- {user: ann, relation: viewer, object: doc:1}\n",
        );
        assert!(fault.clone().unwrap_err().starts_with("/q.yaml:2: "), "{fault:?}");
        assert!(read("q.yaml", "- {user: user:ann, relation: viewer}\n").unwrap_err().contains("object"));
        assert!(read("q.yaml", "- {user: user:ann, relation: viewer, object: doc:1, why: x}\n").is_err());
        assert!(read("q.txt", "").unwrap_err().contains("give it the ending"));
    }
}
