//! The path to an answer, for people: which operators decided, and which relationships were there or were not.
//!
//! Of what is known only the part is told that decides, as in a justification; of what is unknown, that which left it open.

use cache_core::Moment;

use super::expression::{Expr, Links};
use super::{Graph, NodeId, ReadId, State};
use crate::evaluate::judge::{Finding, Judged};
use crate::relation::{Object, Subject, Text, Tuple};
use crate::store::TupleRead;

/// The most steps that are told of one answer.
pub const MAX_PATH_STEPS: usize = 500;

/// One step of a path, with those that it rests on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PathStep {
    /// What is asked or combined.
    pub operator: Operator,
    /// What came of it; none where it is unknown.
    pub value: Option<bool>,
    /// The steps that decided it.
    pub children: Vec<PathStep>,
}

/// What a step of a path is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Operator {
    /// Is the subject in this relation to this object?
    Relation {
        /// The object.
        object: Object,
        /// The relation.
        relation: Text,
    },
    /// Is there this relationship, and does it count?
    Relationship {
        /// The relationship.
        tuple: Tuple,
        /// The condition that it is under.
        condition: Option<Text>,
        /// Until when that holds; none where time plays no part.
        until: Option<Moment>,
    },
    /// The relationships of an object that lead on to others, and what is asked of those.
    Through {
        /// The object.
        object: Object,
        /// The relation that leads on: itself, or a tupleset.
        relation: Text,
        /// What is asked of the others.
        asked: Text,
        /// How many relationships were found that count.
        found: usize,
        /// Whether it is unknown of some whether they count.
        unknown: bool,
        /// The conditions that relationships there are under, each with whether it is met.
        conditions: Vec<(Text, Option<bool>)>,
    },
    /// `or`
    Union,
    /// `and`
    Intersection,
    /// `but not`: the base, then what is taken away.
    Exclusion,
    /// The model alone decides: nobody of the subject's kind can be here, or the subject is this relation itself.
    Model,
    /// It was told above, or is being asked above: a circle.
    Above {
        /// The object.
        object: Object,
        /// The relation.
        relation: Text,
    },
    /// It was not looked at: too deep, or nothing depended on it any more.
    NotAsked {
        /// The object.
        object: Object,
        /// The relation.
        relation: Text,
    },
    /// There are more steps than are told.
    More,
}

impl Graph<'_> {
    /// The path to the answer.
    #[must_use]
    pub fn path(&self) -> PathStep {
        Teller { graph: self, told: vec![false; self.nodes.len()], left: MAX_PATH_STEPS }.node(Self::ROOT)
    }
}

struct Teller<'a, 'p> {
    graph: &'a Graph<'p>,
    told: Vec<bool>,
    left: usize,
}

impl Teller<'_, '_> {
    fn step(&mut self, operator: Operator, value: Option<bool>, children: Vec<PathStep>) -> PathStep {
        self.left = self.left.saturating_sub(1);
        PathStep { operator, value, children }
    }

    fn node(&mut self, id: NodeId) -> PathStep {
        let graph = self.graph;
        let node = &graph.nodes[id.0 as usize];
        let (object, relation) = (node.object.clone(), node.relation.clone());
        if self.left == 0 {
            return self.step(Operator::More, node.value, Vec::new());
        }
        if std::mem::replace(&mut self.told[id.0 as usize], true) {
            return self.step(Operator::Above { object, relation }, node.value, Vec::new());
        }
        let State::Expanded(expr) = &node.state else {
            return self.step(Operator::NotAsked { object, relation }, node.value, Vec::new());
        };
        // What became known later may rest on this node.
        let before = if node.value.is_some() { node.known_at } else { Graph::NOW };
        let child = self.expression(expr, node.value, before);
        self.step(Operator::Relation { object, relation }, node.value, vec![child])
    }

    fn expression(&mut self, expr: &Expr, value: Option<bool>, before: u32) -> PathStep {
        match expr {
            Expr::Const(_) => self.step(Operator::Model, value, Vec::new()),
            Expr::Node(child) => self.node(*child),
            Expr::Read(read) => self.read(*read, value),
            Expr::Through { read, relation, links } => self.through(*read, relation, links.as_ref(), value, before),
            Expr::Any(parts) if parts.is_empty() => self.step(Operator::Model, value, Vec::new()),
            Expr::Any(parts) if parts.len() == 1 => self.expression(&parts[0], value, before),
            Expr::Any(parts) => self.parts(Operator::Union, parts, value, before, true),
            Expr::All(parts) => self.parts(Operator::Intersection, parts, value, before, false),
            Expr::Minus(base, subtract) => {
                let of = [&**base, &**subtract].map(|part| (part, self.graph.was(part, before)));
                let children: Vec<PathStep> = match (value, of[0].1, of[1].1) {
                    (Some(false), Some(false), _) => vec![self.expression(base, Some(false), before)],
                    (Some(false), _, Some(true)) => vec![self.expression(subtract, Some(true), before)],
                    _ => of.into_iter().map(|(part, value)| self.expression(part, value, before)).collect(),
                };
                self.step(Operator::Exclusion, value, children)
            }
        }
    }

