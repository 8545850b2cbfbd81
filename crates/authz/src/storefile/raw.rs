//! A store file as it is written, before anything in it is checked. Absent, `null` and empty are the same throughout.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_saphyr::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStore {
    pub(super) name: Option<String>,
    pub(super) model: Option<String>,
    pub(super) model_file: Option<String>,
    pub(super) tuples: Option<Vec<Spanned<RawTuple>>>,
    pub(super) tuple_file: Option<String>,
    pub(super) tuple_files: Option<Vec<String>>,
    pub(super) tests: Option<Vec<RawTest>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTest {
    pub(super) name: Option<String>,
    pub(super) description: Option<String>,
    pub(super) tuples: Option<Vec<Spanned<RawTuple>>>,
    pub(super) tuple_file: Option<String>,
    pub(super) tuple_files: Option<Vec<String>>,
    pub(super) check: Option<Vec<Spanned<RawCheck>>>,
    pub(super) list_objects: Option<Vec<RawList>>,
    pub(super) list_users: Option<Vec<RawList>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCheck {
    pub(super) user: Option<String>,
    pub(super) users: Option<Vec<String>>,
    pub(super) object: Option<String>,
    pub(super) objects: Option<Vec<String>>,
    pub(super) context: Option<BTreeMap<String, IgnoredAny>>,
    pub(super) assertions: Option<BTreeMap<String, bool>>,
}

/// A question that can't be asked yet; only how many answers it expects is of interest.
#[derive(Deserialize)]
pub(super) struct RawList {
    pub(super) assertions: Option<BTreeMap<String, IgnoredAny>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTuple {
    pub(super) user: String,
    pub(super) relation: String,
    pub(super) object: String,
    pub(super) condition: Option<RawCondition>,
}

/// A condition on a tuple.
#[derive(Deserialize)]
pub(super) struct RawCondition {
    pub(super) name: Option<String>,
}

/// A line of a tuple file in CSV. The names of the columns stand in its first line.
#[derive(Deserialize)]
pub(super) struct RawRow {
    pub(super) user_type: String,
    pub(super) user_id: String,
    pub(super) user_relation: Option<String>,
    pub(super) relation: String,
    pub(super) object_type: String,
    pub(super) object_id: String,
    pub(super) condition_name: Option<String>,
}

impl RawTuple {
    /// Whether it only counts under a condition.
    pub(super) fn is_conditional(&self) -> bool {
        self.condition.as_ref().is_some_and(|condition| condition.name.as_ref().is_some_and(|name| !name.is_empty()))
    }
}

impl From<RawRow> for RawTuple {
    fn from(row: RawRow) -> Self {
        let user = match row.user_relation.filter(|relation| !relation.is_empty()) {
            Some(relation) => format!("{}:{}#{relation}", row.user_type, row.user_id),
            None => format!("{}:{}", row.user_type, row.user_id),
        };
        Self {
            user,
            relation: row.relation,
            object: format!("{}:{}", row.object_type, row.object_id),
            condition: row.condition_name.map(|name| RawCondition { name: Some(name) }),
        }
    }
}
