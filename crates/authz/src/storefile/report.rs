//! What came of store files, and how it is told.

use std::fmt;
use std::path::PathBuf;

/// How many entries of a list are told; a list may have many thousands.
const MAX_SHOWN: usize = 20;

/// What came of some store files.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Report {
    /// Files that were run, at least in part.
    pub files: usize,
    /// Questions with the expected answer, both times.
    pub passed: usize,
    /// What went wrong, in the order of the files.
    pub failures: Vec<Failure>,
}

/// One thing that went wrong.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// The store file.
    pub file: PathBuf,
    /// The line of the expectation, or of the test, from 1; none where the file failed.
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
        expected: Answer,
        /// What came instead, or why nothing came.
        got: Result<Answer, String>,
        /// Whether the first answer was right, and only the second one wrong: where there is a cache, it is to blame.
        only_again: bool,
    },
}

/// The answer to a question.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    /// To a check.
    Allowed(bool),
    /// To a question for objects or subjects: sorted.
    List(Vec<String>),
}

impl Answer {
    /// A list of these, in whatever order they come.
    pub(super) fn list(entries: impl IntoIterator<Item = impl ToString>) -> Self {
        let mut entries: Vec<String> = entries.into_iter().map(|entry| entry.to_string()).collect();
        entries.sort_unstable();
        Self::List(entries)
    }
}

impl Report {
    /// Whether nothing went wrong.
    #[must_use]
    pub fn is_success(&self) -> bool {
        self.failures.is_empty()
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
                write!(f, " {question}: ")?;
                match (expected, got) {
                    (Answer::List(expected), Ok(Answer::List(got))) => differences(expected, got, f)?,
                    (expected, Ok(got)) => write!(f, "expected {expected}, got {got}")?,
                    (expected, Err(why)) => write!(f, "expected {expected}, got no answer ({why})")?,
                }
                if *only_again {
                    f.write_str(" when it was asked again")?;
                }
                Ok(())
            }
        }
    }
}

/// What a list lacks, and what it has too much. Both are sorted; an entry may stand in one of them more often.
fn differences(expected: &[String], got: &[String], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let without = |all: &[String], taken: &[String]| {
        let mut taken = taken.iter().peekable();
        let mut rest = Vec::new();
        for entry in all {
            while taken.next_if(|other| *other < entry).is_some() {}
            if taken.next_if(|other| *other == entry).is_none() {
                rest.push(entry.clone());
            }
        }
        rest
    };
    let (missing, unexpected) = (without(expected, got), without(got, expected));
    if !missing.is_empty() {
        write!(f, "missing {}", Answer::List(missing.clone()))?;
    }
    if !missing.is_empty() && !unexpected.is_empty() {
        f.write_str(", ")?;
    }
    if !unexpected.is_empty() {
        write!(f, "unexpected {}", Answer::List(unexpected))?;
    }
    Ok(())
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allowed(true) => f.write_str("allow"),
            Self::Allowed(false) => f.write_str("deny"),
            Self::List(entries) => {
                let shown = &entries[..entries.len().min(MAX_SHOWN)];
                write!(f, "[{}", shown.join(", "))?;
                if entries.len() > shown.len() {
                    write!(f, " and {} more", entries.len() - shown.len())?;
                }
                f.write_str("]")
            }
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { files, passed, failures } = self;
        for failure in failures {
            writeln!(f, "{failure}")?;
        }
        write!(f, "{passed} passed, {} failed, in {files} files", failures.len())
    }
}
