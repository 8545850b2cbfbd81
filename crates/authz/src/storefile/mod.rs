//! Store files (`.fga.yaml`): a model, relationships, and what is expected of them, in the format of OpenFGA's `fga model test`.
//!
//! A file is read as a whole, with all the files it names, and checked before anything runs. What it asks for and this version
//! can't serve is neither dropped nor an error: it is counted by name in [`Skipped`], so that a report can say what it left out.

mod error;
mod files;
mod load;
mod raw;
mod run;
mod tuples;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

pub use error::StoreFileError;
pub use files::MAX_FILE_BYTES;
pub use load::MAX_CHECKS;
pub use run::{Decider, Failure, Fault, InProcess, Report};

use crate::model::{Feature, Model, ModelErrors};
use crate::relation::{Object, Subject, Text, Tuple};

/// A store file with everything it names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoreFile {
    /// What the file calls its store.
    pub name: Option<String>,
    /// The model, which was validated. The lines of its faults count from the model's own first line.
    pub model: Result<Model, ModelErrors>,
    /// The relationships that every test sees.
    pub tuples: Vec<Tuple>,
    /// The tests, in the order of the file.
    pub tests: Vec<StoreTest>,
    /// How many of the relationships were left out, and why.
    pub skipped: Skipped,
}

/// One test of a store file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StoreTest {
    /// Its name; `test 3` where the file gives none.
    pub name: String,
    /// What the file says about it.
    pub description: Option<String>,
    /// Relationships that only this test sees.
    pub tuples: Vec<Tuple>,
    /// What is asked: one entry for each subject, object and relation.
    pub checks: Vec<Check>,
    /// How many of the test's expectations can't be asked, and why.
    pub skipped: Skipped,
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
    /// The expected answer.
    pub expected: bool,
    /// Where the question stands in the file, from 1.
    pub line: u64,
}

/// How often something was left out.
pub type Skipped = BTreeMap<Unsupported, usize>;

/// What a store file may ask for that this version can't serve.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[non_exhaustive]
pub enum Unsupported {
    /// Conditions, in the model or on a relationship.
    Conditions,
    /// A modular model.
    Modules,
    /// A question with a context, which conditions would read.
    Context,
    /// Expectations of which objects somebody stands in a relation to.
    ListObjects,
    /// Expectations of who stands in a relation to an object.
    ListUsers,
}

impl StoreFile {
    /// Why no test of the file can run, where that is for want of support: its model needs more than is served, or some of the
    /// relationships that every test sees do. Empty where the tests can run, and also where the model is wrong.
    #[must_use]
    pub fn unsupported(&self) -> BTreeSet<Unsupported> {
        let model = self.model.as_ref().err().and_then(ModelErrors::unsupported).unwrap_or_default();
        model.into_iter().map(Unsupported::from).chain(self.skipped.keys().copied()).collect()
    }
}

impl From<Feature> for Unsupported {
    fn from(feature: Feature) -> Self {
        match feature {
            Feature::Conditions => Self::Conditions,
            Feature::Modules => Self::Modules,
        }
    }
}

impl fmt::Display for Unsupported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Conditions => "conditions",
            Self::Modules => "modules",
            Self::Context => "context",
            Self::ListObjects => "list_objects",
            Self::ListUsers => "list_users",
        })
    }
}

#[cfg(test)]
mod tests;
