//! Reads the definition of a condition.

use serde_json::Value;

use super::fields::{Parsed, array, expected, member, name, object, optional_object, syntax, too_large};
use super::module::module_of;
use super::path::Path;
use crate::model::bounds::{MAX_EXPRESSION_BYTES, MAX_PARAMETER_NESTING, MAX_PARAMETERS};
use crate::model::error::{ModelError, ModelErrorKind};
use crate::model::name::check_parameter;
use crate::model::{ConditionDefinition, Parameter, ParameterType, check_condition};

const TYPES: &str = "give one of TYPE_NAME_BOOL, _STRING, _INT, _UINT, _DOUBLE, _DURATION, _TIMESTAMP, _IPADDRESS, _ANY, _LIST and _MAP";

/// `key` is what the condition is called among the model's conditions; its own `name` must be the same.
pub(super) fn condition_of(key: &str, value: &Value, at: &Path<'_>) -> Parsed<ConditionDefinition> {
    let fields = object(value, at)?;
    let name = name(fields, "name", at, check_condition)?;
    if *name != *key {
        let shown: String = key.chars().take(64).collect();
        let what = format!("the condition under {shown:?} says that its name is `{name}`");
        return Err(condition_fault(&at.key("name"), what, "give both the same name"));
    }
    let expression_at = at.key("expression");
    let expression = match member(fields, &["expression"]) {
        None => return Err(syntax(&expression_at, "the expression is missing", "give it as a string")),
        Some(Value::String(text)) => text.trim(),
        Some(other) => return Err(expected(&expression_at, "a string", other)),
    };
    if expression.len() > MAX_EXPRESSION_BYTES {
        return Err(too_large(&expression_at, "bytes", MAX_EXPRESSION_BYTES, "make several conditions of it"));
    }
    let parameters_at = at.key("parameters");
    let defined = optional_object(fields, &["parameters"], &parameters_at)?;
    if defined.is_some_and(|defined| defined.len() > MAX_PARAMETERS) {
        return Err(too_large(&parameters_at, "parameters", MAX_PARAMETERS, "make a map of some of them"));
    }
    let mut parameters = Vec::new();
    for (name, kind) in defined.into_iter().flatten() {
        let at = parameters_at.key(name);
        let kind = kind_of(kind, &at, 1)?;
        let name = check_parameter(name).map_err(|error| ModelError::name(name, &error).under(at))?;
        parameters.push(Parameter { name, kind });
    }
    let metadata_at = at.key("metadata");
    let module = match optional_object(fields, &["metadata"], &metadata_at)? {
        Some(metadata) => module_of(metadata, &metadata_at)?,
        None => None,
    };
    let expression = expression.to_owned();
    Ok(ConditionDefinition { name, parameters, expression, module, place: None, expression_place: None })
}

/// `level` counts the types around this one and itself; it bounds the recursion.
fn kind_of(value: &Value, at: &Path<'_>, level: usize) -> Parsed<ParameterType> {
    let fields = object(value, at)?;
    let name_at = at.key("type_name");
    let name = match member(fields, &["type_name", "typeName"]) {
        None => return Err(syntax(&name_at, "the type of the parameter is missing", TYPES)),
        Some(Value::String(name)) => name,
        Some(other) => return Err(expected(&name_at, "a string", other)),
    };
    let elements_at = at.key("generic_types");
    let elements = match member(fields, &["generic_types", "genericTypes"]) {
        Some(elements) => array(elements, &elements_at, MAX_PARAMETER_NESTING, "types")?.as_slice(),
        None => &[],
    };
    let container = match name.as_str() {
        "TYPE_NAME_LIST" => ParameterType::List,
        "TYPE_NAME_MAP" => ParameterType::Map,
        simple => {
            let Some(kind) = ParameterType::simple_of_json(simple) else {
                let shown: String = simple.chars().take(64).collect();
                return Err(condition_fault(&name_at, format!("{shown:?} is no type of a parameter"), TYPES));
            };
            return match elements {
                [] => Ok(kind),
                _ => {
                    let what = format!("the type `{kind}` holds no elements, but theirs is given");
                    Err(condition_fault(&elements_at, what, "leave `generic_types` empty"))
                }
            };
        }
    };
    match elements {
        _ if level == MAX_PARAMETER_NESTING => {
            Err(too_large(at, "types within each other", MAX_PARAMETER_NESTING, "use TYPE_NAME_ANY"))
        }
        [element] => Ok(container(Box::new(kind_of(element, &elements_at.index(0), level + 1)?))),
        _ => {
            let what = format!("a list or a map has one type of elements, and {} are given", elements.len());
            Err(condition_fault(&elements_at, what, "give one, as in [{\"type_name\": \"TYPE_NAME_STRING\"}]"))
        }
    }
}

fn condition_fault(at: &Path<'_>, what: impl Into<String>, remedy: &str) -> ModelError {
    ModelError::new(ModelErrorKind::Condition, what, remedy).under(at)
}
