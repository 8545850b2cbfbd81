//! Everything that a relation refers to is there, and of the right kind.

use std::collections::HashSet;

use super::suggest::remedy;
use super::{Index, Indexed, leaves};
use crate::model::error::{Faults, MAX_ERRORS, ModelError, ModelErrorKind};
use crate::model::{Restriction, RestrictionTarget, Rewrite};

/// What OpenFGA calls the condition of relationships that bring their own expression.
const INLINE: &str = "$expression";

pub(super) fn check(index: &mut Index<'_>, faults: &mut Faults) {
    for number in 0..index.relations.len() {
        if faults.is_full() {
            return;
        }
        let relation = &index.relations[number];
        let mut found = Vec::new();
        check_list(relation, &mut found);
        for restriction in &relation.definition.restrictions {
            found.extend(check_restriction(index, relation, restriction));
            found.extend(check_condition(index, relation, restriction));
        }
        // A definition may repeat a way, and the fault of it is one.
        let mut seen = HashSet::new();
        for leaf in leaves(&relation.definition.rewrite) {
            if found.len() >= MAX_ERRORS {
                break;
            }
            match leaf {
                Rewrite::Computed { relation: computed } if seen.insert((None, computed)) => {
                    found.extend(check_computed(index, relation, computed));
                }
                Rewrite::TupleToUserset { tupleset, computed } if seen.insert((Some(tupleset), computed)) => {
                    found.extend(check_from(index, relation, tupleset, computed));
                }
                _ => {}
            }
        }
        let site = relation.site;
        index.relations[number].faulty |= !found.is_empty();
        for error in found {
            faults.push(error.of(site));
        }
    }
}

/// A relation says who may be written directly if and only if it has a place for them.
fn check_list(relation: &Indexed<'_>, found: &mut Vec<ModelError>) {
    let direct = leaves(&relation.definition.rewrite).any(|leaf| matches!(leaf, Rewrite::Direct));
    match (direct, relation.definition.restrictions.is_empty()) {
        (true, true) => found.push(ModelError::new(
            ModelErrorKind::Restriction,
            format!("{} is written directly, but lists nobody who may be", relation.named()),
            "list the types that may be written, as in `[user]`",
        )),
        (false, false) => found.push(ModelError::new(
            ModelErrorKind::Restriction,
            format!("{} lists who may be written directly, but is only computed", relation.named()),
            "take the list away, or add a direct part to the relation",
        )),
        _ => {}
    }
}

fn check_restriction(index: &Index<'_>, relation: &Indexed<'_>, restriction: &Restriction) -> Option<ModelError> {
    let type_name = &*restriction.type_name;
    let Some(relations) = index.types.get(type_name) else {
        let what = format!("{} lets in `{restriction}`, but there is no type `{type_name}`", relation.named());
        let otherwise = format!("define it with `type {type_name}`");
        return Some(undefined(what, remedy(type_name, index.types.keys().copied(), &otherwise)));
    };
    let RestrictionTarget::Userset(userset) = &restriction.target else {
        return None;
    };
    if relations.contains_key(&**userset) {
        return None;
    }
    let what = format!("{} lets in `{restriction}`, but `{type_name}` has no relation `{userset}`", relation.named());
    let otherwise = format!("define it in `{type_name}`");
    Some(undefined(what, remedy(userset, relations.keys().copied(), &otherwise)))
}

fn check_condition(index: &Index<'_>, relation: &Indexed<'_>, restriction: &Restriction) -> Option<ModelError> {
    let condition = &**restriction.condition.as_ref()?;
    if index.conditions.contains(condition) {
        return None;
    }
    let here = format!("{} lets in `{restriction}`", relation.named());
    if condition == INLINE {
        let what = format!("{here}, where each relationship brings an expression of its own, which is not served");
        let remedy = "define a condition in the model, and let relationships bring values for its parameters";
        return Some(ModelError::new(ModelErrorKind::Condition, what, remedy));
    }
    let what = format!("{here}, but there is no condition `{condition}`");
    let known = index.conditions.iter().copied();
    Some(undefined(what, remedy(condition, known, &format!("define it with `condition {condition}(...) {{...}}`"))))
}

fn check_computed(index: &Index<'_>, relation: &Indexed<'_>, computed: &str) -> Option<ModelError> {
    let of = &*relation.of.name;
    let relations = index.types.get(of)?;
    if relations.contains_key(computed) {
        return None;
    }
    if computed == "self" {
        // This is how schema 1.0 said what 1.1 says in brackets.
        let what = format!("{} follows from `self`, which is no relation", relation.named());
        return Some(undefined(what, "list in brackets who may be written directly, as in `[user]`".to_owned()));
    }
    let what = format!("{} follows from `{computed}`, which `{of}` doesn't define", relation.named());
    let otherwise = format!("define it in `{of}`, or write `[{computed}]` if it is a type");
    Some(undefined(what, remedy(computed, relations.keys().copied(), &otherwise)))
}

fn check_from(index: &Index<'_>, relation: &Indexed<'_>, tupleset: &str, computed: &str) -> Option<ModelError> {
    let of = &*relation.of.name;
    let here = format!("in {}, `{computed} from {tupleset}`", relation.named());
    let Some(number) = index.relation(of, tupleset) else {
        let what = format!("{here} needs a relation `{tupleset}` of `{of}`, which isn't defined");
        let known = index.types.get(of).into_iter().flat_map(|relations| relations.keys().copied());
        return Some(undefined(what, remedy(tupleset, known, &format!("define it in `{of}`, as in `[folder]`"))));
    };
    let source = index.relations[number].definition;
    if !matches!(source.rewrite, Rewrite::Direct) {
        return Some(ModelError::new(
            ModelErrorKind::Tupleset,
            format!("{here} needs `{tupleset}` to be a plain list of types, but it is computed"),
            format!("define `{tupleset}` as a list alone, and give what it is computed from another name"),
        ));
    }
    if let Some(other) = source.restrictions.iter().find(|entry| entry.target != RestrictionTarget::Object) {
        return Some(ModelError::new(
            ModelErrorKind::Tupleset,
            format!("{here} needs `{tupleset}` to be a plain list of types, but it lets in `{other}`"),
            format!("take `{other}` out of `{tupleset}`, or use another relation after `from`"),
        ));
    }
    if !index.reached(number, computed).is_empty() {
        return None;
    }
    let reached = || source.restrictions.iter().map(|entry| &*entry.type_name);
    let known = reached().filter_map(|type_name| index.types.get(type_name)).flat_map(|r| r.keys().copied());
    let types = reached().take(8).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    let what = format!("{here} leads to {types}, where no relation `{computed}` is defined");
    Some(undefined(what, remedy(computed, known, "define it in one of the types that may be written there")))
}

fn undefined(what: String, remedy: String) -> ModelError {
    ModelError::new(ModelErrorKind::Undefined, what, remedy)
}
