//! What a store file may hold, and what is said of one that holds something else.

use std::path::PathBuf;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::*;

const MODEL: &str =
    "model: |\n  model\n    schema 1.1\n  type user\n  type doc\n    relations\n      define viewer: [user]\n";

/// A directory with these files.
fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = TempDir::new().unwrap();
    for (name, text) in files {
        let path = directory.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    directory
}

fn load(files: &[(&str, &str)]) -> Result<StoreFile, StoreFileError> {
    let directory = directory(files);
    StoreFile::load(&directory.path().join("store.fga.yaml")).map_err(|mut error| {
        // The directory has another name in each run.
        let within = error.file.strip_prefix(directory.path()).map(PathBuf::from);
        error.file = within.unwrap_or(error.file);
        error
    })
}

fn loaded(files: &[(&str, &str)]) -> StoreFile {
    load(files).unwrap_or_else(|error| panic!("{error}"))
}

fn with_model(rest: &str) -> StoreFile {
    loaded(&[("store.fga.yaml", &format!("{MODEL}{rest}"))])
}

fn refused(rest: &str) -> String {
    load(&[("store.fga.yaml", &format!("{MODEL}{rest}"))]).unwrap_err().to_string()
}

fn shown(tuples: &[Relationship]) -> Vec<String> {
    tuples.iter().map(ToString::to_string).collect()
}

#[test]
fn a_file_holds_a_model_relationships_and_tests() {
    let file = with_model(
        "name: Documents
tuples:
  - user: user:ann
    relation: viewer
    object: doc:1
tests:
  - name: owners view
    description: for a start
    tuples: [{user: user:bea, relation: viewer, object: doc:2}]
    check:
      - user: user:ann
        object: doc:1
        assertions:
          viewer: true
  - check:
",
    );
    assert_eq!(file.name.as_deref(), Some("Documents"));
    file.model.as_ref().unwrap();
    assert_eq!(shown(&file.tuples), ["doc:1#viewer@user:ann"]);
    let [first, second] = &file.tests[..] else { panic!("{:?}", file.tests) };
    assert_eq!((first.name.as_str(), first.description.as_deref()), ("owners view", Some("for a start")));
    assert_eq!(shown(&first.tuples), ["doc:2#viewer@user:bea"]);
    let [check] = &first.checks[..] else { panic!("{:?}", first.checks) };
    assert_eq!(
        (check.subject.to_string(), &*check.relation, check.object.to_string(), check.expected, check.line),
        ("user:ann".to_owned(), "viewer", "doc:1".to_owned(), true, 21)
    );
    assert_eq!((second.name.as_str(), second.checks.len(), second.line), ("test 2", 0, 22));
}

#[test]
fn lists_of_users_and_objects_are_multiplied_out() {
    let file = with_model(
        "tests: [{check: [{users: ['user:a', 'user:*'], objects: [doc:1, doc:2], assertions: {viewer: false, editor: true}}]}]",
    );
    let asked: Vec<String> = file.tests[0]
        .checks
        .iter()
        .map(|check| format!("{} {} {} {}", check.subject, check.relation, check.object, check.expected))
        .collect();
    assert_eq!(
        asked,
        [
            "user:a editor doc:1 true",
            "user:a viewer doc:1 false",
            "user:a editor doc:2 true",
            "user:a viewer doc:2 false",
            "user:* editor doc:1 true",
            "user:* viewer doc:1 false",
            "user:* editor doc:2 true",
            "user:* viewer doc:2 false",
        ]
    );
}

