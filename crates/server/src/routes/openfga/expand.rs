//! `POST /stores/{store_id}/expand`: how a relation of an object is computed, one level of it.

use std::sync::Arc;

use authz::decide::{ExpandRequest, Userset, UsersetTree};
use authz::relation::{Object, check_relation};
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::check::Scope;
use super::tuples::{TupleKey, TupleKeys};
use super::{Answered, Body, StorePath, given};
use crate::app::App;
use crate::error::Fault;
use crate::limits::Meter;
use crate::wire::{Word, ok};

#[derive(Deserialize, ToSchema)]
#[serde(expecting = "an object")]
#[schema(as = ExpandRequest)]
pub(super) struct Expand<'a> {
    #[serde(borrow)]
    #[schema(required, nullable = false)]
    tuple_key: Option<TupleKey<'a>>,
    /// A version of the model; the latest one without.
    #[serde(borrow)]
    authorization_model_id: Option<Word<'a>>,
    /// Relationships that hold for this question alone.
    #[serde(borrow)]
    contextual_tuples: Option<TupleKeys<'a>>,
    /// `MINIMIZE_LATENCY`, which is also meant without, or `HIGHER_CONSISTENCY`, which reads the origin. What an answer must contain, and no more, is
    /// for the header `Tiergate-At-Least` to say.
    #[serde(borrow)]
    consistency: Option<Word<'a>>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ExpandResponse)]
pub(super) struct Answer<'a> {
    tree: Tree<'a>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = UsersetTree)]
struct Tree<'a> {
    root: Node<'a>,
}

/// Every node bears the name of what was asked for.
#[derive(Serialize, ToSchema)]
#[schema(as = UsersetNode)]
struct Node<'a> {
    name: &'a str,
    #[serde(flatten)]
    part: Part<'a>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = UsersetNodePart)]
enum Part<'a> {
    Leaf(Leaf),
    Union(Nodes<'a>),
    Intersection(Nodes<'a>),
    Difference {
        #[schema(no_recursion)]
        base: Box<Node<'a>>,
        #[schema(no_recursion)]
        subtract: Box<Node<'a>>,
    },
}

#[derive(Serialize, ToSchema)]
#[schema(as = UsersetNodes)]
struct Nodes<'a> {
    #[schema(no_recursion)]
    nodes: Vec<Node<'a>>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = UsersetLeaf)]
enum Leaf {
    Users { users: Vec<String> },
    Computed(Computed),
    TupleToUserset { tupleset: String, computed: Vec<Computed> },
}

#[derive(Serialize, ToSchema)]
#[schema(as = ComputedUserset)]
struct Computed {
    userset: String,
}

/// One level of the tree.
pub(crate) async fn expand(
    State(app): State<Arc<App>>,
    StorePath { store, .. }: StorePath,
    meter: Meter,
    body: Body,
) -> Answered {
    let Expand { tuple_key, authorization_model_id, contextual_tuples, consistency } = body.read()?;
    // It is always read from the origin, which is as consistent as anybody can ask for.
    let scope = Scope::new(store, authorization_model_id.as_deref(), consistency.as_deref())?;
    let (object, relation) = asked(&tuple_key.unwrap_or_default())?;
    let name = format!("{object}#{relation}");
    let contextual_tuples = contextual_tuples.unwrap_or_default().contextual()?;
    let request = ExpandRequest { store, model: scope.model, object, relation, contextual_tuples };
    let tree = app.decisions.expand_admitted(&request, &meter).await?;
    Ok(app.naming_its_state(ok(&Answer { tree: Tree { root: Node::new(&name, &tree) } })).await)
}

/// The object and the relation. A user is passed over, as OpenFGA does.
fn asked(key: &TupleKey<'_>) -> Result<(Object, authz::relation::Text), Fault> {
    key.refuse_condition()?;
    let part = |word: &Option<Word<'_>>, name: &str| match given(word.as_deref()) {
        Some(text) => Ok(text.to_owned()),
        None => Err(Fault::invalid(format!("tuple_key.{name} is missing"))),
    };
    let within = |error| Fault::invalid(format!("tuple_key: {error}"));
    let object = Object::parse(&part(&key.object, "object")?).map_err(within)?;
    let relation = check_relation(&part(&key.relation, "relation")?).map_err(within)?;
    Ok((object, relation))
}

impl<'a> Node<'a> {
    /// As deep as the relation's definition, which has a bound.
    fn new(name: &'a str, tree: &UsersetTree) -> Self {
        let nodes = |trees: &[UsersetTree]| Nodes { nodes: trees.iter().map(|tree| Self::new(name, tree)).collect() };
        let part = match tree {
            UsersetTree::Users(users) => {
                Part::Leaf(Leaf::Users { users: users.iter().map(ToString::to_string).collect() })
            }
            UsersetTree::Computed(userset) => Part::Leaf(Leaf::Computed(userset.into())),
            UsersetTree::TupleToUserset { tupleset, computed } => Part::Leaf(Leaf::TupleToUserset {
                tupleset: Computed::from(tupleset).userset,
                computed: computed.iter().map(Computed::from).collect(),
            }),
            UsersetTree::Union(trees) => Part::Union(nodes(trees)),
            UsersetTree::Intersection(trees) => Part::Intersection(nodes(trees)),
            UsersetTree::Difference { base, subtract } => Part::Difference {
                base: Box::new(Self::new(name, base)),
                subtract: Box::new(Self::new(name, subtract)),
            },
        };
        Self { name, part }
    }
}

impl From<&Userset> for Computed {
    fn from(Userset { object, relation }: &Userset) -> Self {
        Self { userset: format!("{object}#{relation}") }
    }
}
