//! The definition of a view: a query, which of its columns are the key, and what of a row is the answer.
//!
//! A definition is text that goes into DDL: it comes from whoever builds the program, never from a request. Whoever changes it gets
//! another version of the view beside the old one.

use std::time::Duration;

use crate::ConfigError;

/// The default of how often a view is refreshed.
pub const DEFAULT_EVERY: Duration = Duration::from_secs(60);
/// The default time limit of a refresh.
pub const DEFAULT_LIMIT: Duration = Duration::from_secs(120);
/// The most columns of a key, which is what a [`RowKey`](cache_core::RowKey) holds without allocating.
pub const MAX_KEY_COLUMNS: usize = 6;
/// The longest name of a view or a column, in bytes: PostgreSQL has 63, and versions and indexes are named after views.
pub const MAX_NAME_BYTES: usize = 40;

/// The column of the answer.
pub(crate) const VALUE: &str = "value";

/// What a view is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    pub(crate) name: String,
    pub(crate) query: String,
    pub(crate) keys: Vec<String>,
    pub(crate) value: String,
    pub(crate) columns: Vec<String>,
    pub(crate) every: Duration,
    pub(crate) limit: Duration,
}

impl View {
    /// A view over the rows of a query, under the name that [`RowKey::view`](cache_core::RowKey) says. Tables in the query are named with
    /// their schema. The query must give one row for each key; volatile functions have no place in it.
    #[must_use]
    pub fn new(name: impl Into<String>, query: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            query: query.into(),
            keys: Vec::new(),
            value: String::new(),
            columns: Vec::new(),
            every: DEFAULT_EVERY,
            limit: DEFAULT_LIMIT,
        }
    }

    /// Adds a column of the query to the key. Keys are compared as text, byte by byte, in the order in which they are added.
    #[must_use]
    pub fn key(mut self, column: impl Into<String>) -> Self {
        self.keys.push(column.into());
        self
    }

    /// What of a row is the answer: an SQL expression over the columns of the query, which is kept as text. Where it is NULL, the
    /// view does not answer the key, and the origin is asked; only a row that is *absent* says that there is nothing.
    #[must_use]
    pub fn value(mut self, expression: impl Into<String>) -> Self {
        self.value = expression.into();
        self
    }

    /// Keeps a further column of the query as it is, for queries of one's own over the view.
    #[must_use]
    pub fn column(mut self, column: impl Into<String>) -> Self {
        self.columns.push(column.into());
        self
    }

    /// How often it is refreshed: a minute by default. A refresh costs what the view is large, whatever changed.
    #[must_use]
    pub fn every(mut self, every: Duration) -> Self {
        self.every = every;
        self
    }

    /// How long a refresh may take: two minutes by default.
    #[must_use]
    pub fn limit(mut self, limit: Duration) -> Self {
        self.limit = limit;
        self
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let Self { name, query, keys, value, columns, every, limit } = self;
        let of = |what: &str| format!("{what} of the view {name:?}");
        let allowed = "1 to 40 bytes of a-z, 0-9 and _, and not a digit first";
        ConfigError::check(is_name(name), "the name of a view", format!("{name:?}"), allowed)?;
        ConfigError::check(!query.trim().is_empty(), of("the query"), "empty", "a SELECT")?;
        let ends = query.trim_end().ends_with(';');
        ConfigError::check(!ends, of("the query"), "ended by a semicolon", "a SELECT without one")?;
        let count = (1..=MAX_KEY_COLUMNS).contains(&keys.len());
        ConfigError::check(count, of("the number of key columns"), keys.len(), "1 to 6")?;
        ConfigError::check(!value.trim().is_empty(), of("the value"), "empty", "an SQL expression")?;
        for (at, column) in keys.iter().chain(columns).enumerate() {
            ConfigError::check(is_name(column), of("a column"), format!("{column:?}"), allowed)?;
            let new = column != VALUE && keys.iter().chain(columns).position(|other| other == column) == Some(at);
            ConfigError::check(new, of("a column"), format!("{column:?}"), "a name of its own, other than \"value\"")?;
        }
        let millis = 10..=7 * 24 * 60 * 60 * 1_000;
        ConfigError::check(
            millis.contains(&every.as_millis()),
            of("the interval"),
            format!("{every:?}"),
            "10 ms to a week",
        )?;
        ConfigError::check(
            millis.contains(&limit.as_millis()),
            of("the time limit"),
            format!("{limit:?}"),
            "10 ms to a week",
        )
    }
}

fn is_name(name: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&name.len())
        && !name.starts_with(|c: char| c.is_ascii_digit())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn teams() -> View {
        View::new("teams", "SELECT id, name FROM app.team").key("id").value("name")
    }

    #[test]
    fn a_definition_that_can_not_be_is_refused_with_the_reason() {
        assert_eq!(teams().validate(), Ok(()));
        let refused = |view: View| view.validate().unwrap_err().to_string();
        assert_eq!(
            refused(View::new("te;ams", "SELECT 1")),
            "the name of a view is \"te;ams\", which is not 1 to 40 bytes of a-z, 0-9 and _, and not a digit first"
        );
        assert_eq!(
            refused(View::new("teams", "SELECT 1").value("1")),
            "the number of key columns of the view \"teams\" is 0, which is not 1 to 6"
        );
        assert_eq!(
            refused(teams().key("id")),
            "a column of the view \"teams\" is \"id\", which is not a name of its own, other than \"value\""
        );
        for view in [
            View::new("teams", " "),
            View::new("teams", "SELECT 1;").key("id").value("1"),
            View::new("teams", "SELECT 1").key("id"),
            teams().key("value"),
            teams().key("i d"),
            teams().column("name\""),
            teams().every(Duration::ZERO),
            teams().limit(Duration::ZERO),
        ] {
            assert!(view.validate().is_err(), "{view:?}");
        }
    }
}
