//! Relationships as they come in and go out: `{user, relation, object, condition}`.

use std::collections::HashSet;
use std::sync::Arc;

use authz::condition::Context;
use authz::relation::{Relationship, RelationshipCondition, Text, Tuple};
use serde::Deserialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::given;
use crate::error::{Fault, FaultKind};
use crate::wire::Word;

/// The name under which OpenFGA's command line sends a condition that no model defines.
const INLINE_CONDITION: &str = "$expression";
const DUPLICATE: &str = "cannot_allow_duplicate_tuples_in_one_request";
/// The longest part of a condition's name that a message repeats.
const MAX_SHOWN_CHARS: usize = 64;

/// A relationship that comes in. Any part may be missing, as in a filter.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(expecting = "an object of user, relation and object")]
pub(super) struct TupleKey<'a> {
    /// `type:id`, `type:id#relation` or `type:*`.
    #[serde(borrow)]
    pub(super) user: Option<Word<'a>>,
    #[serde(borrow)]
    pub(super) relation: Option<Word<'a>>,
    /// `type:id`.
    #[serde(borrow)]
    pub(super) object: Option<Word<'a>>,
    #[serde(borrow)]
    condition: Option<Condition<'a>>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(expecting = "an object of name and context")]
#[schema(as = TupleCondition)]
struct Condition<'a> {
    #[serde(borrow)]
    name: Option<Word<'a>>,
    context: Option<Map<String, Value>>,
}

/// A list of relationships, which may be `null`.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(expecting = "an object of tuple_keys")]
pub(super) struct TupleKeys<'a> {
    #[serde(borrow)]
    pub(super) tuple_keys: Option<Vec<TupleKey<'a>>>,
}

impl TupleKey<'_> {
    /// The relationship with its condition.
    pub(super) fn relationship(mut self) -> Result<Relationship, Fault> {
        let condition = self.condition.take().map(Condition::checked).transpose()?;
        Ok(Relationship { tuple: self.tuple()?, condition })
    }

    /// The relationship of a question, which has no condition of its own.
    pub(super) fn question(&self) -> Result<Tuple, Fault> {
        self.refuse_condition()?;
        self.tuple()
    }

    /// The relationship, which must be whole; whatever its condition.
    pub(super) fn tuple(&self) -> Result<Tuple, Fault> {
        let user = part(&self.user, "user")?;
        let relation = part(&self.relation, "relation")?;
        let object = part(&self.object, "object")?;
        Tuple::parse(object, relation, user).map_err(|error| Fault::invalid(format!("tuple_key: {error}")))
    }

    /// Leaving a condition out silently would grant more than was asked for.
    pub(super) fn refuse_condition(&self) -> Result<(), Fault> {
        match &self.condition {
            None => Ok(()),
            Some(_) => Err(Fault::invalid(
                "tuple_key.condition: only a relationship that is written, or comes with a \
                                    question, is under a condition; leave it out here",
            )),
        }
    }
}

impl Condition<'_> {
    fn checked(self) -> Result<Arc<RelationshipCondition>, Fault> {
        let name = given(self.name.as_deref()).ok_or_else(|| missing("condition.name"))?;
        if name == INLINE_CONDITION {
            return Err(Fault::invalid(
                "tuple_key.condition: an expression can't be written with a relationship; define a condition in the \
                 model and name it",
            ));
        }
        if name.chars().any(char::is_control) {
            let shown: String = name.chars().take(MAX_SHOWN_CHARS).collect();
            return Err(Fault::invalid(format!("tuple_key.condition.name {shown:?} is no name of a condition")));
        }
        Ok(Arc::new(RelationshipCondition { name: Text::from(name), context: context(self.context) }))
    }
}

impl TupleKeys<'_> {
    /// Those that hold for one question.
    pub(super) fn contextual(self) -> Result<Vec<Relationship>, Fault> {
        contextual(self.tuple_keys.unwrap_or_default())
    }
}

/// Relationships that hold for one question.
pub(super) fn contextual(keys: Vec<TupleKey<'_>>) -> Result<Vec<Relationship>, Fault> {
    relationships(keys, "duplicate_contextual_tuple")
}

/// Relationships to write. The same one twice is refused: whoever wrote that meant something else.
pub(super) fn writes(keys: Vec<TupleKey<'_>>) -> Result<Vec<Relationship>, Fault> {
    relationships(keys, DUPLICATE)
}

/// Relationships to delete. There is at most one for each tuple, so that its condition need not be named, and may be.
pub(super) fn deletes(keys: &[TupleKey<'_>]) -> Result<Vec<Tuple>, Fault> {
    let tuples = keys.iter().map(TupleKey::tuple).collect::<Result<Vec<_>, _>>()?;
    each_once(&tuples, DUPLICATE)?;
    Ok(tuples)
}

/// Values for conditions; none where the field is absent.
pub(super) fn context(values: Option<Map<String, Value>>) -> Context {
    values.map(Context::from).unwrap_or_default()
}

fn relationships(keys: Vec<TupleKey<'_>>, code: &'static str) -> Result<Vec<Relationship>, Fault> {
    let found = keys.into_iter().map(TupleKey::relationship).collect::<Result<Vec<_>, _>>()?;
    each_once(found.iter().map(|relationship| &relationship.tuple), code)?;
    Ok(found)
}

fn each_once<'a>(tuples: impl IntoIterator<Item = &'a Tuple>, code: &'static str) -> Result<(), Fault> {
    let mut seen = HashSet::new();
    match tuples.into_iter().find(|tuple| !seen.insert(*tuple)) {
        None => Ok(()),
        Some(twice) => {
            Err(Fault::new(FaultKind::Invalid, code, format!("{twice} stands twice in one request; name it once")))
        }
    }
}

fn part<'a>(word: &'a Option<Word<'_>>, name: &str) -> Result<&'a str, Fault> {
    given(word.as_deref()).ok_or_else(|| missing(name))
}

fn missing(part: &str) -> Fault {
    Fault::invalid(format!("tuple_key.{part} is missing"))
}
