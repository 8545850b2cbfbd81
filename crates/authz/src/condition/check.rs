//! Every part of an expression gets a type before anything is evaluated; what has no meaning is a fault with its place, and all faults are found at once.

use std::sync::Arc;

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, MapExpr, SelectExpr};

use super::Parameter;
use super::bounds::MAX_FAULTS;
use super::error::shown;
use super::fault::{ConditionFault, nearest};
use super::functions::Function;
use super::node::Node;
use super::parse::Parsed;
use super::types::{Scalar, Type};
use super::value::Value;

/// What `type()` can be compared with.
const KINDS: [&str; 11] =
    ["bool", "bytes", "double", "int", "ipaddress", "list", "map", "null_type", "string", "type", "uint"];

/// A part with its type; the type of what has a fault is `Dyn`, so that one fault is told once.
pub(super) type Typed = (Node, Type);

pub(super) struct Checker<'c> {
    pub(super) parsed: &'c Parsed,
    parameters: &'c [Parameter],
    /// Which parameters are referred to.
    pub(super) used: Vec<bool>,
    /// What macros bind, innermost last.
    pub(super) variables: Vec<(String, Type)>,
    pub(super) faults: Vec<ConditionFault>,
}

impl<'c> Checker<'c> {
    pub(super) fn new(parsed: &'c Parsed, parameters: &'c [Parameter]) -> Self {
        Self { parsed, parameters, used: vec![false; parameters.len()], variables: Vec::new(), faults: Vec::new() }
    }

