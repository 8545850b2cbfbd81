//! What is wrong with a model: every fault with its place, what was found, and what to do about it.
//!
//! A reader of models gathers faults instead of stopping at the first one, so that [`ModelErrors`] is a list; it is never
//! empty, and never longer than [`MAX_ERRORS`].

use std::fmt;

use crate::relation::{IdentError, Text};

/// The most faults that are gathered of one model. What a person can act upon is far below; what it keeps in bounds is the
/// answer to a hostile model.
pub const MAX_ERRORS: usize = 100;

/// A place in the text of a model.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Place {
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

/// The kind of a fault, for programs; people read [`ModelError::what`] and [`ModelError::remedy`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[non_exhaustive]
pub enum ModelErrorKind {
    /// The text, or the shape of the JSON, is not that of a model.
    Syntax,
    /// A bound of [`bounds`](super::bounds) is exceeded.
    TooLarge,
    /// The version of the language is none that is known.
    SchemaVersion,
    /// A file of the model can't be read.
    File,
    /// A name that may not be used.
    Name,
    /// The same type, relation or condition twice.
    Duplicate,
    /// A name that nothing defines.
    Undefined,
    /// The list of who may be written directly doesn't fit the relation.
    Restriction,
    /// A relation after `from` that isn't a plain list of types.
    Tupleset,
    /// A relation that is computed from itself.
    Cycle,
    /// A relation in which nobody can ever stand.
    NoEntrypoint,
    /// A condition that makes no sense.
    Condition,
}

/// One fault of a model.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub struct ModelError {
    /// Which file of a modular model; none where the model is one file.
    pub file: Option<Text>,
    /// Where in the DSL; none for models that came as JSON.
    pub place: Option<Place>,
    /// Where in the JSON, as `type_definitions[0].relations.viewer`; none for the DSL.
    pub path: Option<String>,
    /// The kind.
    pub kind: ModelErrorKind,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

/// The faults of a model: at least one, at most [`MAX_ERRORS`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ModelErrors(Vec<ModelError>);

impl ModelError {
    pub(crate) fn new(kind: ModelErrorKind, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { file: None, place: None, path: None, kind, what: what.into(), remedy: remedy.into() }
    }

    /// A refused name. Its message holds the remedy already, which is cut off to stand in its own field.
    pub(crate) fn name(name: &str, error: &IdentError) -> Self {
        let text = error.to_string();
        let (what, remedy) = text.split_once("; ").unwrap_or((&text, "choose another name"));
        let shown: String = name.chars().take(64).collect();
        Self::new(ModelErrorKind::Name, format!("in the name {shown:?}: {what}"), remedy)
    }

    pub(crate) fn in_file(mut self, file: Option<&Text>) -> Self {
        self.file = file.cloned();
        self
    }

    pub(crate) fn at(mut self, place: Option<Place>) -> Self {
        self.place = place;
        self
    }

    pub(crate) fn under(mut self, path: impl fmt::Display) -> Self {
        self.path = Some(path.to_string());
        self
    }
}

impl ModelErrors {
    /// The faults, in the order of the text as far as they have places.
    pub fn iter(&self) -> std::slice::Iter<'_, ModelError> {
        self.0.iter()
    }

    /// How many there are; never 0.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.0.len()
    }
}

impl From<ModelError> for ModelErrors {
    fn from(error: ModelError) -> Self {
        Self(vec![error])
    }
}

impl<'a> IntoIterator for &'a ModelErrors {
    type Item = &'a ModelError;
    type IntoIter = std::slice::Iter<'a, ModelError>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl std::error::Error for ModelErrors {}

impl fmt::Display for ModelErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            fmt::Display::fmt(error, f)?;
        }
        if self.0.len() == MAX_ERRORS {
            write!(f, "\nthere may be more; only the first {MAX_ERRORS} faults are listed")?;
        }
        Ok(())
    }
}

impl fmt::Display for ModelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.place) {
            (Some(file), Some(place)) => write!(f, "{file}, {place}: ")?,
            (Some(file), None) => write!(f, "{file}: ")?,
            (None, Some(place)) => write!(f, "{place}: ")?,
            (None, None) => {}
        }
        if let Some(path) = &self.path {
            write!(f, "{path}: ")?;
        }
        write!(f, "{}; {}", self.what, self.remedy)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

/// Gathers faults while a model is read or checked.
#[derive(Default)]
pub(crate) struct Faults(Vec<ModelError>);

impl Faults {
    /// Keeps a fault, unless there are enough.
    pub(crate) fn push(&mut self, error: ModelError) {
        if self.0.len() < MAX_ERRORS {
            self.0.push(error);
        }
    }

    /// Whether looking for more has no use.
    pub(crate) fn is_full(&self) -> bool {
        self.0.len() >= MAX_ERRORS
    }

    /// Takes over what was gathered of a part, and says which file it is.
    pub(crate) fn extend_from(&mut self, part: Faults, file: &Text) {
        for error in part.0 {
            self.push(error.in_file(Some(file)));
        }
    }

    /// The value where nothing was wrong; otherwise the faults in the order of their places.
    pub(crate) fn into_result<T>(mut self, value: T) -> Result<T, ModelErrors> {
        if self.0.is_empty() {
            return Ok(value);
        }
        // Files keep the order in which they were read, which is where each one first stands.
        let mut files: Vec<Option<Text>> = Vec::new();
        for error in &self.0 {
            if !files.contains(&error.file) {
                files.push(error.file.clone());
            }
        }
        self.0.sort_by_key(|error| (files.iter().position(|file| *file == error.file), error.place));
        Err(ModelErrors(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::relation::check_type;

    #[test]
    fn a_fault_reads_as_place_what_and_remedy() {
        let error = ModelError::new(ModelErrorKind::Syntax, "a list has no end", "close it with `]`");
        assert_eq!(
            error.clone().at(Some(Place { line: 4, column: 12 })).to_string(),
            "line 4, column 12: a list has no end; close it with `]`"
        );
        assert_eq!(error.under("conditions").to_string(), "conditions: a list has no end; close it with `]`");
    }

    #[test]
    fn a_refused_name_is_told_with_its_remedy_once() {
        let error = ModelError::name("us*er", &check_type("us*er").unwrap_err());
        assert_eq!(
            error.to_string(),
            "in the name \"us*er\": the type holds '*' at byte 2; remove it (a name is visible text without : # @ * and white space)"
        );
    }

    #[test]
    fn a_flood_of_faults_is_cut_and_said_to_be() {
        let mut faults = Faults::default();
        for _ in 0..10_000 {
            faults.push(ModelError::new(ModelErrorKind::Syntax, "x", "y"));
        }
        let errors = faults.into_result(()).unwrap_err();
        assert_eq!(errors.len(), MAX_ERRORS);
        assert!(errors.to_string().ends_with("only the first 100 faults are listed"));
    }
}
