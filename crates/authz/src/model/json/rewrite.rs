//! Reads how a relation is computed.

use serde_json::{Map, Value};

use super::fields::{Parsed, array, member, name_of_relation, object, optional_object, syntax, too_large};
use super::path::Path;
use crate::model::Rewrite;
use crate::model::bounds::{MAX_NESTING, MAX_OPERANDS};

/// `level` counts the operators around this rewrite and itself; it bounds the recursion.
pub(super) fn rewrite_of(value: &Value, at: &Path<'_>, level: usize) -> Parsed<Rewrite> {
    const KINDS: [&[&str]; 6] = [
        &["this"],
        &["computedUserset", "computed_userset"],
        &["tupleToUserset", "tuple_to_userset"],
        &["union"],
        &["intersection"],
        &["difference"],
    ];
    const REMEDY: &str =
        "give exactly one of `this`, `computedUserset`, `tupleToUserset`, `union`, `intersection` and `difference`";
    let fields = object(value, at)?;
    let mut given = KINDS.iter().filter_map(|names| member(fields, names).map(|value| (names[0], value)));
    let Some((kind, value)) = given.next() else {
        return Err(syntax(at, "nothing says how the relation is computed", REMEDY));
    };
    if let Some((other, _)) = given.next() {
        return Err(syntax(at, &format!("`{kind}` and `{other}` stand side by side"), REMEDY));
    }
    let at = &at.key(kind);
    let fields = object(value, at)?;
    match kind {
        "this" => Ok(Rewrite::Direct),
        "computedUserset" => Ok(Rewrite::Computed { relation: name_of_relation(fields, "relation", at)? }),
        "tupleToUserset" => {
            let side = |names: &[&'static str]| {
                let at = at.key(names[0]);
                match optional_object(fields, names, &at)? {
                    Some(side) => name_of_relation(side, "relation", &at),
                    None => Err(syntax(&at, "one side of `from` is missing", "give it as {\"relation\": \"...\"}")),
                }
            };
            Ok(Rewrite::TupleToUserset {
                tupleset: side(&["tupleset"])?,
                computed: side(&["computedUserset", "computed_userset"])?,
            })
        }
        _ if level > MAX_NESTING => {
            Err(too_large(at, "operators within each other", MAX_NESTING, "give the inner part a relation of its own"))
        }
        "difference" => {
            let side = |name: &'static str| {
                let at = at.key(name);
                match member(fields, &[name]) {
                    Some(side) => rewrite_of(side, &at, level + 1).map(Box::new),
                    None => Err(syntax(&at, "one side of `but not` is missing", "give both `base` and `subtract`")),
                }
            };
            Ok(Rewrite::Exclusion { base: side("base")?, subtract: side("subtract")? })
        }
        _ => {
            let operands = operands(fields, at, level)?;
            Ok(match <[Rewrite; 1]>::try_from(operands) {
                // Joining one thing is that thing; the DSL can't even say it.
                Ok([only]) => only,
                Err(operands) if kind == "union" => Rewrite::Union(operands),
                Err(operands) => Rewrite::Intersection(operands),
            })
        }
    }
}

fn operands(fields: &Map<String, Value>, at: &Path<'_>, level: usize) -> Parsed<Vec<Rewrite>> {
    let at = at.key("child");
    let children = match member(fields, &["child"]) {
        Some(children) => array(children, &at, MAX_OPERANDS, "entries")?.as_slice(),
        None => &[],
    };
    if children.is_empty() {
        return Err(syntax(&at, "there is nothing to join", "list at least two rewrites"));
    }
    children.iter().enumerate().map(|(index, child)| rewrite_of(child, &at.index(index), level + 1)).collect()
}
