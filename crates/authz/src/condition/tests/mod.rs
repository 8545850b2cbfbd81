//! Conditions, as models write them.

mod faults;
mod hostile;
mod language;
mod moving;
mod values;

use std::sync::Arc;

use serde_json::Value as Json;

use super::{
    Budget, ConditionDefinition, ConditionError, ConditionFault, DEFAULT_MAX_STEPS, Outcome, Parameter, ParameterType,
    Program,
};

/// `int`, `list<string>`, `map<any>`
fn kind(text: &str) -> ParameterType {
    let inner =
        |prefix: &str| text.strip_prefix(prefix).and_then(|rest| rest.strip_suffix('>')).map(kind).map(Box::new);
    match text {
        "any" => ParameterType::Any,
        "bool" => ParameterType::Bool,
        "string" => ParameterType::String,
        "int" => ParameterType::Int,
        "uint" => ParameterType::Uint,
        "double" => ParameterType::Double,
        "duration" => ParameterType::Duration,
        "timestamp" => ParameterType::Timestamp,
        "ipaddress" => ParameterType::IpAddress,
        _ => match (inner("list<"), inner("map<")) {
            (Some(element), _) => ParameterType::List(element),
            (_, Some(value)) => ParameterType::Map(value),
            _ => panic!("`{text}` is no type"),
        },
    }
}

/// A condition `c` with parameters as in `x: int, y: list<string>`.
fn definition(parameters: &str, expression: &str) -> ConditionDefinition {
    let parameter = |text: &str| {
        let (name, of) = text.split_once(':').expect("name: type");
        Parameter { name: Arc::from(name.trim()), kind: kind(of.trim()) }
    };
    ConditionDefinition {
        name: Arc::from("c"),
        parameters: parameters.split(',').filter(|text| !text.trim().is_empty()).map(parameter).collect(),
        expression: expression.to_owned(),
        module: None,
        place: None,
        expression_place: None,
    }
}

fn compile(parameters: &str, expression: &str) -> Result<Program, Vec<ConditionFault>> {
    Program::compile(&definition(parameters, expression))
}

fn program(parameters: &str, expression: &str) -> Program {
    compile(parameters, expression).unwrap_or_else(|faults| panic!("{expression}: {faults:?}"))
}

fn evaluate(parameters: &str, expression: &str, given: &Json) -> Result<Outcome, ConditionError> {
    run(&program(parameters, expression), given, None)
}

fn run(program: &Program, given: &Json, clock: Option<(&str, u64)>) -> Result<Outcome, ConditionError> {
    program.evaluate(&|name| given.get(name), clock, &mut Budget::new(DEFAULT_MAX_STEPS))
}
