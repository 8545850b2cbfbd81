//! From what is written in a store file to what can be run.

use std::path::Path;

use serde_json::{Map, Value};
use serde_saphyr::Spanned;

use super::raw::{Assertions, RawCheck, RawListObjects, RawListUsers, RawStore, RawTest};
use super::tuples::Tuples;
use super::{Check, ListObjectsTest, ListUsersTest, StoreFile, StoreFileError, StoreTest, files};
use crate::condition::Context;
use crate::model::{Model, ModelErrorKind, ModelErrors};
use crate::relation::{IdentError, Object, Subject, SubjectKind, check_relation, check_type};

/// The most expectations of a store file, after lists of users and objects were multiplied out.
pub const MAX_CHECKS: usize = 100_000;

impl StoreFile {
    /// Reads a store file and the files it names, whose paths are relative to it.
    ///
    /// A faulty model is no error here but a part of the result, because a report says it among other files' results.
    ///
    /// # Errors
    /// Where a file can't be read, is too large, or holds something else than a store file should.
    pub fn load(path: &Path) -> Result<Self, StoreFileError> {
        let raw: RawStore = files::yaml(path, &files::text(path, files::MAX_FILE_BYTES)?)?;
        let model = model(path, raw.model, raw.model_file)?;
        let mut tuples = Tuples::default();
        tuples.add_files(path, raw.tuple_file, raw.tuple_files)?;
        tuples.add_listed(path, raw.tuples)?;
        let mut tests = Vec::new();
        let mut left = MAX_CHECKS;
        for (index, raw) in raw.tests.unwrap_or_default().into_iter().enumerate() {
            tests.push(test(path, raw, index, &mut left)?);
        }
        Ok(Self { name: raw.name, model, tuples: tuples.found, tests })
    }
}

fn model(
    file: &Path,
    inline: Option<String>,
    named: Option<String>,
) -> Result<Result<Model, ModelErrors>, StoreFileError> {
    let inline = inline.filter(|text| !text.is_empty());
    let named = named.filter(|text| !text.is_empty());
    let read = match (inline, named) {
        (Some(_), Some(_)) => {
            let what = "the file has both `model` and `model_file`";
            return Err(StoreFileError::new(file, what, "keep one of them"));
        }
        (Some(text), None) => Model::from_dsl(&text),
        (None, Some(named)) => {
            let path = files::beside(file, &named);
            let read = Model::load(&path);
            if let Err(errors) = &read
                && let Some(error) = errors.iter().find(|error| error.kind == ModelErrorKind::File)
            {
                let path = error.file.as_ref().map_or(path.clone(), |name| files::beside(&path, name));
                return Err(StoreFileError::new(&path, &*error.what, &*error.remedy));
            }
            read
        }
        (None, None) => {
            let what = "the file has no model";
            return Err(StoreFileError::new(file, what, "give it as `model`, or name its file as `model_file`"));
        }
    };
    Ok(read.and_then(|model| model.validate().map(|()| model)))
}

fn test(file: &Path, raw: Spanned<RawTest>, index: usize, left: &mut usize) -> Result<StoreTest, StoreFileError> {
    let line = raw.referenced.line();
    let raw = raw.value;
    let mut tuples = Tuples::default();
    tuples.add_files(file, raw.tuple_file, raw.tuple_files)?;
    tuples.add_listed(file, raw.tuples)?;

    let mut checks = Vec::new();
    for raw in raw.check.unwrap_or_default() {
        let of = Entry { file, line: raw.referenced.line(), what: "check" };
        check(of, raw.value, left, &mut checks)?;
    }
    let mut list_objects = Vec::new();
    for raw in raw.list_objects.unwrap_or_default() {
        let of = Entry { file, line: raw.referenced.line(), what: "list of objects" };
        self::list_objects(of, raw.value, left, &mut list_objects)?;
    }
    let mut list_users = Vec::new();
    for raw in raw.list_users.unwrap_or_default() {
        let of = Entry { file, line: raw.referenced.line(), what: "list of users" };
        self::list_users(of, raw.value, left, &mut list_users)?;
    }
    let name = raw.name.filter(|name| !name.is_empty()).unwrap_or_else(|| format!("test {}", index + 1));
    let description = raw.description;
    Ok(StoreTest { name, description, tuples: tuples.found, checks, list_objects, list_users, line })
}

/// An entry of a test, for what is said of its faults.
#[derive(Clone, Copy)]
struct Entry<'f> {
    file: &'f Path,
    line: u64,
    what: &'static str,
}

