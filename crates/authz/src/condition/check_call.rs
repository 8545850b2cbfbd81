//! Calls and macros: which function a name stands for, and what a constant argument must look like.

use cel::common::ast::{CallExpr, ComprehensionExpr, Expr, IdedExpr, LiteralValue};

use super::bounds::MAX_NESTED_MACROS;
use super::check::{Checker, Typed};
use super::error::shown;
use super::fault::nearest;
use super::functions::{Function, GLOBAL, MACROS, MEMBER, OPERATORS};
use super::node::{Each, EachKind, Node};
use super::pattern::Pattern;
use super::types::Type;
use super::value::Value;
use super::{conversion, convert, time};

impl Checker<'_> {
    pub(super) fn call(&mut self, id: u64, call: &CallExpr) -> Typed {
        let name = call.func_name.as_str();
        if call.target.is_none() {
            match name {
                "_&&_" => return (Node::And(self.row(call)), Type::BOOL),
                "_||_" => return (Node::Or(self.row(call)), Type::BOOL),
                "_?_:_" => return self.conditional(id, call),
                _ => {}
            }
            if let Some((_, function, sign)) = OPERATORS.iter().find(|(operator, ..)| *operator == name) {
                let arguments = call.args.iter().map(|argument| self.check(argument)).collect();
                return self.applied(id, sign, *function, arguments);
            }
        }
        let arguments: Vec<Typed> =
            call.target.iter().map(|target| &**target).chain(&call.args).map(|argument| self.check(argument)).collect();
        let table = if call.target.is_some() { MEMBER } else { GLOBAL };
        let name = name.strip_prefix('.').unwrap_or(name);
        match table.iter().find(|(known, _)| *known == name) {
            Some((_, function)) => self.with_constants(id, name, *function, arguments),
            None => self.unknown(id, name, call.target.is_some()),
        }
    }

    fn unknown(&mut self, id: u64, name: &str, member: bool) -> Typed {
        if let Some((_, form)) = MACROS.iter().find(|(known, _)| *known == name) {
            return self.fault(id, format!("`{name}` is written in another way"), format!("write it as {form}"));
        }
        let (here, there) = if member { (MEMBER, GLOBAL) } else { (GLOBAL, MEMBER) };
        let names = |table: &'static [(&'static str, Function)]| table.iter().map(|(known, _)| *known);
        let remedy = if names(there).any(|known| known == name) {
            if member { format!("write {name}(value)") } else { format!("call it on a value: value.{name}(...)") }
        } else if let Some(meant) = nearest(name, names(here).chain(MACROS.iter().map(|(known, _)| *known))) {
            format!("did you mean `{meant}`?")
        } else {
            format!("there are {}", names(here).collect::<Vec<_>>().join(", "))
        };
        self.fault(id, format!("there is no function `{}` here", shown(name)), remedy)
    }

    /// A constant that no evaluation could use is a fault now.
    fn with_constants(&mut self, id: u64, name: &str, function: Function, arguments: Vec<Typed>) -> Typed {
        let typed = self.applied(id, name, function, arguments);
        let (Node::Call(function, nodes), kind) = typed else { return typed };
        let Some(Node::Literal(Value::String(text))) = nodes.last() else { return (Node::Call(function, nodes), kind) };
        let text = std::sync::Arc::clone(text);
        let wrong = |what: &str| Some(format!("\"{}\" is no {what}", shown(&text)));
        let (fault, remedy) = match function {
            Function::ToTimestamp if time::timestamp(&text).is_none() => {
                (wrong("timestamp"), "write it as \"2026-01-31T12:00:00Z\"")
            }
            Function::ToDuration if time::duration(&text).is_none() => (wrong("duration"), "write it as \"1h30m\""),
            Function::ToIp if convert::ip(&text).is_none() => (wrong("IP address"), "write it as \"192.0.2.1\""),
            Function::InCidr if conversion::cidr(&text).is_none() => (wrong("range"), "write it as \"192.0.2.0/24\""),
            Function::Get(_) if nodes.len() > 1 && time::zone(&text).is_none() => {
                (wrong("time zone that is supported"), "write an offset from UTC: \"+02:00\"")
            }
            Function::Matches => match Pattern::compile(&text) {
                Ok(pattern) => {
                    let mut nodes = nodes;
                    let subject = nodes.swap_remove(0);
                    return (Node::Matches(Box::new(subject), pattern), kind);
                }
                Err(why) => (Some(why), "write it in the syntax of RE2"),
            },
            _ => (None, ""),
        };
        match fault {
            Some(what) => self.fault(id, what, remedy),
            None => (Node::Call(function, nodes), kind),
        }
    }

    /// A macro, which the parser has written out as a loop; its form tells which it was.
    pub(super) fn each(&mut self, id: u64, loop_: &ComprehensionExpr) -> Typed {
        let (range, kind) = self.check(&loop_.iter_range);
        let element = match kind {
            Type::Dyn => Type::Dyn,
            Type::List(element) => *element,
            Type::Map(key, _) => *key,
            other => return self.fault(id, format!("a macro over {other}"), "it takes a list or a map"),
        };
        if self.variables.len() >= MAX_NESTED_MACROS {
            let what = format!("more than {MAX_NESTED_MACROS} macros inside of each other");
            return self.fault(id, what, "split the condition");
        }
        let Some((kind, test, output)) = taken_apart(loop_) else {
            return self.fault(id, "this macro is not supported", "use all, exists, exists_one, map or filter");
        };
        let variable = self.variables.len();
        self.variables.push((loop_.iter_var.clone(), element));
        let test = test.map(|test| self.truth(test, "the macro"));
        let output = output.map(|output| self.check(output));
        self.variables.pop();
        let (output, result) = match output {
            Some((node, of)) => (Some(node), Type::list(of)),
            None => (None, Type::BOOL),
        };
        (Node::Each(Box::new(Each { kind, range, variable, test, output })), result)
    }
}

type Parts<'e> = (EachKind, Option<&'e IdedExpr>, Option<&'e IdedExpr>);

fn taken_apart(loop_: &ComprehensionExpr) -> Option<Parts<'_>> {
    let Expr::Call(step) = &loop_.loop_step.expr else { return None };
    match (&loop_.accu_init.expr, step.args.as_slice()) {
        (Expr::Literal(LiteralValue::Boolean(start)), [_, test]) => {
            Some((if *start.inner() { EachKind::All } else { EachKind::Exists }, Some(test), None))
        }
        (Expr::Literal(LiteralValue::Int(_)), [test, _, _]) => Some((EachKind::ExistsOne, Some(test), None)),
        (Expr::List(_), [test, step, _]) => match &step.expr {
            Expr::Call(step) => Some((EachKind::Collect, Some(test), Some(appended(step)?))),
            _ => None,
        },
        (Expr::List(_), [_, _]) => Some((EachKind::Collect, None, Some(appended(step)?))),
        _ => None,
    }
}

/// The element in `result + [element]`.
fn appended(step: &CallExpr) -> Option<&IdedExpr> {
    match &step.args.last()?.expr {
        Expr::List(list) => list.elements.first(),
        _ => None,
    }
}
