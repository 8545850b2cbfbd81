//! Runs store files: asks what their tests ask, of anything that decides, and reports where an answer is not the expected one.
//!
//! Each test has a world of its own, which no other test has touched. Each question is asked twice: all of a test's questions first, and then all
//! of them again, so that whoever caches answers the second time from its caches. An error is never taken for a deny: a question without an
//! answer has failed, whatever was expected.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;

use super::{
    Answer, Check, Failure, Fault, ListObjectsTest, ListUsersTest, Report, StoreFile, StoreFileError, StoreTest,
};
use crate::decide::{
    CheckRequest, Consistency, DecisionPoint, DecisionPointBuilder, ListObjectsRequest, ListUsersRequest,
    RequestProperties,
};
use crate::model::Model;
use crate::relation::{Object, Relationship, Subject, Text};
use crate::store::memory::MemoryStore;
use crate::store::{MAX_WRITE_BATCH, StoreId, WriteBatch};

/// Whoever answers the questions of store files: a decision point in this process, a server behind a URL.
#[async_trait]
pub trait Decider: Send + Sync {
    /// Begins a new world that holds this model and these relationships, each once, and nothing of the worlds before.
    ///
    /// # Errors
    /// With the reason, in words for whoever reads the report.
    async fn load(&mut self, model: &Model, tuples: &[Relationship]) -> Result<(), String>;

    /// Answers a question in the world that was loaded last.
    ///
    /// # Errors
    /// With the reason why there is no answer.
    async fn check(&self, check: &Check) -> Result<bool, String>;

    /// All objects that are asked for, each once, in whatever order.
    ///
    /// # Errors
    /// As [`Decider::check`].
    async fn list_objects(&self, list: &ListObjectsTest) -> Result<Vec<Object>, String>;

    /// All subjects that are asked for, each once, in whatever order.
    ///
    /// # Errors
    /// As [`Decider::check`].
    async fn list_users(&self, list: &ListUsersTest) -> Result<Vec<Subject>, String>;
}

/// What a test asks.
#[derive(Clone, Copy)]
enum Question<'t> {
    Check(&'t Check),
    Objects(&'t ListObjectsTest),
    Users(&'t ListUsersTest),
}

impl Report {
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
        self.files += 1;
        let model = match &file.model {
            Ok(model) => model,
            Err(errors) => {
                let fault = Fault::Unusable(format!("the model is not valid: {errors}"));
                self.failures.push(Failure { file: path.to_owned(), line: None, test: None, fault });
                return;
            }
        };
        for test in &file.tests {
            self.run_test(path, model, &file.tuples, test, decider).await;
        }
    }

    async fn run_test(
        &mut self,
        path: &Path,
        model: &Model,
        shared: &[Relationship],
        test: &StoreTest,
        decider: &mut dyn Decider,
    ) {
        let questions: Vec<Question<'_>> = questions(test).collect();
        if questions.is_empty() {
            return;
        }
        let mut tuples: Vec<Relationship> = shared.iter().chain(&test.tuples).cloned().collect();
        tuples.sort_by(|left, right| left.tuple.cmp(&right.tuple));
        tuples.dedup();
        let failure = |line, fault| Failure { file: path.to_owned(), line, test: Some(test.name.clone()), fault };
        if let Err(why) = decider.load(model, &tuples).await {
            self.failures.push(failure(Some(test.line), Fault::Unusable(why)));
            return;
        }
        let mut first = Vec::with_capacity(questions.len());
        for question in &questions {
            first.push(question.ask(decider).await);
        }
        for (question, first) in questions.iter().zip(first) {
            let again = question.ask(decider).await;
            let expected = question.expected();
            let only_again = first.as_ref() == Ok(&expected);
            let got = if only_again { again } else { first };
            if got.as_ref() == Ok(&expected) {
                self.passed += 1;
                continue;
            }
            let fault = Fault::Answer { question: question.to_string(), expected, got, only_again };
            self.failures.push(failure(Some(question.line()), fault));
        }
    }
}

fn questions(test: &StoreTest) -> impl Iterator<Item = Question<'_>> {
    let checks = test.checks.iter().map(Question::Check);
    let objects = test.list_objects.iter().map(Question::Objects);
    checks.chain(objects).chain(test.list_users.iter().map(Question::Users))
}

impl Question<'_> {
    async fn ask(&self, decider: &dyn Decider) -> Result<Answer, String> {
        match self {
            Self::Check(check) => decider.check(check).await.map(Answer::Allowed),
            Self::Objects(list) => decider.list_objects(list).await.map(Answer::list),
            Self::Users(list) => decider.list_users(list).await.map(Answer::list),
        }
    }

    fn expected(&self) -> Answer {
        match self {
            Self::Check(check) => Answer::Allowed(check.expected),
            Self::Objects(list) => Answer::list(&list.expected),
            Self::Users(list) => Answer::list(&list.expected),
        }
    }

    fn line(&self) -> u64 {
        match self {
            Self::Check(check) => check.line,
            Self::Objects(list) => list.line,
            Self::Users(list) => list.line,
        }
    }
}

impl fmt::Display for Question<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Check(Check { subject, relation, object, .. }) => write!(f, "{subject} {relation} {object}"),
            Self::Objects(ListObjectsTest { subject, relation, object_type, .. }) => {
                write!(f, "{subject} {relation} which {object_type}")
            }
            Self::Users(ListUsersTest { object, relation, filter, .. }) => {
                write!(f, "which {}", filter.type_name)?;
                if let Some(relation) = &filter.relation {
                    write!(f, "#{relation}")?;
                }
                write!(f, " {relation} {object}")
            }
        }
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
    async fn load(&mut self, model: &Model, tuples: &[Relationship]) -> Result<(), String> {
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
            context: check.context.clone(),
            properties: RequestProperties::default(),
            consistency: Consistency::MinimizeLatency,
        };
        point.check(&request).await.map(|decision| decision.allowed).map_err(|error| error.to_string())
    }

    async fn list_objects(&self, test: &ListObjectsTest) -> Result<Vec<Object>, String> {
        let Some((point, store)) = &self.world else { return Err("no world was loaded".to_owned()) };
        let request = ListObjectsRequest {
            store: *store,
            model: None,
            subject: test.subject.clone(),
            relation: test.relation.clone(),
            object_type: test.object_type.clone(),
            contextual_tuples: Vec::new(),
            context: test.context.clone(),
            properties: RequestProperties::default(),
            consistency: Consistency::MinimizeLatency,
        };
        let listed = point.list_objects(&request).await.map_err(|error| error.to_string())?;
        let object = |id: &Text| Object { type_name: test.object_type.clone(), id: id.clone() };
        Ok(listed.items.iter().map(object).collect())
    }

    async fn list_users(&self, test: &ListUsersTest) -> Result<Vec<Subject>, String> {
        let Some((point, store)) = &self.world else { return Err("no world was loaded".to_owned()) };
        let request = ListUsersRequest {
            store: *store,
            model: None,
            object: test.object.clone(),
            relation: test.relation.clone(),
            filters: vec![test.filter.clone()],
            contextual_tuples: Vec::new(),
            context: test.context.clone(),
            properties: RequestProperties::default(),
            consistency: Consistency::MinimizeLatency,
        };
        let listed = point.list_users(&request).await.map_err(|error| error.to_string())?;
        Ok(listed.items.to_vec())
    }
}

impl<F> fmt::Debug for InProcess<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InProcess").field("world", &self.world).finish_non_exhaustive()
    }
}
