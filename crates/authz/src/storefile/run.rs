//! Runs store files: asks what their tests ask, of anything that decides, and reports where an answer is not the expected one.
//!
//! Each test has a world of its own, which no other test has touched. Each question is asked twice: all of a test's questions first, and then all
//! of them again, so that whoever caches answers the second time from its caches. An error is never taken for a deny: a question without an
//! answer has failed, whatever was expected.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;

use super::{Check, Skipped, StoreFile, StoreFileError, StoreTest, Unsupported};
use crate::decide::{CheckRequest, Consistency, DecisionPoint, DecisionPointBuilder};
use crate::model::Model;
use crate::relation::Tuple;
use crate::store::memory::MemoryStore;
use crate::store::{MAX_WRITE_BATCH, StoreId, WriteBatch};

/// Whoever answers the questions of store files: a decision point in this process, a server behind a URL.
#[async_trait]
pub trait Decider: Send + Sync {
    /// Begins a new world that holds this model and these relationships, each once, and nothing of the worlds before.
    ///
    /// # Errors
    /// With the reason, in words for whoever reads the report.
    async fn load(&mut self, model: &Model, tuples: &[Tuple]) -> Result<(), String>;

    /// Answers a question in the world that was loaded last.
    ///
    /// # Errors
    /// With the reason why there is no answer.
    async fn check(&self, check: &Check) -> Result<bool, String>;
}

/// What came of some store files.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// Files that were run, at least in part.
    pub files: usize,
    /// Questions with the expected answer, both times.
    pub passed: usize,
    /// What went wrong, in the order of the files.
    pub failures: Vec<Failure>,
    /// How many expectations were not asked, and why.
    pub skipped: Skipped,
}

/// One thing that went wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// The store file.
    pub file: PathBuf,
    /// The line of the question, from 1; none where the file or the whole test failed.
    pub line: Option<u64>,
    /// The test's name; none where the file failed.
    pub test: Option<String>,
    /// What failed.
    pub fault: Fault,
}

/// What failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Fault {
    /// The file, or the world of a test, can't be used. None of the questions in it were asked.
    Unusable(String),
    /// A question has another answer than was expected, or none.
    Answer {
        /// `user:ann viewer doc:1`
        question: String,
        /// What was expected.
        expected: bool,
        /// What came instead, or why nothing came.
        got: Result<bool, String>,
        /// Whether the first answer was right, and only the second one wrong: where there is a cache, it is to blame.
        only_again: bool,
    },
}

