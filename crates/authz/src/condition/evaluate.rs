//! Evaluation walks the checked tree; everything it does is paid for from the budget, and whatever may change with time limits how long the outcome holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::budget::Budget;
use super::error::Stop;
use super::horizon::Horizon;
use super::node::{Each, EachKind, Node};
use super::value::{Key, Value};

pub(super) type Answer = Result<Value, Stop>;

/// One evaluation.
pub(super) struct Machine<'m> {
    /// What was given, by the position of the parameter.
    pub(super) parameters: Vec<Option<Value>>,
    /// What macros bind, innermost last.
    pub(super) variables: Vec<Value>,
    pub(super) budget: &'m mut Budget,
    pub(super) horizon: Horizon,
}

pub(super) fn no_form(what: &str, values: &[&Value]) -> Stop {
    let kinds: Vec<_> = values.iter().map(|value| value.kind()).collect();
    Stop::failed(format!("{what} does not take ({})", kinds.join(", ")))
}

impl Machine<'_> {
    pub(super) fn evaluate(&mut self, node: &Node) -> Answer {
        self.budget.spend(1)?;
        match node {
            Node::Literal(value) => Ok(value.clone()),
            Node::Parameter(at) => match self.parameters.get(*at) {
                Some(Some(value)) => Ok(value.clone()),
                _ => Err(Stop::Missing(vec![*at])),
            },
            Node::Variable(at) => {
                self.variables.get(*at).cloned().ok_or_else(|| Stop::failed("a name is bound to nothing"))
            }
            Node::List(nodes) => self.all(nodes).map(Value::list),
            Node::Map(pairs) => self.map(pairs),
            Node::And(nodes) => self.row(nodes, false),
            Node::Or(nodes) => self.row(nodes, true),
            Node::Conditional(parts) => {
                let [condition, yes, no] = &**parts;
                let branch = if self.truth(condition)? { yes } else { no };
                self.evaluate(branch)
            }
            Node::Field(operand, field) => {
                let map = self.evaluate(operand)?;
                match &map {
                    Value::Map(entries) => {
                        self.budget.spend_bytes(field.len())?;
                        let found = entries.get(&Key::String(Arc::clone(field))).map(|(_, value)| value.clone());
                        found.ok_or_else(|| missing_key(field))
                    }
                    other => Err(no_form("selecting a field", &[other])),
                }
            }
            Node::Has(operand, field) => {
                let map = self.evaluate(operand)?;
                match &map {
                    Value::Map(entries) => Ok(Value::Bool(entries.contains_key(&Key::String(Arc::clone(field))))),
                    other => Err(no_form("has()", &[other])),
                }
            }
            Node::Call(function, nodes) => {
                let values = self.all(nodes)?;
                let answer = self.apply(*function, &values);
                // At another time it might not fail.
                if answer.is_err() && values.iter().any(Value::moves) {
                    self.horizon.touch();
                }
                answer
            }
            Node::Matches(subject, pattern) => match self.evaluate(subject)? {
                Value::String(text) => pattern.is_match(&text, self.budget).map(Value::Bool),
                other => Err(no_form("matches()", &[&other])),
            },
            Node::Each(each) => self.each(each),
        }
    }

    /// Of every node; what is missing in any of them is told together.
    fn all(&mut self, nodes: &[Node]) -> Result<Vec<Value>, Stop> {
        let mut values = Vec::with_capacity(nodes.len());
        let mut stop: Option<Stop> = None;
        for node in nodes {
            match self.evaluate(node) {
                Ok(value) => values.push(value),
                Err(more) if more.is_final() => return Err(more),
                Err(more) => stop = Some(join(stop, more)),
            }
        }
        stop.map_or(Ok(values), Err)
    }

    pub(super) fn truth(&mut self, node: &Node) -> Result<bool, Stop> {
        match self.evaluate(node)? {
            Value::Bool(value) => Ok(value),
            other => Err(no_form("a decision", &[&other])),
        }
    }

    /// `&&` (decided by false) and `||` (decided by true): one operand that decides makes failures of the others irrelevant.
    fn row(&mut self, nodes: &[Node], decides: bool) -> Answer {
        let mut stop: Option<Stop> = None;
        for node in nodes {
            match self.truth(node) {
                Ok(value) if value == decides => return Ok(Value::Bool(decides)),
                Ok(_) => {}
                Err(more) if more.is_final() => return Err(more),
                Err(more) => stop = Some(join(stop, more)),
            }
        }
        stop.map_or(Ok(Value::Bool(!decides)), Err)
    }

    fn map(&mut self, pairs: &[(Node, Node)]) -> Answer {
        let mut entries = BTreeMap::new();
        for (key, value) in pairs {
            let (name, value) = (self.evaluate(key)?, self.evaluate(value)?);
            self.spend_look(&name)?;
            // Doubles find entries, but are none.
            let key = name.key().filter(|_| !matches!(name, Value::Double(_)));
            let key = key.ok_or_else(|| no_form("a map's key", &[&name]))?;
            if entries.insert(key, (name, value)).is_some() {
                return Err(Stop::failed("a map has one key twice"));
            }
        }
        Ok(Value::Map(Arc::new(entries)))
    }

    fn each(&mut self, each: &Each) -> Answer {
        match self.evaluate(&each.range)? {
            Value::List(list) => self.over(each, list.iter()),
            Value::Map(entries) => self.over(each, entries.values().map(|(key, _)| key)),
            other => Err(no_form("a macro", &[&other])),
        }
    }

    fn over<'v>(&mut self, each: &Each, elements: impl Iterator<Item = &'v Value>) -> Answer {
        let mut stop: Option<Stop> = None;
        let (mut count, mut collected) = (0_usize, Vec::new());
        for element in elements {
            self.budget.spend(1)?;
            self.variables.truncate(each.variable);
            self.variables.push(element.clone());
            let counts = match &each.test {
                Some(test) => self.truth(test),
                None => Ok(true),
            };
            let taken = match (counts, &each.output) {
                (Ok(true), Some(output)) => self.evaluate(output).map(|value| {
                    collected.push(value);
                    true
                }),
                (counts, _) => counts,
            };
            match (each.kind, taken) {
                (EachKind::All, Ok(false)) => return self.done(each, false),
                (EachKind::Exists, Ok(true)) => return self.done(each, true),
                (_, Ok(taken)) => count += usize::from(taken),
                (_, Err(more)) if more.is_final() => return Err(more),
                (_, Err(more)) => stop = Some(join(stop, more)),
            }
        }
        self.variables.truncate(each.variable);
        if let Some(stop) = stop {
            return Err(stop);
        }
        Ok(match each.kind {
            EachKind::All => Value::Bool(true),
            EachKind::Exists => Value::Bool(false),
            EachKind::ExistsOne => Value::Bool(count == 1),
            EachKind::Collect => Value::list(collected),
        })
    }

    fn done(&mut self, each: &Each, value: bool) -> Answer {
        self.variables.truncate(each.variable);
        Ok(Value::Bool(value))
    }

    /// For looking at all of a text.
    pub(super) fn spend_look(&mut self, value: &Value) -> Result<(), Stop> {
        match value {
            Value::String(text) => self.budget.spend_bytes(text.len()),
            Value::Bytes(bytes) => self.budget.spend_bytes(bytes.len()),
            _ => Ok(()),
        }
    }
}

pub(super) fn missing_key(key: &str) -> Stop {
    Stop::failed(format!("the map has no key \"{}\"", super::error::shown(key)))
}

fn join(stop: Option<Stop>, more: Stop) -> Stop {
    match stop {
        Some(stop) => stop.and(more),
        None => more,
    }
}
