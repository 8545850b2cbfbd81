//! Store files (`.fga.yaml`): a model, relationships, and what is expected of them, in the format of OpenFGA's `fga model test`.
//!
//! A file is read as a whole, with all the files it names, and checked before anything runs. Every expectation knows the line on
//! which it stands.

mod error;
mod files;
mod load;
mod questions;
mod raw;
mod report;
mod run;
mod tuples;

pub use error::StoreFileError;
pub use files::MAX_FILE_BYTES;
pub use load::MAX_CHECKS;
pub use questions::{Question, questions};
pub use report::{Answer, Failure, Fault, Report};
pub use run::{Decider, InProcess};
pub use tuples::relationships;

use crate::condition::Context;
use crate::model::{Model, ModelErrors};
use crate::relation::{Object, Relationship, Subject, SubjectKind, Text};

/// A store file with everything it names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoreFile {
    /// What the file calls its store.
    pub name: Option<String>,
    /// The model, which was validated. The lines of its faults count from the model's own first line.
    pub model: Result<Model, ModelErrors>,
    /// The relationships that every test sees.
    pub tuples: Vec<Relationship>,
    /// The tests, in the order of the file.
    pub tests: Vec<StoreTest>,
}

/// One test of a store file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoreTest {
    /// Its name; `test 3` where the file gives none.
    pub name: String,
    /// What the file says about it.
    pub description: Option<String>,
    /// Relationships that only this test sees.
    pub tuples: Vec<Relationship>,
    /// Whether somebody stands in a relation to something: one entry for each subject, object and relation.
    pub checks: Vec<Check>,
    /// What somebody stands in a relation to.
    pub list_objects: Vec<ListObjectsTest>,
    /// Who stands in a relation to something.
    pub list_users: Vec<ListUsersTest>,
    /// Where it begins in the file, from 1.
    pub line: u64,
}

/// One question with the answer that is expected.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Check {
    /// Who,
    pub subject: Subject,
    /// stands in which relation
    pub relation: Text,
    /// to what?
    pub object: Object,
    /// Values that the question brings.
    pub context: Context,
    /// The expected answer.
    pub expected: bool,
    /// Where the expectation stands in the file, from 1.
    pub line: u64,
}

/// Which objects of a type somebody stands in a relation to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListObjectsTest {
    /// Who.
    pub subject: Subject,
    /// The type of the objects.
    pub object_type: Text,
    /// The relation.
    pub relation: Text,
    /// Values that the question brings.
    pub context: Context,
    /// The expected objects; their order has no meaning.
    pub expected: Vec<Object>,
    /// Where the expectation stands in the file, from 1.
    pub line: u64,
}

/// Which subjects of a kind stand in a relation to an object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ListUsersTest {
    /// The object.
    pub object: Object,
    /// The kind of the subjects.
    pub filter: SubjectKind,
    /// The relation.
    pub relation: Text,
    /// Values that the question brings.
    pub context: Context,
    /// The expected subjects, of which `user:*` is one where it stands in the relation; their order has no meaning.
    pub expected: Vec<Subject>,
    /// Where the expectation stands in the file, from 1.
    pub line: u64,
}

#[cfg(test)]
mod tests;