impl Entry<'_> {
    fn fault(self, what: impl Into<String>, remedy: impl Into<String>) -> StoreFileError {
        StoreFileError::new(self.file, what, remedy).at(self.line)
    }

    fn read<T>(self, text: &str, read: impl FnOnce(&str) -> Result<T, IdentError>) -> Result<T, StoreFileError> {
        read(text).map_err(|error| StoreFileError::ident(self.file, text, &error).at(self.line))
    }

    fn needed(self, key: &str, value: Option<String>) -> Result<String, StoreFileError> {
        value
            .filter(|text| !text.is_empty())
            .ok_or_else(|| self.fault(format!("the {} names no {key}", self.what), format!("give it as `{key}`")))
    }

    /// What is expected, which is something.
    fn assertions<T>(
        self,
        assertions: Assertions<T>,
        example: &str,
    ) -> Result<impl Iterator<Item = (String, Spanned<T>)>, StoreFileError> {
        match assertions.filter(|assertions| !assertions.is_empty()) {
            Some(assertions) => Ok(assertions.into_iter()),
            None => Err(self.fault(
                format!("the {} expects nothing", self.what),
                format!("say what is expected, as in `assertions: {example}`"),
            )),
        }
    }

    /// Takes room for so many expectations.
    fn room(self, count: usize, left: &mut usize) -> Result<(), StoreFileError> {
        *left = left.checked_sub(count).ok_or_else(|| {
            self.fault(format!("the file has more than {MAX_CHECKS} checks"), "split it into several files")
        })?;
        Ok(())
    }
}

fn context(raw: Option<Map<String, Value>>) -> Context {
    Context::from(raw.unwrap_or_default())
}

/// Every user with every object and every assertion.
fn check(of: Entry<'_>, raw: RawCheck, left: &mut usize, checks: &mut Vec<Check>) -> Result<(), StoreFileError> {
    let users = one_or_several(of, "user", raw.user.as_ref(), raw.users.as_ref())?;
    let objects = one_or_several(of, "object", raw.object.as_ref(), raw.objects.as_ref())?;
    let context = context(raw.context);
    let assertions: Vec<_> = of.assertions(raw.assertions, "{viewer: true}")?.collect();
    of.room(users.len().saturating_mul(objects.len()).saturating_mul(assertions.len()), left)?;
    for user in users {
        let subject = of.read(user, Subject::parse)?;
        for object in objects {
            let object = of.read(object, Object::parse)?;
            for (relation, expected) in &assertions {
                checks.push(Check {
                    subject: subject.clone(),
                    relation: of.read(relation, check_relation)?,
                    object: object.clone(),
                    context: context.clone(),
                    expected: expected.value.0,
                    line: expected.referenced.line(),
                });
            }
        }
    }
    Ok(())
}

fn list_objects(
    of: Entry<'_>,
    raw: RawListObjects,
    left: &mut usize,
    lists: &mut Vec<ListObjectsTest>,
) -> Result<(), StoreFileError> {
    let subject = of.read(&of.needed("user", raw.user)?, Subject::parse)?;
    let object_type = of.read(&of.needed("type", raw.object_type)?, check_type)?;
    let context = context(raw.context);
    for (relation, expected) in of.assertions(raw.assertions, "{viewer: [document:1]}")? {
        of.room(1, left)?;
        let of = Entry { line: expected.referenced.line(), ..of };
        let listed = expected.value.unwrap_or_default();
        lists.push(ListObjectsTest {
            subject: subject.clone(),
            object_type: object_type.clone(),
            relation: of.read(&relation, check_relation)?,
            context: context.clone(),
            expected: listed.iter().map(|object| of.read(object, Object::parse)).collect::<Result<_, _>>()?,
            line: of.line,
        });
    }
    Ok(())
}

fn list_users(
    of: Entry<'_>,
    raw: RawListUsers,
    left: &mut usize,
    lists: &mut Vec<ListUsersTest>,
) -> Result<(), StoreFileError> {
    let object = of.read(&of.needed("object", raw.object)?, Object::parse)?;
    let filters = raw.user_filter.unwrap_or_default();
    let [filter] = &filters[..] else {
        let what = format!("the {} has {} filters, and needs one", of.what, filters.len());
        return Err(of.fault(what, "give one, as in `user_filter: [{type: user}]`"));
    };
    let relation = filter.relation.as_deref().filter(|relation| !relation.is_empty());
    let filter = SubjectKind {
        type_name: of.read(&filter.type_name, check_type)?,
        relation: relation.map(|relation| of.read(relation, check_relation)).transpose()?,
    };
    let context = context(raw.context);
    for (relation, expected) in of.assertions(raw.assertions, "{viewer: {users: [user:ann]}}")? {
        of.room(1, left)?;
        let of = Entry { line: expected.referenced.line(), ..of };
        let listed = expected.value.and_then(|expected| expected.users).unwrap_or_default();
        lists.push(ListUsersTest {
            object: object.clone(),
            filter: filter.clone(),
            relation: of.read(&relation, check_relation)?,
            context: context.clone(),
            expected: listed.iter().map(|user| of.read(user, Subject::parse)).collect::<Result<_, _>>()?,
            line: of.line,
        });
    }
    Ok(())
}

fn one_or_several<'r>(
    of: Entry<'_>,
    key: &str,
    one: Option<&'r String>,
    several: Option<&'r Vec<String>>,
) -> Result<&'r [String], StoreFileError> {
    match (one, several) {
        (Some(one), None) => Ok(std::slice::from_ref(one)),
        (None, Some(several)) if !several.is_empty() => Ok(several),
        (Some(_), Some(_)) => {
            Err(of.fault(format!("the {} has both `{key}` and `{key}s`", of.what), "keep one of them"))
        }
        (None, _) => {
            let what = format!("the {} names no {key}", of.what);
            Err(of.fault(what, format!("give it as `{key}`, or several as `{key}s`")))
        }
    }
}
