//! A checked expression.

use std::sync::Arc;

use super::functions::Function;
use super::pattern::Pattern;
use super::value::Value;

/// A part of a checked expression.
#[derive(Debug)]
pub(super) enum Node {
    Literal(Value),
    /// By its position among the declared parameters.
    Parameter(usize),
    /// By its position on the stack of what macros bind.
    Variable(usize),
    List(Vec<Node>),
    Map(Vec<(Node, Node)>),
    And(Vec<Node>),
    Or(Vec<Node>),
    Conditional(Box<[Node; 3]>),
    Field(Box<Node>, Arc<str>),
    Has(Box<Node>, Arc<str>),
    Call(Function, Vec<Node>),
    /// With a pattern that was compiled once.
    Matches(Box<Node>, Pattern),
    Each(Box<Each>),
}

/// A macro over the elements of a list, or the keys of a map.
#[derive(Debug)]
pub(super) struct Each {
    pub(super) kind: EachKind,
    pub(super) range: Node,
    /// Where the element stands on the stack.
    pub(super) variable: usize,
    /// Which elements count; all where there is none.
    pub(super) test: Option<Node>,
    /// What is collected of an element.
    pub(super) output: Option<Node>,
}

/// What becomes of the elements.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum EachKind {
    All,
    Exists,
    ExistsOne,
    /// `map` and `filter`.
    Collect,
}
