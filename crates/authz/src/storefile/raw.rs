//! A store file as it is written, before anything in it is checked. Absent, `null` and empty are the same throughout.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};
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
    pub(super) tests: Option<Vec<Spanned<RawTest>>>,
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
    pub(super) list_objects: Option<Vec<Spanned<RawListObjects>>>,
    pub(super) list_users: Option<Vec<Spanned<RawListUsers>>>,
}

/// What is expected for each relation.
pub(super) type Assertions<T> = Option<BTreeMap<String, Spanned<T>>>;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCheck {
    pub(super) user: Option<String>,
    pub(super) users: Option<Vec<String>>,
    pub(super) object: Option<String>,
    pub(super) objects: Option<Vec<String>>,
    pub(super) context: Option<Map<String, Value>>,
    pub(super) assertions: Assertions<RawAnswer>,
}

/// A truth value; where one is wanted, the words of YAML 1.1 are some.
#[derive(Deserialize)]
#[serde(try_from = "RawWord")]
pub(super) struct RawAnswer(pub(super) bool);

#[derive(Deserialize)]
#[serde(untagged)]
enum RawWord {
    Truth(bool),
    Word(String),
}

impl TryFrom<RawWord> for RawAnswer {
    type Error = &'static str;

    fn try_from(word: RawWord) -> Result<Self, Self::Error> {
        match word {
            RawWord::Truth(truth) => Ok(Self(truth)),
            RawWord::Word(word) => match word.as_str() {
                "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Ok(Self(true)),
                "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Ok(Self(false)),
                _ => Err("expected true or false"),
            },
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawListObjects {
    pub(super) user: Option<String>,
    #[serde(rename = "type")]
    pub(super) object_type: Option<String>,
    pub(super) context: Option<Map<String, Value>>,
    pub(super) assertions: Assertions<Option<Vec<String>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawListUsers {
    pub(super) object: Option<String>,
    pub(super) user_filter: Option<Vec<RawFilter>>,
    pub(super) context: Option<Map<String, Value>>,
    pub(super) assertions: Assertions<Option<RawUsers>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFilter {
    #[serde(rename = "type")]
    pub(super) type_name: String,
    pub(super) relation: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawUsers {
    pub(super) users: Option<Vec<String>>,
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
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCondition {
    pub(super) name: Option<String>,
    pub(super) context: Option<Map<String, Value>>,
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
    /// A JSON object as text.
    pub(super) condition_context: Option<String>,
}

impl TryFrom<RawRow> for RawTuple {
    type Error = serde_json::Error;

    fn try_from(row: RawRow) -> Result<Self, Self::Error> {
        let user = match row.user_relation.filter(|relation| !relation.is_empty()) {
            Some(relation) => format!("{}:{}#{relation}", row.user_type, row.user_id),
            None => format!("{}:{}", row.user_type, row.user_id),
        };
        let context = match row.condition_context.filter(|context| !context.is_empty()) {
            Some(context) => serde_json::from_str(&context)?,
            None => None,
        };
        let object = format!("{}:{}", row.object_type, row.object_id);
        let condition = RawCondition { name: row.condition_name, context };
        Ok(Self { user, relation: row.relation, object, condition: Some(condition) })
    }
}
