//! From what is written in a store file to what can be run.

use std::path::Path;

use super::raw::{RawCheck, RawList, RawStore, RawTest};
use super::tuples::Tuples;
use super::{Check, Skipped, StoreFile, StoreFileError, StoreTest, Unsupported, files};
use crate::model::{Feature, Model, ModelError, ModelErrors};
use crate::relation::{Object, Subject, check_relation};

/// The most checks of a store file, after lists of users and objects were multiplied out.
pub const MAX_CHECKS: usize = 100_000;

impl StoreFile {
    /// Reads a store file and the files it names, whose paths are relative to it.
    ///
    /// A faulty model is no error here but a part of the result, because a report says it among other files' results.
    ///
    /// # Errors
    /// Where a file can't be read, is too large, or holds something else than a store file should.
    pub fn load(path: &Path) -> Result<Self, StoreFileError> {
        let raw: RawStore = files::yaml(path, &files::text(path)?)?;
        let model = model(path, raw.model, raw.model_file)?;
        let mut tuples = Tuples::default();
        tuples.add_files(path, raw.tuple_file, raw.tuple_files)?;
        tuples.add_listed(path, raw.tuples)?;
        let mut tests = Vec::new();
        let mut checks = 0;
        for (index, raw) in raw.tests.unwrap_or_default().into_iter().enumerate() {
            let test = test(path, raw, index, MAX_CHECKS - checks)?;
            checks += test.checks.len();
            tests.push(test);
        }
        Ok(Self { name: raw.name, model, tuples: tuples.found, tests, skipped: tuples.skipped })
    }
}

fn model(
    file: &Path,
    inline: Option<String>,
    named: Option<String>,
) -> Result<Result<Model, ModelErrors>, StoreFileError> {
    let given = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
    let read = match (inline.filter(|text| !text.is_empty()), named) {
        (Some(_), named) if given(&named) => {
            let what = "the file has both `model` and `model_file`";
            return Err(StoreFileError::new(file, what, "keep one of them"));
        }
        (Some(text), _) => Model::from_dsl(&text),
        (None, Some(named)) if !named.is_empty() => {
            let path = files::beside(file, &named);
            match path.extension().and_then(|extension| extension.to_str()) {
                // The list of a modular model's parts; there is nothing to gain from reading it.
                Some("mod") => {
                    files::text(&path)?;
                    let what = format!("`{named}` lists the files of a modular model");
                    Err(ModelError::unsupported(Feature::Modules, what).into())
                }
                Some("json") => Model::from_json(&files::text(&path)?),
                _ => Model::from_dsl(&files::text(&path)?),
            }
        }
        (None, _) => {
            let what = "the file has no model";
            return Err(StoreFileError::new(file, what, "give it as `model`, or name its file as `model_file`"));
        }
    };
    Ok(read.and_then(|model| model.validate().map(|()| model)))
}

fn test(file: &Path, raw: RawTest, index: usize, most: usize) -> Result<StoreTest, StoreFileError> {
    let mut tuples = Tuples::default();
    tuples.add_files(file, raw.tuple_file, raw.tuple_files)?;
    tuples.add_listed(file, raw.tuples)?;

    let mut skipped = Skipped::new();
    let mut skip = |what: Unsupported, count: usize| {
        if count > 0 {
            *skipped.entry(what).or_default() += count;
        }
    };
    let mut checks = Vec::new();
    for raw in raw.check.unwrap_or_default() {
        let context = raw.value.context.as_ref().is_some_and(|context| !context.is_empty());
        let found = check(file, &raw.value, raw.referenced.line(), most - checks.len())?;
        match context {
            true => skip(Unsupported::Context, found.len()),
            false => checks.extend(found),
        }
    }
    if !tuples.skipped.is_empty() {
        // Without them the answers mean nothing.
        skip(Unsupported::Conditions, checks.len());
        checks.clear();
    }
    skip(Unsupported::ListObjects, expectations(raw.list_objects));
    skip(Unsupported::ListUsers, expectations(raw.list_users));
    let name = raw.name.filter(|name| !name.is_empty()).unwrap_or_else(|| format!("test {}", index + 1));
    Ok(StoreTest { name, description: raw.description, tuples: tuples.found, checks, skipped })
}

/// Every user with every object and every assertion.
fn check(file: &Path, raw: &RawCheck, line: u64, most: usize) -> Result<Vec<Check>, StoreFileError> {
    let ident = |text: &str, error| StoreFileError::ident(file, text, &error).at(line);
    let users = one_or_several(file, line, "user", raw.user.as_ref(), raw.users.as_ref())?;
    let objects = one_or_several(file, line, "object", raw.object.as_ref(), raw.objects.as_ref())?;
    let assertions = match &raw.assertions {
        Some(assertions) if !assertions.is_empty() => assertions,
        _ => {
            let remedy = "say what is expected, as in `assertions: {viewer: true}`";
            return Err(StoreFileError::new(file, "the check expects nothing", remedy).at(line));
        }
    };
    let count = users.len().saturating_mul(objects.len()).saturating_mul(assertions.len());
    if count > most {
        let what = format!("the file has more than {MAX_CHECKS} checks");
        return Err(StoreFileError::new(file, what, "split it into several files").at(line));
    }
    let mut checks = Vec::with_capacity(count);
    for user in users {
        let subject = Subject::parse(user).map_err(|error| ident(user, error))?;
        for object in objects {
            let object = Object::parse(object).map_err(|error| ident(object, error))?;
            for (relation, &expected) in assertions {
                let relation = check_relation(relation).map_err(|error| ident(relation, error))?;
                checks.push(Check { subject: subject.clone(), relation, object: object.clone(), expected, line });
            }
        }
    }
    Ok(checks)
}

fn one_or_several<'r>(
    file: &Path,
    line: u64,
    key: &str,
    one: Option<&'r String>,
    several: Option<&'r Vec<String>>,
) -> Result<&'r [String], StoreFileError> {
    match (one, several) {
        (Some(one), None) => Ok(std::slice::from_ref(one)),
        (None, Some(several)) if !several.is_empty() => Ok(several),
        (Some(_), Some(_)) => {
            let what = format!("the check has both `{key}` and `{key}s`");
            Err(StoreFileError::new(file, what, "keep one of them").at(line))
        }
        (None, _) => {
            let what = format!("the check names no {key}");
            Err(StoreFileError::new(file, what, format!("give it as `{key}`, or several as `{key}s`")).at(line))
        }
    }
}

fn expectations(lists: Option<Vec<RawList>>) -> usize {
    lists
        .unwrap_or_default()
        .iter()
        .map(|list| list.assertions.as_ref().map_or(0, std::collections::BTreeMap::len))
        .sum()
}
