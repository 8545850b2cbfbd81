//! Expressions of nodes, and their values by Kleene's three-valued logic.

use super::{Graph, NodeId, ReadId};
use cache_core::Moment;

use crate::evaluate::judge::Finding;
use crate::relation::Text;

/// How a node follows from reads and from other nodes.
#[derive(Debug)]
pub(super) enum Expr {
    /// By the model alone.
    Const(bool),
    Read(ReadId),
    /// The nodes that an enumeration leads to, once it was answered: each one's `relation`.
    Through {
        read: ReadId,
        relation: Text,
        links: Option<Links>,
    },
    Node(NodeId),
    Any(Vec<Expr>),
    All(Vec<Expr>),
    Minus(Box<Expr>, Box<Expr>),
}

/// Where an enumeration leads.
#[derive(Debug)]
pub(super) struct Links {
    /// The nodes, each with the end of the condition under which it is linked.
    pub(super) met: Vec<(NodeId, Moment)>,
    /// Whether there are links of which it is unknown whether they count.
    pub(super) unknown: bool,
}

impl Expr {
    /// The nodes that it is made of, with their depths where its own node lies at `depth`.
    pub(super) fn leads_to(&self, depth: usize, into: &mut Vec<(NodeId, usize)>) {
        match self {
            Self::Const(_) | Self::Read(_) | Self::Through { links: None, .. } => {}
            Self::Node(child) => into.push((*child, depth)),
            Self::Through { links: Some(links), .. } => {
                into.extend(links.met.iter().map(|(child, _)| (*child, depth + 1)));
            }
            Self::Any(parts) | Self::All(parts) => parts.iter().for_each(|part| part.leads_to(depth, into)),
            Self::Minus(base, subtract) => {
                base.leads_to(depth, into);
                subtract.leads_to(depth, into);
            }
        }
    }
}

impl Graph<'_> {
    /// The value of an expression by what was known before `before`.
    pub(super) fn was(&self, expr: &Expr, before: u32) -> Option<bool> {
        match expr {
            Expr::Const(value) => Some(*value),
            Expr::Read(read) => match &self.reads[read.0 as usize].answer.as_ref()?.finding {
                Finding::Point { held, .. } => *held,
                Finding::Members { .. } | Finding::TooMany => None,
            },
            Expr::Through { links, .. } => {
                let Links { met, unknown } = links.as_ref()?;
                let unknown = unknown.then_some(None);
                any(met.iter().map(|(child, _)| self.node_was(*child, before)).chain(unknown))
            }
            Expr::Node(child) => self.node_was(*child, before),
            Expr::Any(parts) => any(parts.iter().map(|part| self.was(part, before))),
            Expr::All(parts) => {
                any(parts.iter().map(|part| self.was(part, before).map(|value| !value))).map(|none| !none)
            }
            Expr::Minus(base, subtract) => match (self.was(base, before), self.was(subtract, before)) {
                (Some(false), _) | (_, Some(true)) => Some(false),
                (Some(true), Some(false)) => Some(true),
                _ => None,
            },
        }
    }

    /// Whether an expression reads something of which it is unknown whether it counts. What else it is made of is added to `into`.
    pub(super) fn has_unknown(&self, expr: &Expr, into: &mut Vec<NodeId>) -> bool {
        if self.was(expr, Self::NOW).is_some() {
            return false;
        }
        match expr {
            Expr::Const(_) => false,
            Expr::Read(read) => self.reads[read.0 as usize]
                .answer
                .as_ref()
                .is_some_and(|answer| matches!(answer.finding, Finding::Point { held: None, .. })),
            Expr::Through { links, .. } => links.as_ref().is_some_and(|links| {
                into.extend(links.met.iter().map(|(child, _)| *child));
                links.unknown
            }),
            Expr::Node(child) => {
                into.push(*child);
                false
            }
            Expr::Any(parts) | Expr::All(parts) => parts.iter().any(|part| self.has_unknown(part, into)),
            Expr::Minus(base, subtract) => self.has_unknown(base, into) || self.has_unknown(subtract, into),
        }
    }

    pub(super) fn node_was(&self, node: NodeId, before: u32) -> Option<bool> {
        let node = &self.nodes[node.0 as usize];
        node.value.filter(|_| node.known_at < before)
    }
}

/// Kleene's disjunction.
fn any(values: impl Iterator<Item = Option<bool>>) -> Option<bool> {
    let mut known = true;
    for value in values {
        match value {
            Some(true) => return Some(true),
            Some(false) => {}
            None => known = false,
        }
    }
    known.then_some(false)
}