    /// Of a union that is true one part decides, of one that is false all do; of an intersection the other way round.
    fn parts(
        &mut self,
        operator: Operator,
        parts: &[Expr],
        value: Option<bool>,
        before: u32,
        decides_alone: bool,
    ) -> PathStep {
        let values: Vec<Option<bool>> = parts.iter().map(|part| self.graph.was(part, before)).collect();
        let mut told: Vec<PathStep> = Vec::new();
        for (part, of_part) in parts.iter().zip(values) {
            if of_part == value && self.left > 0 {
                told.push(self.expression(part, of_part, before));
                if value == Some(decides_alone) {
                    break;
                }
            }
        }
        self.step(operator, value, told)
    }

    fn read(&mut self, read: ReadId, value: Option<bool>) -> PathStep {
        let read = &self.graph.reads[read.0 as usize];
        let TupleRead::Point(tuple) = &read.read else { return self.step(Operator::More, value, Vec::new()) };
        let (condition, until) = match &read.answer {
            Some(Judged { finding: Finding::Point { condition, until, .. }, .. }) => {
                (condition.clone(), (*until != Moment::NEVER).then_some(*until))
            }
            _ => (None, None),
        };
        self.step(Operator::Relationship { tuple: tuple.clone(), condition, until }, value, Vec::new())
    }

    fn through(
        &mut self,
        read: ReadId,
        asked: &Text,
        links: Option<&Links>,
        value: Option<bool>,
        before: u32,
    ) -> PathStep {
        let TupleRead::Enumerate { object, relation, .. } = &self.graph.reads[read.0 as usize].read else {
            return self.step(Operator::More, value, Vec::new());
        };
        let met: &[(NodeId, Moment)] = links.map(|links| links.met.as_slice()).unwrap_or_default();
        let operator = Operator::Through {
            object: object.clone(),
            relation: relation.clone(),
            asked: asked.clone(),
            found: met.len(),
            unknown: links.is_none_or(|links| links.unknown),
            conditions: match &self.graph.reads[read.0 as usize].answer {
                Some(Judged { finding: Finding::Members { conditions, .. }, .. }) => conditions.clone(),
                _ => Vec::new(),
            },
        };
        let mut children = Vec::new();
        for (child, _) in met {
            if self.left == 0 {
                children.push(self.step(Operator::More, None, Vec::new()));
                break;
            }
            if self.graph.node_was(*child, before) == value {
                children.push(self.node(*child));
                if value == Some(true) {
                    break;
                }
            }
        }
        self.step(operator, value, children)
    }
}

/// How people read that a relationship is under a condition.
fn under(condition: &str, met: Option<bool>) -> String {
    match met {
        Some(true) => format!("under the condition {condition}, which is met"),
        Some(false) => format!("under the condition {condition}, which is not met"),
        None => format!("under the condition {condition}, which can't be evaluated"),
    }
}

impl PathStep {
    /// One line for people, without the children.
    #[must_use]
    pub fn line(&self, subject: &Subject) -> String {
        let word = match self.value {
            Some(true) => "yes",
            Some(false) => "no",
            None => "unknown",
        };
        let text = match &self.operator {
            Operator::Relation { object, relation } => format!("{subject} is {relation} of {object}"),
            Operator::Relationship { tuple, condition, .. } => match condition {
                Some(condition) => {
                    format!("relationship {tuple}, {}", under(condition, self.value))
                }
                None if self.value == Some(false) => format!("there is no relationship {tuple}"),
                None => format!("relationship {tuple}"),
            },
            Operator::Through { object, relation, asked, found, unknown, conditions } => {
                let unknown = if *unknown { ", of others it is unknown whether they count" } else { "" };
                let conditions: Vec<String> =
                    conditions.iter().map(|(name, met)| format!("; {}", under(name, *met))).collect();
                let conditions = conditions.concat();
                format!("{asked} of what is {relation} of {object} ({found} found that count{unknown}{conditions})")
            }
            Operator::Union => "one of".to_owned(),
            Operator::Intersection => "all of".to_owned(),
            Operator::Exclusion => "the first, but not the second".to_owned(),
            Operator::Model if self.value == Some(true) => "a userset contains itself".to_owned(),
            Operator::Model => "the model alone decides: nobody of this kind can be here".to_owned(),
            Operator::Above { object, relation } => format!("{relation} of {object}, as above"),
            Operator::NotAsked { object, relation } => format!("{relation} of {object}, which was not asked"),
            Operator::More => "more, which is not told".to_owned(),
        };
        format!("{word}: {text}")
    }
}
