//! Relationships, from the store file itself and from tuple files in YAML, JSON and CSV.

use std::path::Path;

use serde_saphyr::Spanned;

use super::raw::{RawRow, RawTuple};
use super::{Skipped, StoreFileError, Unsupported, files};
use crate::relation::{IdentError, Object, Subject, Tuple, check_relation};

/// Relationships, and how many of them count only under a condition.
#[derive(Default)]
pub(super) struct Tuples {
    pub(super) found: Vec<Tuple>,
    pub(super) skipped: Skipped,
}

impl Tuples {
    /// Adds those that stand in the file itself.
    pub(super) fn add_listed(
        &mut self,
        file: &Path,
        listed: Option<Vec<Spanned<RawTuple>>>,
    ) -> Result<(), StoreFileError> {
        for tuple in listed.unwrap_or_default() {
            self.add(file, &tuple.value, Some(tuple.referenced.line()))?;
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
            self.add_file(&files::beside(file, &named))?;
        }
        Ok(())
    }

    fn add_file(&mut self, path: &Path) -> Result<(), StoreFileError> {
        let text = files::text(path)?;
        match path.extension().and_then(|extension| extension.to_str()) {
            Some("yaml" | "yml") => self.add_listed(path, files::yaml(path, &text)?),
            Some("json") => {
                let listed: Vec<RawTuple> = serde_json::from_str(&text).map_err(|error| {
                    let what = format!("the file can't be read as JSON: {error}");
                    let remedy = "give a list of objects with `user`, `relation` and `object`";
                    StoreFileError::new(path, what, remedy).at(error.line() as u64)
                })?;
                listed.iter().try_for_each(|tuple| self.add(path, tuple, None))
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
            let remedy =
                "name the columns in the first line: user_type,user_id,user_relation,relation,object_type,object_id";
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
            self.add(path, &row.into(), record.position().map(csv::Position::line))?;
        }
        Ok(())
    }

    fn add(&mut self, file: &Path, raw: &RawTuple, line: Option<u64>) -> Result<(), StoreFileError> {
        let placed = |text: &str, error: &IdentError| {
            let fault = StoreFileError::ident(file, text, error);
            match line {
                Some(line) => fault.at(line),
                None => fault,
            }
        };
        let tuple = Tuple {
            object: Object::parse(&raw.object).map_err(|error| placed(&raw.object, &error))?,
            relation: check_relation(&raw.relation).map_err(|error| placed(&raw.relation, &error))?,
            subject: Subject::parse(&raw.user).map_err(|error| placed(&raw.user, &error))?,
        };
        if raw.is_conditional() {
            *self.skipped.entry(Unsupported::Conditions).or_default() += 1;
        } else {
            self.found.push(tuple);
        }
        Ok(())
    }
}
