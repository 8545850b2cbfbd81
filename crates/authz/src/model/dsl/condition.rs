//! `condition c(x: int, l: list<string>) { ... }`

use super::cursor::{Cursor, Parsed};
use super::token::{Sign, Token};
use crate::model::bounds::{MAX_EXPRESSION_BYTES, MAX_PARAMETER_NESTING, MAX_PARAMETERS};
use crate::model::error::{Faults, ModelError, ModelErrorKind};
use crate::model::name::check_parameter;
use crate::model::{ConditionDefinition, Parameter, ParameterType, check_condition};

const REMEDY: &str = "write it as in `condition in_office(address: ipaddress) { address.in_cidr(\"10.0.0.0/8\") }`";
const TYPES: &str =
    "give one of bool, string, int, uint, double, duration, timestamp, ipaddress, any, list<...> and map<...>";

/// Reads what follows the word `condition`.
pub(super) fn definition(cursor: &mut Cursor<'_>, faults: &mut Faults) -> Parsed<ConditionDefinition> {
    let (name, named) = cursor.name("the name of a condition", REMEDY, check_condition)?;
    if cursor.take_if(Sign::GroupOpen).is_none() {
        return Err(cursor.unexpected("`(` and the parameters of the condition", REMEDY));
    }
    let parameters = parameters(cursor, faults)?;
    cursor.skip_empty_lines();
    let Some(opening) = cursor.take_if(Sign::BodyOpen) else {
        return Err(cursor.unexpected("`{` and the expression of the condition", REMEDY));
    };
    let Some(body) = cursor.body(&opening) else {
        let what = format!("the condition `{name}` has no end");
        let remedy = "put its expression between `{` and `}`, and close its strings";
        return Err(ModelError::new(ModelErrorKind::Syntax, what, remedy).at(Some(named.place)));
    };
    if body.expression.len() > MAX_EXPRESSION_BYTES {
        let what = format!("the expression of `{name}` has more than {MAX_EXPRESSION_BYTES} bytes");
        faults.push(
            ModelError::new(ModelErrorKind::TooLarge, what, "make several conditions of it").at(Some(named.place)),
        );
    }
    cursor.line_end("let the brace that closes the condition end its line")?;
    Ok(ConditionDefinition {
        name,
        parameters,
        expression: body.expression,
        module: None,
        place: Some(named.place),
        expression_place: Some(body.place),
    })
}

/// The inside of the parentheses and their end. It may run over several lines.
fn parameters(cursor: &mut Cursor<'_>, faults: &mut Faults) -> Parsed<Vec<Parameter>> {
    let mut found: Vec<Parameter> = Vec::new();
    loop {
        cursor.skip_empty_lines();
        if found.is_empty() && cursor.take_if(Sign::GroupClose).is_some() {
            return Ok(found);
        }
        let (parameter, token) = parameter(cursor)?;
        if found.iter().any(|known| known.name == parameter.name) {
            let what = format!("the parameter `{}` is there twice", parameter.name);
            faults.push(
                ModelError::new(ModelErrorKind::Duplicate, what, "keep one of them, or give one another name")
                    .at(Some(token.place)),
            );
        } else if found.len() == MAX_PARAMETERS {
            let what = format!("the condition has more than {MAX_PARAMETERS} parameters");
            return Err(
                ModelError::new(ModelErrorKind::TooLarge, what, "make a map of some of them").at(Some(token.place))
            );
        } else {
            found.push(parameter);
        }
        cursor.skip_empty_lines();
        if cursor.take_if(Sign::GroupClose).is_some() {
            return Ok(found);
        }
        if cursor.take_if(Sign::Comma).is_none() {
            return Err(cursor.unexpected("`,` or `)`", "separate parameters with commas, and close their list"));
        }
    }
}

fn parameter<'a>(cursor: &mut Cursor<'a>) -> Parsed<(Parameter, Token<'a>)> {
    let (name, token) = cursor.name("the name of a parameter", REMEDY, check_parameter)?;
    if cursor.take_if(Sign::Colon).is_none() {
        return Err(cursor.unexpected("`:` after the name of the parameter", "give its type, as in `x: int`"));
    }
    let kind = kind(cursor, 1)?;
    Ok((Parameter { name, kind }, token))
}

/// `level` counts the types around this one and itself; it bounds the recursion.
fn kind(cursor: &mut Cursor<'_>, level: usize) -> Parsed<ParameterType> {
    let token = cursor.peek();
    if token.sign != Sign::Word {
        return Err(cursor.unexpected("the type of the parameter", TYPES));
    }
    let container = match token.text {
        "list" => ParameterType::List,
        "map" => ParameterType::Map,
        simple => match ParameterType::simple(simple) {
            Some(kind) => {
                cursor.take();
                return Ok(kind);
            }
            None => {
                let shown: String = simple.chars().take(64).collect();
                let what = format!("{shown:?} is no type of a parameter");
                return Err(ModelError::new(ModelErrorKind::Condition, what, TYPES).at(Some(token.place)));
            }
        },
    };
    cursor.take();
    if level == MAX_PARAMETER_NESTING {
        let what = format!("more than {MAX_PARAMETER_NESTING} types stand within each other");
        return Err(ModelError::new(ModelErrorKind::TooLarge, what, "use `any`").at(Some(token.place)));
    }
    let remedy = "say of what, as in `list<string>` and `map<int>`";
    if cursor.take_if(Sign::OfOpen).is_none() {
        return Err(cursor.unexpected("`<` and a type", remedy));
    }
    let element = kind(cursor, level + 1)?;
    if cursor.take_if(Sign::OfClose).is_none() {
        return Err(cursor.unexpected("`>`", remedy));
    }
    Ok(container(Box::new(element)))
}