#[test]
fn named_files_are_found_beside_the_store_file_in_every_format() {
    let file = loaded(&[
        (
            "store.fga.yaml",
            "model_file: parts/model.fga\ntuple_file: ./a.yaml\ntuple_files: [b.json, parts/c.csv]\ntests: [{tuple_file: a.yaml}]",
        ),
        ("parts/model.fga", "model\n  schema 1.1\ntype user\n"),
        ("a.yaml", "- user: user:ann\n  relation: viewer\n  object: doc:1\n"),
        ("b.json", r#"[{"user": "user:bea", "relation": "viewer", "object": "doc:1", "condition": null}]"#),
        (
            "parts/c.csv",
            "user_type,user_id,user_relation,relation,object_type,object_id\nteam,9,member,viewer,doc,1\nuser,*,,viewer,doc,1\n",
        ),
    ]);
    file.model.unwrap();
    assert_eq!(
        shown(&file.tuples),
        ["doc:1#viewer@user:ann", "doc:1#viewer@user:bea", "doc:1#viewer@team:9#member", "doc:1#viewer@user:*"]
    );
    assert_eq!(shown(&file.tests[0].tuples), ["doc:1#viewer@user:ann"]);
}

#[test]
fn a_model_file_may_be_json() {
    let json = r#"{"schema_version": "1.1", "type_definitions": [{"type": "user"}]}"#;
    loaded(&[("store.fga.yaml", "model_file: model.json"), ("model.json", json)]).model.unwrap();
}

#[test]
fn a_faulty_model_is_a_part_of_the_result() {
    let file = loaded(&[(
        "store.fga.yaml",
        "model: |\n  model\n    schema 1.1\n  type doc\n    relations\n      define a: b\n",
    )]);
    assert!(file.model.as_ref().unwrap_err().to_string().starts_with("line 5, column 12: "), "{:?}", file.model);
}

#[test]
fn a_modular_model_is_named_by_its_manifest() {
    let manifest = ("model/fga.mod", "schema: '1.2'\ncontents: [core.fga]");
    let store = ("store.fga.yaml", "model_file: model/fga.mod");
    let file = loaded(&[store, manifest, ("model/core.fga", "module core\ntype user\n")]);
    assert_eq!(file.model.unwrap().types.len(), 1);
    let faulty = loaded(&[store, manifest, ("model/core.fga", "module core\ntype\n")]);
    assert!(faulty.model.unwrap_err().to_string().starts_with("core.fga, line 2, column 5: "));
    assert_eq!(
        load(&[store, manifest]).unwrap_err().to_string(),
        "model/core.fga: the file can't be read: No such file or directory (os error 2); check the path and who may read it"
    );
}

/// A context as JSON.
fn json(context: &Context) -> Value {
    context.iter().map(|(name, value)| (name.to_string(), value.clone())).collect::<serde_json::Map<_, _>>().into()
}

#[test]
fn a_relationship_may_have_a_condition_in_every_format() {
    let expected = json!({"x": 1, "l": ["a", null], "m": {"deep": true}, "f": 1.5});
    let yaml = "{user: user:a, relation: viewer, object: doc:1, condition: {name: cc, context: {x: 1, l: [a, null], m: {deep: true}, f: 1.5}}}";
    let json_text = r#"[{"user": "user:a", "relation": "viewer", "object": "doc:1", "condition": {"name": "cc", "context": {"x": 1, "l": ["a", null], "m": {"deep": true}, "f": 1.5}}}]"#;
    let csv = "user_type,user_id,user_relation,relation,object_type,object_id,condition_name,condition_context\n\
               user,a,,viewer,doc,1,cc,\"{\"\"x\"\": 1, \"\"l\"\": [\"\"a\"\", null], \"\"m\"\": {\"\"deep\"\": true}, \"\"f\"\": 1.5}\"\n\
               user,b,,viewer,doc,1,cc,\n\
               user,c,,viewer,doc,1,,\n";
    let file = loaded(&[
        (
            "store.fga.yaml",
            &format!("{MODEL}tuple_files: [a.yaml, b.json, c.csv]\ntuples: [{yaml}]\ntests: [{{tuples: [{yaml}]}}]"),
        ),
        ("a.yaml", &format!("- {yaml}")),
        ("b.json", json_text),
        ("c.csv", csv),
    ]);
    let written: Vec<String> = file.tuples.iter().map(ToString::to_string).collect();
    let same = "doc:1#viewer@user:a with cc";
    assert_eq!(written, [same, same, same, "doc:1#viewer@user:b with cc", "doc:1#viewer@user:c", same]);
    for relationship in file.tuples[..3].iter().chain(&file.tuples[5..]).chain(&file.tests[0].tuples) {
        assert_eq!(json(&relationship.condition.as_ref().unwrap().context), expected);
    }
    assert!(file.tuples[3].condition.as_ref().unwrap().context.is_empty());
}

#[test]
fn values_of_a_context_are_what_yaml_says() {
    let file = with_model(
        "tests: [{check: [{user: user:a, object: doc:1, assertions: {viewer: true}, context: {
           int: 12, negative: -1, hex: 0x0c, octal: 014, float: 12.5, whole: 12.0, text: '12', word: yes, truth: true, nothing: ~,
           quoted: '2026-01-01T00:00:00Z', time: 2026-01-01T00:00:00Z, day: 2026-01-01, span: 1h30m, ip: 192.168.0.1,
           large: 18446744073709551615, list: [1, a], map: {a: {b: 1}}}}]}]",
    );
    assert_eq!(
        json(&file.tests[0].checks[0].context),
        json!({
            "int": 12, "negative": -1, "hex": 12, "octal": 12, "float": 12.5, "whole": 12.0, "text": "12", "word": "yes", "truth": true,
            "nothing": null, "quoted": "2026-01-01T00:00:00Z", "time": "2026-01-01T00:00:00Z", "day": "2026-01-01",
            "span": "1h30m", "ip": "192.168.0.1", "large": 18_446_744_073_709_551_615_u64, "list": [1, "a"],
            "map": {"a": {"b": 1}},
        })
    );
}

