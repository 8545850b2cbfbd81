//! Relationships, from the store file itself and from tuple files in YAML, JSON and CSV.

use std::path::Path;
use std::sync::Arc;

use serde_saphyr::Spanned;

use super::raw::{RawCondition, RawRow, RawTuple};
use super::{MAX_FILE_BYTES, StoreFileError, files};
use crate::condition::Context;
use crate::model::check_condition;
use crate::relation::{IdentError, Object, Relationship, RelationshipCondition, Subject, Tuple, check_relation};

/// Relationships, in the order in which they are written.
#[derive(Default)]
pub(super) struct Tuples {
    pub(super) found: Vec<Relationship>,
}

/// Reads a file of relationships of at most so many bytes: YAML, JSON or CSV by its ending.
///
/// # Errors
/// Where the file can't be read, is too large, or holds something else; with its line.
pub fn relationships(path: &Path, max_bytes: usize) -> Result<Vec<Relationship>, StoreFileError> {
    let mut tuples = Tuples::default();
    tuples.add_file(path, max_bytes)?;
    Ok(tuples.found)
}

impl Tuples {
    /// Adds those that stand in the file itself.
    pub(super) fn add_listed(
        &mut self,
        file: &Path,
        listed: Option<Vec<Spanned<RawTuple>>>,
    ) -> Result<(), StoreFileError> {
        for tuple in listed.unwrap_or_default() {
            let line = tuple.referenced.line();
            self.add(file, tuple.value, Some(line))?;
        }
        Ok(())
    }

    /// Adds those of the files that `file` names.
    pub(super) fn add_files(
        &mut self,
        file: &Path,
        one: Option<String>,
        several: Option<Vec<String>>,
    ) -> Result<(), StoreFileError> {
        for named in one.into_iter().chain(several.unwrap_or_default()).filter(|named| !named.is_empty()) {
            self.add_file(&files::beside(file, &named), MAX_FILE_BYTES)?;
        }
        Ok(())
    }

    fn add_file(&mut self, path: &Path, max_bytes: usize) -> Result<(), StoreFileError> {
        let text = files::text(path, max_bytes)?;
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("yaml" | "yml") => self.add_listed(path, files::yaml(path, &text)?),
            Some("json") => {
                let listed: Vec<RawTuple> = serde_json::from_str(&text).map_err(|error| {
                    let what = format!("the file can't be read as JSON: {error}");
                    let remedy = "give a list of objects with `user`, `relation` and `object`";
                    StoreFileError::new(path, what, remedy).at(error.line() as u64)
                })?;
                listed.into_iter().try_for_each(|tuple| self.add(path, tuple, None))
            }
            Some("csv") => self.add_csv(path, &text),
            _ => {
                let what = "the format of this tuple file is not known by its name";
                Err(StoreFileError::new(path, what, "give it the ending .yaml, .json or .csv"))
            }
        }
    }

    fn add_csv(&mut self, path: &Path, text: &str) -> Result<(), StoreFileError> {
        let cannot = |error: csv::Error| {
            let what = format!("the file can't be read as CSV: {error}");
            let remedy = "name the columns in the first line: user_type,user_id,user_relation,relation,object_type,object_id,condition_name,condition_context";
            let fault = StoreFileError::new(path, what, remedy);
            match error.position() {
                Some(position) => fault.at(position.line()),
                None => fault,
            }
        };
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
        let columns = reader.headers().map_err(cannot)?.clone();
        let mut record = csv::StringRecord::new();
        while reader.read_record(&mut record).map_err(cannot)? {
            let row: RawRow = record.deserialize(Some(&columns)).map_err(cannot)?;
            let line = record.position().map(csv::Position::line);
            let tuple = row.try_into().map_err(|error| {
                let what = format!("`condition_context` can't be read as JSON: {error}");
                let fault = StoreFileError::new(path, what, "give an object, as in \"{\"\"x\"\": 1}\"");
                line.map_or(fault.clone(), |line| fault.at(line))
            })?;
            self.add(path, tuple, line)?;
        }
        Ok(())
    }

    fn add(&mut self, file: &Path, raw: RawTuple, line: Option<u64>) -> Result<(), StoreFileError> {
        let placed = |fault: StoreFileError| match line {
            Some(line) => fault.at(line),
            None => fault,
        };
        let ident = |text: &str, error: &IdentError| placed(StoreFileError::ident(file, text, error));
        let tuple = Tuple {
            object: Object::parse(&raw.object).map_err(|error| ident(&raw.object, &error))?,
            relation: check_relation(&raw.relation).map_err(|error| ident(&raw.relation, &error))?,
            subject: Subject::parse(&raw.user).map_err(|error| ident(&raw.user, &error))?,
        };
        let RawCondition { name, context } = raw.condition.unwrap_or_default();
        let context = Context::from(context.unwrap_or_default());
        let condition = match name.filter(|name| !name.is_empty()) {
            Some(name) => {
                let name = check_condition(&name).map_err(|error| ident(&name, &error))?;
                Some(Arc::new(RelationshipCondition { name, context }))
            }
            None if !context.is_empty() => {
                let what = "the relationship has a context for a condition, but no condition";
                return Err(placed(StoreFileError::new(file, what, "name it, as in `condition: {name: valid_until}`")));
            }
            None => None,
        };
        self.found.push(Relationship { tuple, condition });
        Ok(())
    }
}