    pub(super) fn fault(&mut self, id: u64, what: impl Into<String>, remedy: impl Into<String>) -> Typed {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(ConditionFault::new(what, remedy).at(self.parsed.place(id)));
        }
        (Node::Literal(Value::Null), Type::Dyn)
    }

    pub(super) fn check(&mut self, expression: &IdedExpr) -> Typed {
        let id = expression.id;
        match &expression.expr {
            Expr::Literal(literal) => Self::literal(literal),
            Expr::Ident(name) => self.name(id, name),
            Expr::Select(select) => self.select(id, select),
            Expr::Call(call) => self.call(id, call),
            Expr::List(list) if list.optional_indices.is_empty() => {
                let mut of = None;
                let nodes = list.elements.iter().map(|element| self.element(element, &mut of)).collect();
                (Node::List(nodes), Type::list(of.unwrap_or(Type::Dyn)))
            }
            Expr::Map(map) => self.map(map),
            Expr::Comprehension(comprehension) => self.each(id, comprehension),
            Expr::List(_) => self.fault(id, "optional elements are not supported", "use `?:`"),
            Expr::Struct(_) => self.fault(id, "messages are not supported", "use a map: {\"key\": value}"),
            Expr::Unspecified => self.fault(id, "something is missing", "write an expression here"),
        }
    }

    fn literal(literal: &LiteralValue) -> Typed {
        let (value, scalar) = match literal {
            LiteralValue::Boolean(value) => (Value::Bool(*value.inner()), Scalar::Bool),
            LiteralValue::Bytes(value) => (Value::Bytes(Arc::from(value.inner())), Scalar::Bytes),
            LiteralValue::Double(value) => (Value::Double(*value.inner()), Scalar::Double),
            LiteralValue::Int(value) => (Value::Int(*value.inner()), Scalar::Int),
            LiteralValue::Null => (Value::Null, Scalar::Null),
            LiteralValue::String(value) => (Value::text(value.inner()), Scalar::String),
            LiteralValue::UInt(value) => (Value::Uint(*value.inner()), Scalar::Uint),
        };
        (Node::Literal(value), Type::Scalar(scalar))
    }

    fn name(&mut self, id: u64, name: &str) -> Typed {
        let name = name.strip_prefix('.').unwrap_or(name);
        if let Some(at) = self.variables.iter().rposition(|(variable, _)| variable == name) {
            return (Node::Variable(at), self.variables[at].1.clone());
        }
        if let Some(at) = self.parameters.iter().position(|parameter| &*parameter.name == name) {
            self.used[at] = true;
            return (Node::Parameter(at), Type::from(&self.parameters[at].kind));
        }
        if let Some(kind) = KINDS.iter().find(|kind| **kind == name) {
            return (Node::Literal(Value::Kind(kind)), Type::Scalar(Scalar::Kind));
        }
        let parameters = self.parameters;
        let known = parameters.iter().map(|parameter| &*parameter.name);
        let variables = self.variables.iter().map(|(variable, _)| variable.as_str());
        let remedy = match nearest(name, known.chain(variables)) {
            Some(meant) => format!("did you mean `{meant}`?"),
            None if parameters.is_empty() => "declare it as a parameter of the condition".to_owned(),
            None => {
                let names: Vec<_> = parameters.iter().map(|parameter| format!("`{}`", parameter.name)).collect();
                format!("declare it as a parameter, or use one of {}", names.join(", "))
            }
        };
        self.fault(id, format!("`{}` is not declared", shown(name)), remedy)
    }

    fn select(&mut self, id: u64, select: &SelectExpr) -> Typed {
        let (operand, kind) = self.check(&select.operand);
        let field: Arc<str> = Arc::from(select.field.as_str());
        let value = match kind {
            Type::Dyn => Type::Dyn,
            Type::Map(key, value) if key.fits(&Type::STRING) => *value,
            other => {
                let what = format!("`{}` is asked of {other}, which has no fields", shown(&field));
                return self.fault(id, what, "only maps with keys of text have fields");
            }
        };
        if select.test {
            (Node::Has(Box::new(operand), field), Type::BOOL)
        } else {
            (Node::Field(Box::new(operand), field), value)
        }
    }

    fn element(&mut self, element: &IdedExpr, of: &mut Option<Type>) -> Node {
        let (node, kind) = self.check(element);
        *of = Some(match of.take() {
            Some(before) => before.join(&kind),
            None => kind,
        });
        node
    }

    fn map(&mut self, map: &MapExpr) -> Typed {
        let (mut keys, mut values) = (None, None);
        let mut nodes = Vec::with_capacity(map.entries.len());
        for entry in &map.entries {
            let EntryExpr::MapEntry(pair) = &entry.expr else { continue };
            if pair.optional {
                self.fault(entry.id, "optional entries are not supported", "use `?:`");
            }
            let mut key_type = None;
            let key = self.element(&pair.key, &mut key_type);
            let key_type = key_type.unwrap_or(Type::Dyn);
            if !matches!(key_type, Type::Dyn | Type::Scalar(Scalar::Bool | Scalar::Int | Scalar::Uint | Scalar::String))
            {
                self.fault(pair.key.id, format!("{key_type} can't be a key"), "use a string, an int, a uint or a bool");
            }
            keys = Some(match keys.take() {
                Some(before) => Type::join(before, &key_type),
                None => key_type,
            });
            nodes.push((key, self.element(&pair.value, &mut values)));
        }
        let boxed = |kind: Option<Type>| Box::new(kind.unwrap_or(Type::Dyn));
        (Node::Map(nodes), Type::Map(boxed(keys), boxed(values)))
    }

    /// An operand that decides.
    pub(super) fn truth(&mut self, expression: &IdedExpr, of: &str) -> Node {
        let (node, kind) = self.check(expression);
        if !kind.fits(&Type::BOOL) {
            self.fault(expression.id, format!("{of} takes bool, and this is {kind}"), "compare it with something");
        }
        node
    }

    /// The operands of a row of `&&` or `||`, from left to right.
    pub(super) fn row(&mut self, call: &CallExpr) -> Vec<Node> {
        let operator = if call.func_name == "_&&_" { "`&&`" } else { "`||`" };
        let mut nodes = Vec::new();
        let mut open: Vec<&IdedExpr> = call.args.iter().rev().collect();
        while let Some(next) = open.pop() {
            match &next.expr {
                Expr::Call(inner) if inner.func_name == call.func_name && inner.target.is_none() => {
                    open.extend(inner.args.iter().rev());
                }
                _ => nodes.push(self.truth(next, operator)),
            }
        }
        nodes
    }

    pub(super) fn conditional(&mut self, id: u64, call: &CallExpr) -> Typed {
        let [condition, yes, no] = call.args.as_slice() else {
            return self.fault(id, "`?:` takes three parts", "write condition ? value : other value");
        };
        let condition = self.truth(condition, "`?:`");
        let ((yes, one), (no, two)) = (self.check(yes), self.check(no));
        if !one.fits(&two) {
            return self.fault(id, format!("`?:` has {one} on one side and {two} on the other"), "make them one type");
        }
        let kind = if one == Type::Dyn { Type::Dyn } else { one.join(&two) };
        (Node::Conditional(Box::new([condition, yes, no])), kind)
    }

    /// A call whose arguments were checked.
    pub(super) fn applied(&mut self, id: u64, name: &str, function: Function, arguments: Vec<Typed>) -> Typed {
        let (nodes, types): (Vec<_>, Vec<_>) = arguments.into_iter().unzip();
        match function.result(&types) {
            Some(result) => (Node::Call(function, nodes), result),
            None => {
                let given: Vec<_> = types.iter().map(ToString::to_string).collect();
                let what = format!("`{name}` does not take ({})", given.join(", "));
                self.fault(id, what, function.forms())
            }
        }
    }
}
