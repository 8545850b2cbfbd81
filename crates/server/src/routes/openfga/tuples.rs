//! Relationships as they come in and go out: `{user, relation, object}`.

use std::collections::HashSet;

use authz::relation::Tuple;
use serde::{Deserialize, Serialize};

use super::given;
use crate::error::{Fault, FaultKind};
use crate::wire::AnyObject;

/// A relationship that comes in. Any part may be missing, as in a filter.
#[derive(Debug, Default, Deserialize)]
pub(super) struct TupleKey {
    pub(super) user: Option<String>,
    pub(super) relation: Option<String>,
    pub(super) object: Option<String>,
    condition: Option<Condition>,
}

/// A condition, which this release can't serve: leaving it out silently would grant more than was asked for.
#[derive(Debug, Deserialize)]
struct Condition {
    name: Option<String>,
    #[serde(rename = "context")]
    _context: Option<AnyObject>,
}

/// A list of relationships, which may be `null`.
#[derive(Debug, Default, Deserialize)]
pub(super) struct TupleKeys {
    pub(super) tuple_keys: Option<Vec<TupleKey>>,
}

/// A relationship that goes out.
#[derive(Debug, Serialize)]
pub(super) struct TupleKeyOut {
    user: String,
    relation: String,
    object: String,
}

impl TupleKey {
    /// The relationship, which must be whole.
    pub(super) fn tuple(&self) -> Result<Tuple, Fault> {
        self.refuse_condition()?;
        let part = |text: &Option<String>, name: &str| -> Result<String, Fault> {
            given(text.as_deref()).map(str::to_owned).ok_or_else(|| missing(name))
        };
        let (user, relation, object) =
            (part(&self.user, "user")?, part(&self.relation, "relation")?, part(&self.object, "object")?);
        Tuple::parse(&object, &relation, &user).map_err(|error| Fault::invalid(format!("tuple_key: {error}")))
    }

    pub(super) fn refuse_condition(&self) -> Result<(), Fault> {
        let name = self.condition.as_ref().map(|condition| given(condition.name.as_deref()).unwrap_or_default());
        match name {
            None => Ok(()),
            Some(name) => {
                let shown: String = name.chars().take(64).collect();
                Err(Fault::invalid(format!("the condition {shown:?}: conditions are not supported by this release")))
            }
        }
    }
}

impl TupleKeys {
    /// The relationships. The same one twice is refused: whoever wrote that meant something else.
    pub(super) fn tuples(&self) -> Result<Vec<Tuple>, Fault> {
        let keys = self.tuple_keys.as_deref().unwrap_or_default();
        let tuples = keys.iter().map(TupleKey::tuple).collect::<Result<Vec<_>, _>>()?;
        let mut seen = HashSet::new();
        match tuples.iter().find(|tuple| !seen.insert(*tuple)) {
            None => Ok(tuples),
            Some(twice) => {
                let message = format!("{twice} stands twice in one request; name it once");
                Err(Fault::new(FaultKind::Invalid, "cannot_allow_duplicate_tuples_in_one_request", message))
            }
        }
    }
}

impl From<&Tuple> for TupleKeyOut {
    fn from(Tuple { object, relation, subject }: &Tuple) -> Self {
        Self { user: subject.to_string(), relation: relation.to_string(), object: object.to_string() }
    }
}

fn missing(part: &str) -> Fault {
    Fault::invalid(format!("tuple_key.{part} is missing"))
}
