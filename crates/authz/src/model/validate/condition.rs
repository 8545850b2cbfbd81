//! Conditions make sense for themselves: their names, their parameters, and their expressions.

use std::collections::HashSet;

use super::Site;
use crate::condition::{ConditionFault, Program};
use crate::model::bounds::{MAX_EXPRESSION_BYTES, MAX_PARAMETER_NESTING};
use crate::model::error::{Faults, ModelError, ModelErrorKind};
use crate::model::name::check_parameter;
use crate::model::{ConditionDefinition, Model, ParameterType, Place, check_condition};

pub(super) fn check(model: &Model, faults: &mut Faults) {
    let mut known = HashSet::new();
    for definition in &model.conditions {
        if faults.is_full() {
            return;
        }
        let site = Site::of_condition(definition);
        if !known.insert(&definition.name) {
            let what = format!("the condition `{}` is defined twice", definition.name);
            let remedy = "keep one of them, or give one another name";
            faults.push(ModelError::new(ModelErrorKind::Duplicate, what, remedy).of(site));
        }
        let found = check_definition(definition);
        // An expression is only asked about where its parameters are right.
        let found = if found.is_empty() { check_expression(definition) } else { found };
        for error in found {
            let place = error.place.or(definition.place);
            faults.push(error.of(site.at(place)));
        }
    }
}

/// Readers refuse most of this; a model that a program built may hold it.
fn check_definition(definition: &ConditionDefinition) -> Vec<ModelError> {
    let mut found = Vec::new();
    let name = &definition.name;
    found.extend(check_condition(name).err().map(|error| ModelError::name(name, &error)));
    let mut known = HashSet::new();
    for parameter in &definition.parameters {
        found.extend(check_parameter(&parameter.name).err().map(|error| ModelError::name(&parameter.name, &error)));
        if !known.insert(&parameter.name) {
            let what = format!("the parameter `{}` of the condition `{name}` is there twice", parameter.name);
            found.push(ModelError::new(ModelErrorKind::Duplicate, what, "keep one of them, or give one another name"));
        }
        if nesting(&parameter.kind) > MAX_PARAMETER_NESTING {
            let what = format!(
                "the type of the parameter `{}` has more than {MAX_PARAMETER_NESTING} types within each other",
                parameter.name
            );
            found.push(ModelError::new(ModelErrorKind::TooLarge, what, "use `any`"));
        }
    }
    if definition.expression.trim().is_empty() {
        let what = format!("the condition `{name}` has no expression");
        found.push(ModelError::new(ModelErrorKind::Condition, what, "say when it holds, as in `x < 100`"));
    }
    if definition.expression.len() > MAX_EXPRESSION_BYTES {
        let what = format!("the expression of `{name}` has more than {MAX_EXPRESSION_BYTES} bytes");
        found.push(ModelError::new(ModelErrorKind::TooLarge, what, "make several conditions of it"));
    }
    found
}

fn nesting(mut kind: &ParameterType) -> usize {
    let mut levels = 1;
    while let Some(element) = kind.element() {
        levels += 1;
        kind = element;
    }
    levels
}

/// What is wrong with the expression of a condition.
fn check_expression(definition: &ConditionDefinition) -> Vec<ModelError> {
    let faults = Program::compile(definition).err().unwrap_or_default();
    faults.iter().map(|fault| expression_fault(definition, fault)).collect()
}

fn expression_fault(definition: &ConditionDefinition, fault: &ConditionFault) -> ModelError {
    let ConditionFault { place: within, what, remedy } = fault;
    let what = match (within, definition.expression_place) {
        // Without a place in the text, that in the expression is still better than none.
        (Some((line, column)), None) => {
            format!("in line {line}, column {column} of the expression of `{}`: {what}", definition.name)
        }
        _ => format!("in the expression of `{}`: {what}", definition.name),
    };
    let place = definition.expression_place.map(|start| place_within(start, within.unwrap_or((1, 1))));
    ModelError::new(ModelErrorKind::Condition, what, remedy).at(place)
}

/// A place in the text, of where the expression begins and a place in it. The expression's first line may begin anywhere in its
/// line; the others are whole lines.
fn place_within(start: Place, (line, column): (u32, u32)) -> Place {
    match line {
        0 | 1 => Place { column: start.column.saturating_add(column.saturating_sub(1)), ..start },
        _ => Place { line: start.line.saturating_add(line - 1), column },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_in_an_expression_has_a_place_in_the_text() {
        let text = "model\n  schema 1.1\ntype user\ncondition c(x: int) {\n  # why\n  x < 1 // }\n    && y\n}\n";
        let mut definition = Model::from_dsl(text).unwrap().conditions.remove(0);
        assert_eq!(definition.expression, "x < 1 \n    && y");
        let told = |definition: &_, place| {
            let fault = ConditionFault { place, what: "y is unknown".into(), remedy: "add it".into() };
            expression_fault(definition, &fault).to_string()
        };
        assert_eq!(told(&definition, Some((2, 8))), "line 7, column 8: in the expression of `c`: y is unknown; add it");
        assert_eq!(told(&definition, Some((1, 5))), "line 6, column 7: in the expression of `c`: y is unknown; add it");
        assert_eq!(told(&definition, None), "line 6, column 3: in the expression of `c`: y is unknown; add it");
        definition.expression_place = None;
        assert_eq!(
            told(&definition, Some((2, 8))),
            "in line 2, column 8 of the expression of `c`: y is unknown; add it"
        );
    }
}