#[test]
fn an_assertion_may_be_any_word_for_a_truth_value() {
    let file = with_model(
        "tests: [{check: [{user: user:a, object: doc:1, assertions: {a: yes, b: True, c: off, d: FALSE}}]}]",
    );
    let expected: Vec<bool> = file.tests[0].checks.iter().map(|check| check.expected).collect();
    assert_eq!(expected, [true, true, false, false]);
}

#[test]
fn every_expectation_has_a_line_however_it_is_written() {
    let file = with_model(
        "tests:
  - check:
      - &first
        user: user:a
        object: doc:1
        assertions: &all
          viewer: true
      - <<: *first
        object: doc:2
      - {\"user\": \"user:a\", \"object\": \"doc:3\", \"assertions\": *all}
      - *first
",
    );
    let lines: Vec<u64> = file.tests[0].checks.iter().map(|check| check.line).collect();
    assert!(lines.iter().all(|line| *line > 8), "{lines:?}");
    assert_eq!(lines.len(), 4);
}

#[test]
fn lists_are_expected_for_each_relation() {
    let file = with_model(
        "tests:
  - list_objects:
      - user: team:9#member
        type: doc
        context: {x: 1}
        assertions:
          viewer: [doc:1, doc:2]
          editor:
    list_users:
      - object: doc:1
        user_filter: [{type: team, relation: member}]
        assertions:
          viewer: {users: ['team:9#member']}
          editor: {users: []}
",
    );
    let test = &file.tests[0];
    let [editor, viewer] = &test.list_objects[..] else { panic!("{test:?}") };
    assert_eq!((viewer.subject.to_string(), &*viewer.object_type), ("team:9#member".to_owned(), "doc"));
    assert_eq!(viewer.expected, [Object::parse("doc:1").unwrap(), Object::parse("doc:2").unwrap()]);
    assert_eq!((json(&viewer.context), viewer.line), (json!({"x": 1}), 14));
    assert_eq!((&*editor.relation, &editor.expected[..], editor.line), ("editor", &[][..], 15));
    let [editor, viewer] = &test.list_users[..] else { panic!("{test:?}") };
    let kind = SubjectKind { type_name: Text::from("team"), relation: Some(Text::from("member")) };
    assert_eq!((viewer.object.to_string(), &viewer.filter, viewer.line), ("doc:1".to_owned(), &kind, 20));
    assert_eq!(viewer.expected, [Subject::parse("team:9#member").unwrap()]);
    assert!(editor.expected.is_empty());
}

#[test]
fn scalars_that_look_like_numbers_are_names_where_names_are_expected() {
    let file = with_model("name: 42\ntests: [{name: 2024-01-01}, {name: true}]");
    assert_eq!(file.name.as_deref(), Some("42"));
    assert_eq!((file.tests[0].name.as_str(), file.tests[1].name.as_str()), ("2024-01-01", "true"));
}

#[test]
fn faults_are_told_with_file_line_and_remedy() {
    let faults = [
        "tuples: 7",
        "tuple: []",
        "tuples:\n  - user: ann\n    relation: viewer\n    object: doc:1",
        "tuples:\n  - user: user:ann\n    relation: viewer\n    object: doc:1#viewer",
        "tuples:\n  - user: user:ann\n    relation: a b\n    object: doc:1",
        "tuples:\n  - user: user:ann\n    object: doc:1",
        "tests:\n  - check:\n      - user: user:ann\n        object: doc:1",
        "tests:\n  - check:\n      - object: doc:1\n        assertions: {viewer: true}",
        "tests:\n  - check:\n      - {user: user:a, users: [user:b], object: doc:1, assertions: {viewer: true}}",
        "tests:\n  - check:\n      - {user: user:a, object: doc:1, assertions: {viewer: perhaps}}",
        "tests:\n  - check:\n      - {user: user:a, object: doc:1, asertions: {viewer: true}}",
        "model_file: model.fga",
        "tuple_file: missing.yaml",
        "tuple_file: .",
        "name: [",
        "name: a\nname: b",
        "tuples:\n  - {user: user:a, relation: viewer, object: doc:1, condition: {name: a b}}",
        "tuples:\n  - {user: user:a, relation: viewer, object: doc:1, condition: {context: {x: 1}}}",
        "tuples:\n  - {user: user:a, relation: viewer, object: doc:1, condition: {name: cc, context: 7}}",
        "tests:\n  - check:\n      - {user: user:a, object: doc:1, context: [], assertions: {viewer: true}}",
        "tests:\n  - list_objects:\n      - {user: user:a, assertions: {viewer: []}}",
        "tests:\n  - list_objects:\n      - {type: doc, assertions: {viewer: []}}",
        "tests:\n  - list_objects:\n      - {user: user:a, type: doc}",
        "tests:\n  - list_objects:\n      - user: user:a\n        type: doc\n        assertions:\n          viewer: [doc]",
        "tests:\n  - list_users:\n      - {object: doc:1, assertions: {viewer: {users: []}}}",
        "tests:\n  - list_users:\n      - {object: doc:1, user_filter: [{type: user}, {type: team}], assertions: {viewer: {users: []}}}",
        "tests:\n  - list_users:\n      - {object: doc:1, user_filter: [{type: user}], assertions: {viewer: [user:a]}}",
    ];
    let said: Vec<String> = faults.into_iter().map(|fault| format!("{fault}\n=> {}", refused(fault))).collect();
    insta::assert_snapshot!(said.join("\n\n"));
    insta::assert_snapshot!(
        [
            load(&[("store.fga.yaml", "")]),
            load(&[]),
            load(&[("store.fga.yaml", "tuple_file: a.txt\nmodel: x"), ("a.txt", "")]),
            load(&[("store.fga.yaml", "tuple_file: a.csv\nmodel: x"), ("a.csv", "user,relation\nuser:ann,viewer\n")]),
            load(&[
                ("store.fga.yaml", "tuple_file: a.csv\nmodel: x"),
                (
                    "a.csv",
                    "user_type,user_id,relation,object_type,object_id,condition_name,condition_context\nuser,a,viewer,doc,1,cc,{x\n",
                ),
            ]),
            load(&[("store.fga.yaml", "tuple_file: a.json\nmodel: x"), ("a.json", "[\n{\"user\": 7}]")]),
        ]
        .map(|result| result.unwrap_err().to_string())
        .join("\n")
    );
}

#[test]
fn hostile_files_are_refused() {
    let laughs = (1..12).fold("a0: &a0 [x]\n".to_owned(), |text, n| {
        let last = n - 1;
        text + &format!("a{n}: &a{n} [{}]\n", vec![format!("*a{last}"); 10].join(", "))
    });
    let many = format!(
        "tests: [{{check: [{{users: [{0}], objects: [{0}], assertions: {{a: true}}}}]}}]",
        vec!["u:1"; 400].join(",")
    );
    for text in ["\0".repeat(100), "[".repeat(1 << 20), "- ".repeat(100_000), "a: ".repeat(100_000), laughs, many] {
        let error = refused(&text);
        assert!(error.len() < 10_000, "an answer must stay small");
    }
    let directory = directory(&[]);
    let path = directory.path().join("store.fga.yaml");
    std::fs::File::create(&path).unwrap().set_len(MAX_FILE_BYTES as u64 + 1).unwrap();
    assert!(StoreFile::load(&path).unwrap_err().what.starts_with("the file is larger than"));
    std::fs::write(&path, [0xff, 0xfe]).unwrap();
    assert!(StoreFile::load(&path).unwrap_err().what.starts_with("the file is not UTF-8"));
}