impl Report {
    /// Whether nothing went wrong.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.failures.is_empty()
    }

    /// Reads a store file and runs it. A file that can't be read is a failure in the report.
    pub async fn run(&mut self, path: &Path, decider: &mut dyn Decider) {
        match StoreFile::load(path) {
            Ok(file) => self.run_file(path, &file, decider).await,
            Err(StoreFileError { file, line, what, remedy }) => {
                let fault = Fault::Unusable(format!("{what}; {remedy}"));
                self.failures.push(Failure { file, line, test: None, fault });
            }
        }
    }

    /// Runs a store file that was read from `path`.
    pub async fn run_file(&mut self, path: &Path, file: &StoreFile, decider: &mut dyn Decider) {
        for (what, count) in file.tests.iter().flat_map(|test| &test.skipped) {
            self.skip(*what, *count);
        }
        let questions: usize = file.tests.iter().map(|test| test.checks.len()).sum();
        if let Some(what) = file.unsupported().first() {
            self.skip(*what, questions);
            return;
        }
        self.files += 1;
        let model = match &file.model {
            Ok(model) => model,
            Err(errors) => {
                let fault = Fault::Unusable(format!("the model is not valid: {errors}"));
                self.failures.push(Failure { file: path.to_owned(), line: None, test: None, fault });
                return;
            }
        };
        for test in file.tests.iter().filter(|test| !test.checks.is_empty()) {
            self.run_test(path, model, &file.tuples, test, decider).await;
        }
    }

    async fn run_test(
        &mut self,
        path: &Path,
        model: &Model,
        shared: &[Tuple],
        test: &StoreTest,
        decider: &mut dyn Decider,
    ) {
        let mut tuples: Vec<Tuple> = shared.iter().chain(&test.tuples).cloned().collect();
        tuples.sort_unstable();
        tuples.dedup();
        let failure = |line, fault| Failure { file: path.to_owned(), line, test: Some(test.name.clone()), fault };
        if let Err(why) = decider.load(model, &tuples).await {
            self.failures.push(failure(None, Fault::Unusable(why)));
            return;
        }
        let mut first = Vec::with_capacity(test.checks.len());
        for check in &test.checks {
            first.push(decider.check(check).await);
        }
        for (check, first) in test.checks.iter().zip(first) {
            let again = decider.check(check).await;
            let expected = Ok(check.expected);
            let only_again = first == expected;
            let got = if only_again { again } else { first };
            if got == expected {
                self.passed += 1;
                continue;
            }
            let question = format!("{} {} {}", check.subject, check.relation, check.object);
            let fault = Fault::Answer { question, expected: check.expected, got, only_again };
            self.failures.push(failure(Some(check.line), fault));
        }
    }

    fn skip(&mut self, what: Unsupported, count: usize) {
        if count > 0 {
            *self.skipped.entry(what).or_default() += count;
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, test, fault } = self;
        write!(f, "FAIL {}", file.display())?;
        if let Some(line) = line {
            write!(f, ":{line}")?;
        }
        if let Some(test) = test {
            write!(f, " test {test:?}")?;
        }
        match fault {
            Fault::Unusable(why) => write!(f, ": {why}"),
            Fault::Answer { question, expected, got, only_again } => {
                let word = |allowed: &bool| if *allowed { "allow" } else { "deny" };
                write!(f, " {question}: expected {}, got ", word(expected))?;
                match got {
                    Ok(got) => f.write_str(word(got))?,
                    Err(why) => write!(f, "no answer ({why})")?,
                }
                if *only_again {
                    f.write_str(" when it was asked again")?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { files, passed, failures, skipped } = self;
        for failure in failures {
            writeln!(f, "{failure}")?;
        }
        write!(f, "{passed} passed, {} failed, in {files} files", failures.len())?;
        if !skipped.is_empty() {
            let skipped: Vec<String> = skipped.iter().map(|(what, count)| format!("{count} {what}")).collect();
            write!(f, "; not asked: {}", skipped.join(", "))?;
        }
        Ok(())
    }
}

/// Decides in this process: a new decision point over a new origin in memory for each test.
///
/// The closure adds what the decision point is to have, such as tiers; without any, nothing is cached.
pub struct InProcess<F> {
    build: F,
    world: Option<(DecisionPoint, StoreId)>,
}

impl<F: Fn(DecisionPointBuilder) -> DecisionPointBuilder + Send + Sync> InProcess<F> {
    /// Decides by decision points that are built so.
    pub fn new(build: F) -> Self {
        Self { build, world: None }
    }

    /// The decision point of the test that was loaded last.
    #[must_use]
    pub fn point(&self) -> Option<&DecisionPoint> {
        self.world.as_ref().map(|(point, _)| point)
    }
}

#[async_trait]
impl<F: Fn(DecisionPointBuilder) -> DecisionPointBuilder + Send + Sync> Decider for InProcess<F> {
    async fn load(&mut self, model: &Model, tuples: &[Tuple]) -> Result<(), String> {
        // Whatever goes wrong from here on, the world before must not answer in its place.
        self.world = None;
        let builder = DecisionPoint::builder(Arc::new(MemoryStore::default()));
        let point = (self.build)(builder).build().await.map_err(|error| error.to_string())?;
        let store = point.create_store("test").await.map_err(|error| error.to_string())?.id;
        point.write_model(store, model).await.map_err(|error| error.to_string())?;
        for chunk in tuples.chunks(MAX_WRITE_BATCH) {
            let batch = WriteBatch::of(chunk.iter().cloned());
            point.write(store, None, batch).await.map_err(|error| error.to_string())?;
        }
        self.world = Some((point, store));
        Ok(())
    }

    async fn check(&self, check: &Check) -> Result<bool, String> {
        let Some((point, store)) = &self.world else { return Err("no world was loaded".to_owned()) };
        let request = CheckRequest {
            store: *store,
            model: None,
            subject: check.subject.clone(),
            relation: check.relation.clone(),
            object: check.object.clone(),
            contextual_tuples: Vec::new(),
            context: Default::default(),
            properties: Default::default(),
            consistency: Consistency::MinimizeLatency,
        };
        point.check(&request).await.map(|decision| decision.allowed).map_err(|error| error.to_string())
    }
}

impl<F> fmt::Debug for InProcess<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcess").field("world", &self.world).finish_non_exhaustive()
    }
}
